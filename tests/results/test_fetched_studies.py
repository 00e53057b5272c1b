"""A study that other machines ran, read on one that has nothing of it: pages, choices, networks."""

import json
import shutil

import optuna
import pytest

from lab import report, select
from lab.results import ARTIFACTS, ResultsError, open_storage, open_study, store_run
from tests.reporting.studies import write_run

PHOTOS = ("cat", "lake")
EPOCHS = 2


@pytest.fixture
def there(tmp_path):
    """Where the study is kept, and its files: a journal and a folder that all machines reach."""
    journal, store = f"journal:{tmp_path / 'there' / 'studies.journal'}", tmp_path / "store"
    store.mkdir()
    study = begin(journal, "weights", tmp_path / "a")
    study.set_user_attr(ARTIFACTS, str(store))
    for number in range(2):
        trial, run = study.ask(), tmp_path / "a" / "weights" / "trials" / f"trial-{number:03d}"
        write_run(run, PHOTOS, EPOCHS, quality=0.01 * number, trial=number)
        store_run(study, trial.number, run, str(store))
        study.tell(trial, 0.5 + number)
    return journal, store


def begin(journal, name, folder):
    return optuna.create_study(
        study_name=name, storage=open_storage(journal, folder / name), direction="maximize"
    )


def networks(folder):
    return sorted(path.name for path in folder.rglob("epoch-*.pt"))


def test_a_page_is_made_where_nothing_of_the_study_is(there, tmp_path, capsys):
    journal, _ = there
    folder = tmp_path / "b" / "runs" / "weights"
    assert report.main([str(folder), "--storage", journal]) == 0, capsys.readouterr().err
    page = (folder / "report" / "index.html").read_text()
    assert "trial 0" in page
    assert "trial 1" in page
    pictures = list((folder / "trials").rglob("epoch-002-completed.png"))
    assert len(pictures) == 2 * len(PHOTOS)
    # A network an epoch is what takes the most room, and no page shows one, or says it is there.
    assert networks(folder) == []
    assert "lab.inpaint" not in page
    # Where it is kept is known from now on.
    capsys.readouterr()
    assert report.main([str(folder)]) == 0, capsys.readouterr().err


def test_a_choice_is_made_where_nothing_of_the_study_is(there, tmp_path, capsys):
    journal, _ = there
    folder = tmp_path / "b" / "weights"
    assert select.main([str(folder), "--storage", journal]) == 0, capsys.readouterr().err
    # What is chosen is a file that is there.
    chosen = folder / "trials" / "trial-001" / "checkpoints" / "epoch-002.pt"
    said = capsys.readouterr().out
    assert f"Chosen: {chosen}" in said
    assert "its file is gone" not in said
    assert chosen.exists()
    assert len(networks(folder)) == 2 * EPOCHS


def test_networks_are_fetched_for_who_needs_them_alone(there, tmp_path):
    journal, _ = there
    folder = tmp_path / "b" / "weights"
    shown = open_study(folder, journal, networks=False)
    assert [run.name for run in shown.ranked] == ["trial-001", "trial-000"]
    assert [run.checkpoint for run in shown.ranked] == [None, None]
    assert shown.results["checkpoint"].isna().all()
    assert networks(folder) == []
    # They come when they are asked for, and what is there is shown.
    assert [run.checkpoint.exists() for run in open_study(folder).ranked] == [True, True]
    assert open_study(folder, networks=False).results["checkpoint"].notna().all()


def test_picturing_more_photos_fetches_the_networks(there, tmp_path):
    journal, _ = there
    folder = tmp_path / "b" / "weights"
    assert report.main([str(folder), "--storage", journal, "--pictured", "1"]) == 0
    assert len(networks(folder)) == 2 * EPOCHS


@pytest.mark.parametrize("command", [report, select])
def test_the_files_may_be_reached_at_another_path(there, tmp_path, capsys, command):
    journal, store = there
    folder, mounted = tmp_path / "b" / "weights", tmp_path / "mounted"
    store.rename(mounted)
    given = [str(folder), "--storage", journal]
    assert command.main(given) == 2
    said = capsys.readouterr().err
    assert f"come together in {store}, which is no folder on this machine: mount it" in said
    assert command.main([*given, "--artifacts", str(tmp_path / "elsewhere")]) == 2
    assert "give --artifacts as it is reached here" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    assert command.main([*given, "--artifacts", str(mounted)]) == 0, capsys.readouterr().err
    assert len(open_study(folder).ranked) == 2, "the folder notes where"
    assert json.loads((folder / "study.json").read_text())["artifacts"] == str(mounted)


def test_a_folder_that_notes_the_path_of_then_takes_the_one_of_now(there, tmp_path):
    journal, store = there
    folder, mounted = tmp_path / "b" / "weights", tmp_path / "mounted"
    open_study(folder, journal, artifacts=str(store))
    shutil.rmtree(folder / "trials")
    store.rename(mounted)
    assert len(open_study(folder, journal, artifacts=str(mounted)).ranked) == 2
    with pytest.raises(ResultsError, match="--artifacts goes with --storage"):
        open_study(folder, artifacts=str(mounted))


@pytest.mark.parametrize("command", [report, select])
@pytest.mark.parametrize("name", ["weight", "begun", "none"])
def test_where_no_such_study_is_nothing_is_left_behind(there, tmp_path, capsys, command, name):
    journal, _ = there
    if name == "begun":
        # Its machines share a folder, and no store.
        begin(journal, name, tmp_path / "a")
    if name == "none":
        journal = f"journal:{tmp_path / 'nowhere' / 'studies.journal'}"
    before = sorted(tmp_path.rglob("*"))
    assert command.main([str(tmp_path / "b" / "runs" / name), "--storage", journal]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    expected = {
        "weight": "holds no study 'weight', but 'weights'",
        "begun": "lie in the folder of its runs alone",
        "none": "cannot be read from journal:",
    }
    assert expected[name] in said
    assert sorted(tmp_path.rglob("*")) == before
