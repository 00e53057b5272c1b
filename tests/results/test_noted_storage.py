"""A study's folder may come from anybody: what it notes of its storage does no harm here."""

import json
import os
import sqlite3

import pytest

from lab import report


def answer(folder, capsys):
    status = report.main([str(folder)])
    said = capsys.readouterr().err
    assert status == 2
    assert said.startswith("error: ")
    assert said.count("\n") == 1, said
    return said


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study").mkdir()
    return tmp_path / "study"


def note(study, **noted):
    (study / "study.json").write_text(json.dumps({"name": "study", **noted}))


def test_another_programs_database_is_left_as_it_is(study, tmp_path, capsys):
    theirs = tmp_path / "theirs.sqlite"
    with sqlite3.connect(theirs) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    before = theirs.read_bytes()
    note(study, storage=f"sqlite:///{theirs}")
    assert "it holds no study" in answer(study, capsys)
    assert theirs.read_bytes() == before
    (study / "study.json").unlink()
    (study / "study.db").symlink_to(theirs)
    answer(study, capsys)
    assert theirs.read_bytes() == before


@pytest.mark.parametrize("kind", ["sqlite:///{}", "journal:{}"])
def test_nothing_is_made_where_nothing_is(study, tmp_path, capsys, kind):
    note(study, storage=kind.format(tmp_path / "new" / "file"))
    assert "No such file" in answer(study, capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study"]


def test_devices_and_pipes_are_not_read(study, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for place, what in (("/dev/zero", "a device"), (tmp_path / "pipe", "a pipe")):
        for kind in ("sqlite:///", "journal:"):
            note(study, storage=f"{kind}{place}")
            assert what in answer(study, capsys)


@pytest.mark.parametrize("storage", [None, 5, ["sqlite:///x.db"], {}])
def test_what_is_no_address_is_damaged(study, capsys, storage):
    note(study, storage=storage)
    assert "is damaged" in answer(study, capsys)
    note(study, storage="sqlite:///x.db", artifacts=storage or 1)
    assert "is damaged" in answer(study, capsys)
