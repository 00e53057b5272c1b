"""The machines of one training: which of them is taken for lost, and when."""

import shutil
import time

import pytest

import lab.machine_watch
from lab.heartbeats import SignsInFolder
from lab.machine_watch import FOLDER, MachineWatch

SOON = 1.0


@pytest.fixture
def said(monkeypatch):
    """What the process would have ended with."""
    ended = []
    monkeypatch.setattr(lab.machine_watch, "LOST_AFTER", SOON)
    monkeypatch.setattr(lab.machine_watch, "end_at_once", lambda error: ended.append(str(error)))
    return ended


def signs_in(run):
    return SignsInFolder(run / FOLDER, "machine")


def test_a_machine_without_signs_of_life_ends_this_one_with_its_number(tmp_path, said):
    with MachineWatch(tmp_path, 0, [1, 2]) as watch:
        signs_in(tmp_path).begin(1)
        signs_in(tmp_path).begin(2)
        watch.begin()
        until = time.monotonic() + 30
        while not said and time.monotonic() < until:
            signs_in(tmp_path).beat(1)
            time.sleep(SOON / 10)
    assert said[0] == (
        "machine 2 gave no sign of life for 1 seconds: see what it said. Nothing that was finished "
        "is lost: the same command goes on"
    )


def test_machines_that_live_end_nobody_and_leave_nothing(tmp_path, said):
    with MachineWatch(tmp_path, 0, [1]) as first:
        with MachineWatch(tmp_path, 1, [0]) as second:
            first.begin()
            second.begin()
            time.sleep(3 * SOON)
        # The second has ended as it should, and is not waited for.
        time.sleep(3 * SOON)
        assert (tmp_path / FOLDER).is_dir()
    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_a_machine_that_failed_is_taken_for_lost(tmp_path, said):
    with MachineWatch(tmp_path, 0, [1]) as first:
        first.begin()
        with pytest.raises(ValueError, match="here"), MachineWatch(tmp_path, 1, [0]):
            raise ValueError("here")
        until = time.monotonic() + 30
        while not said and time.monotonic() < until:
            time.sleep(SOON / 10)
    assert said[0].startswith("machine 1 gave no sign")


def test_a_folder_that_is_away_says_nothing_of_anybody(tmp_path, said):
    with MachineWatch(tmp_path, 0, [1]) as first, MachineWatch(tmp_path, 1, [0]):
        first.begin()
        time.sleep(SOON / 2)
        shutil.rmtree(tmp_path / FOLDER)
        time.sleep(3 * SOON)
    assert said == []


def test_one_machine_leaves_no_signs(tmp_path, said):
    with MachineWatch(tmp_path, 0, []) as watch:
        watch.begin()
        assert list(tmp_path.iterdir()) == []
