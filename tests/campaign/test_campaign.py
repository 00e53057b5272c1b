"""The fault campaign still runs: a few cases of each of its checks, and what they rest on."""

import io
import os
import shutil
import signal
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.files import file_sha256
from tests.campaign import (
    CHECKS,
    NotHere,
    contained,
    disks,
    hostile,
    inputs,
    machines,
    uncached,
    works,
)
from tests.campaign.checks import Asked, Case, Check
from tests.campaign.mutations import changed
from tests.data.shards import pack


def names(checks):
    return [pytest.param(check, id=check.name) for check in checks]


@pytest.mark.slow
@pytest.mark.parametrize("check", names(check for check in CHECKS if check.smoke))
def test_a_few_cases_of_each_check_find_nothing(check):
    said = []
    try:
        tally = check.tried(0, range(check.smoke), 1, said.append)
    except NotHere as reason:
        pytest.skip(str(reason))
    assert tally.tried > 0
    assert tally.findings == []
    assert said == []


def test_a_finding_says_what_repeats_it():
    def run(asked):
        yield Case(7, "a photo", ["hung"])
        yield Case(8, "a mask")

    said = []
    tally = Check("inputs", "no hang", 2, run).tried(5, range(2), 1, said.append)
    assert (tally.tried, tally.broken, tally.findings) == (2, 1, ["a photo: hung"])
    assert "python -m tests.campaign --only inputs --seed 5 --case 7" in said[0]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", b"\x89PNG"),
        ("a.yaml", b"a: 1\nb: 2"),
        ("a.json", b'{"a": [1, {"b": 2}], "c": 3}'),
        ("a.jsonl", b'{"a": 1}\n{"a": 2}\n'),
        ("a.pt", b"PK"),
        ("a.onnx", b"\x08"),
        ("a.tar", bytes(1024)),
    ],
)
def test_a_seed_gives_the_same_changes_whichever_other_cases_are_tried(tmp_path, name, data):
    asked = Asked("inputs", 3, range(5), tmp_path)
    once = [changed(data, name, asked.draws(case)) for case in range(5)]
    assert [changed(data, name, asked.draws(case)) for case in (4, 3)] == once[:2:-1]
    assert len(set(once)) > 1


def fails(arguments):
    raise KeyError("x")


def dies(arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def shows(arguments):
    print("\x1b[2J")
    return 0


def waits(arguments):
    time.sleep(60)


def takes(arguments):
    kept = b"x" * (3 * 2**26)
    return len(kept) * 0


def complains(arguments):
    print("note: two photos", "error: no such photo", sep="\n", file=sys.stderr)
    return 2


def says_more(arguments):
    print(*["what libraries say"] * 40, "error: no such photo", sep="\n", file=sys.stderr)
    return 2


def succeeds_with_an_error(arguments):
    print("error: no such photo", file=sys.stderr)
    return 0


def asks_for_too_much(arguments):
    try:
        return len(bytearray(100 * 2**30)) * 0
    except MemoryError:
        print("error: memory ran out (MemoryError)", file=sys.stderr)
        return 2


@pytest.mark.parametrize(
    ("main", "found"),
    [
        (fails, ["ended with status 1, not 0 or 2", "traceback: KeyError: 'x'"]),
        (waits, ["hung"]),
        (takes, ["took 0.2 GiB"]),
        (lambda arguments: 2, ["status 2 without a last line"]),
        (dies, ["signal 9"]),
        (shows, ["an escape sequence"]),
        (complains, []),
        (says_more, ["40 more lines than that of the error, such as: what libraries say"]),
        (succeeds_with_an_error, ["status 0, and yet an error"]),
        (asks_for_too_much, ["asked for more memory"]),
    ],
)
def test_what_breaks_a_promise_is_found(tmp_path, monkeypatch, main, found):
    monkeypatch.setattr(contained, "MOST_TAKEN", 2**27)
    outcome = contained.call(main, (), tmp_path, seconds=5.0)
    said = contained.complaints(outcome)
    assert len(said) == len(found), said
    assert all(expected in one for expected, one in zip(found, said, strict=True))


def test_half_written_files_are_found(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".0123456789abcdef.partial").touch()
    (tmp_path / ".hidden").touch()
    assert contained.litter(tmp_path) == ["left a/.0123456789abcdef.partial half-written"]


def writes_relative(arguments):
    with open("a.txt", "w") as file:
        file.write("a" * 10)
        file.flush()
        os.fsync(file.fileno())
    os.rename("a.txt", "b.txt")
    return 0


def written(folder, at, fault):
    """How a command ends on a disk, how many writes it had, and whether one failed."""
    folder.mkdir()
    work = works.Work("", writes_relative, (), ())
    counted = folder.with_suffix(".count")
    outcome = contained.call(disks.on_a_disk(work, folder, at, fault, counted), (), folder)
    return outcome, disks._counted(counted)


def test_a_disk_sees_what_is_written_by_relative_paths_and_brought_to_it(tmp_path):
    outcome, counted = written(tmp_path / "whole", None, disks.FAULTS[0])
    assert (outcome.status, counted) == (0, (3, False))
    full, read_only, late = disks.FAULTS
    for at, fault, said in (
        (1, full, "No space left on device: 'a.txt'"),
        (2, full, "No space left on device"),
        (3, read_only, "Read-only file system: 'b.txt'"),
        (1, late, "No space left on device"),
        (2, late, "No space left on device"),
    ):
        outcome, (_, failed) = written(tmp_path / f"{at} {fault[0]}", at, fault)
        assert failed
        assert said in outcome.err
    # Where there is no room for content, a name is changed all the same.
    outcome, counted = written(tmp_path / "3 late", 3, late)
    assert (outcome.status, counted) == (0, (3, False))


def test_a_case_of_names_is_repeated_alone(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(hostile, "make_material", lambda folder: None)
    monkeypatch.setattr(hostile, "import_commands", lambda: None)
    monkeypatch.setattr(
        hostile, "_shown", lambda folder, material, name: names.append(name) or ([], None)
    )
    asked = Asked("hostile.names", 0, range(5, 6), tmp_path)
    assert [case.number for case in hostile.show_names(asked)] == [5]
    assert names == ["photo0", hostile.HARMFUL[5]]


def test_shards_that_were_emptied_are_no_whole_result(tmp_path):
    with redirect_stdout(io.StringIO()):
        pack(tmp_path).rename(tmp_path / "out")
    inputs._packed(tmp_path)
    shard = next((tmp_path / "out").glob("*.tar"))
    shard.write_bytes(b"")
    with pytest.raises(AssertionError, match=shard.name):
        inputs._packed(tmp_path)
    index = tmp_path / "out" / "index.json"
    before = index.read_text()
    inputs._fit_index(shard)
    assert file_sha256(shard) in index.read_text()
    assert index.read_text() != before


def test_each_photo_that_is_opened_is_noted(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")

    def reads(arguments):
        uncached.note_reads("photos", "notes")
        for _ in range(2):
            Path("photos/a.png").read_bytes()
        Path("b.png").read_bytes()
        return 0

    assert contained.call(reads, (), tmp_path).status == 0
    assert (tmp_path / "notes").read_bytes() == b".."


@pytest.mark.parametrize("spoiling", [each for each in machines.SPOILT if each.spoil is not None])
def test_what_befell_photos_is_made_good_again(tmp_path, spoiling):
    suffix = "tar" if spoiling.packed else "png"
    for folder, content in (("photos", b"photo"), ("others", b"other")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"a.{suffix}").write_bytes(content)
    path = tmp_path / "photos" / f"a.{suffix}"
    mend = spoiling.befall(SimpleNamespace(photos=path.parent), tmp_path / "others")
    assert not path.exists() or path.read_bytes() != b"photo"
    mend()
    assert path.read_bytes() == b"photo"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_whole_inputs_are_taken(tmp_path, monkeypatch):
    """Else it would show nothing that changed ones are refused."""
    material = tmp_path / "material"
    inputs.make_material(material)
    contained.import_commands()
    monkeypatch.setattr(inputs, "changed", lambda data, name, draws: data)
    ended = []
    call = inputs.call
    monkeypatch.setattr(inputs, "call", lambda *words: ended.append(call(*words)) or ended[-1])
    first = {name: inputs.ROUND.index(name) for name in inputs.kinds()}
    for name, number in first.items():
        case = inputs.try_case(Asked("inputs", 0, range(1), tmp_path), material, number)
        assert case.findings == [], name
        assert ended[-1].status == 0, (name, ended[-1].err)
    shutil.rmtree(material)
