"""`python -m lab.sync`: offline runs go up once, in their group, with their pictures.

What W&B would receive is received by a stand-in on loopback (tests/reporting/wandb_stand_in.py),
sent by W&B's own `wandb sync`. That the real W&B takes it as well is not shown here.
"""

import time

import pytest
from filelock import FileLock
from google.protobuf.message import DecodeError

from lab.sync import main
from tests.tiny import fit_tiny
from tests.tracking.offline_run import records


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two runs of one study and two epochs, recorded offline."""
    folder = tmp_path_factory.mktemp("runs") / "weights"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for number in range(2):
            run = folder / "trials" / f"trial-{number:03d}"
            fit_tiny(run, "--data.validation_crops=2", "--fit.epochs=2", group="weights")
    # W&B's own process may still be writing when a run has ended here.
    end = time.monotonic() + 60
    while not all(map(has_ended, folder.glob("trials/*/wandb/offline-run-*/*.wandb"))):
        assert time.monotonic() < end, "W&B never wrote the end of the runs"
        time.sleep(0.1)
    return folder


def has_ended(file):
    try:
        return any(record.WhichOneof("record_type") == "exit" for record in records(file))
    except DecodeError:  # the half of a record is written
        return False


def test_runs_go_up_once_in_their_group_with_their_pictures(study, wandb_server, capsys):
    assert main([str(study), "--dry-run"]) == 0
    assert "would send 2" in capsys.readouterr().out
    assert wandb_server.queries == []

    assert main([str(study)]) == 0
    assert "sent 2, sent earlier 0" in capsys.readouterr().out
    begun = [asked for asked in wandb_server.asked("upsertBucket") if asked["groupName"]]
    assert sorted(asked["displayName"] for asked in begun) == ["trial-000", "trial-001"]
    assert {asked["groupName"] for asked in begun} == {"weights"}

    scored = [step for _, step in wandb_server.history() if "val/hole_psnr" in step]
    assert sorted(step["epochs_trained"] for step in scored) == [1, 1, 2, 2]
    pictures = [name for name in wandb_server.uploads if name.startswith("media/images/visuals/")]
    on_disk = {
        path.relative_to(folder).as_posix()
        for folder in study.glob("trials/*/wandb/offline-run-*/files")
        for path in folder.glob("media/images/**/*.png")
    }
    assert set(pictures) == on_disk
    assert len(on_disk) > 6, "six photos in several stages and epochs"

    asked, streamed = len(wandb_server.queries), len(wandb_server.streams)
    assert main([str(study)]) == 0
    assert "sent 0, sent earlier 2" in capsys.readouterr().out
    assert (len(wandb_server.queries), len(wandb_server.streams)) == (asked, streamed)


def test_a_run_that_is_being_trained_is_left_for_later(study, wandb_server, capsys):
    markers = list(study.glob("trials/*/wandb/offline-run-*/*.synced"))
    for marker in markers:
        marker.unlink()
    with FileLock(study / "trials" / "trial-000" / "running.lock"):
        assert main([str(study), "--dry-run"]) == 0
    assert "would send 1, sent earlier 0, still being trained 1" in capsys.readouterr().out


def test_without_a_login_it_says_how(study, start, monkeypatch, tmp_path):
    for marker in study.glob("trials/*/wandb/offline-run-*/*.synced"):
        marker.unlink()
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    # A process of its own: W&B remembers within one that somebody was logged in.
    process = start("sync", study, folder=tmp_path, tracking="online", cold=True)
    _, error = process.communicate()
    assert process.returncode == 2
    assert "wandb login" in error


def test_a_server_that_refuses_is_told_and_nothing_is_marked(study, wandb_server, capsys):
    wandb_server.reply = lambda asked: None  # "data": null, as for a key without rights
    for marker in study.glob("trials/*/wandb/offline-run-*/*.synced"):
        marker.unlink()
    assert main([str(study)]) == 1
    shown = capsys.readouterr()
    assert "failed 2" in shown.out
    assert "W&B said" in shown.err
    assert not list(study.glob("trials/*/wandb/offline-run-*/*.synced"))


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_nothing_is_sent_where_the_person_asked_for_that(
    study, wandb_server, capsys, monkeypatch, mode
):
    monkeypatch.setenv("WANDB_MODE", mode)
    assert main([str(study)]) == 2
    assert f"WANDB_MODE={mode} asks for nothing to be sent" in capsys.readouterr().err
    assert wandb_server.queries == []


def test_a_folder_without_offline_runs_is_refused_in_words(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "no offline W&B run" in capsys.readouterr().err
