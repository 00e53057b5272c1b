"""Folders in which sweeps run as real processes, and what to wait for."""

import os
import re
import signal
import time
from collections import Counter

import optuna
import pytest
from optuna.trial import TrialState

from tests.studies.conftest import TINY_QUESTION, write_question
from tests.tiny import read_photos


class Site:
    """A folder with a question, in which sweeps are started."""

    def __init__(self, folder, start, **question):
        self.folder = folder
        self._start = start
        # Epochs of half a second, so that there is something to interrupt.
        data = {**TINY_QUESTION["base"]["data"], "samples_per_epoch": 64}
        base = {**TINY_QUESTION["base"], "data": data}
        write_question(folder / "sweeps", **{"epochs": 4, "base": base, **question})
        self.study = folder / "runs" / "tiny"

    def start(self, *options):
        return self._start("sweep", "tiny", *options, folder=self.folder)

    def run(self, *options):
        return ended(self.start(*options))

    def trials(self):
        study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{self.study / 'study.db'}")
        return study.get_trials()

    def checkpoint(self, trial, name):
        return self.study / "trials" / f"trial-{trial:03d}" / "checkpoints" / name

    def is_resumable(self, trial, epoch):
        """Whether the trial could go on after ``epoch``."""
        scored, last = self.checkpoint(trial, f"epoch-{epoch:03d}.pt"), "last.ckpt"
        last = self.checkpoint(trial, last)
        return (
            scored.exists()
            and last.exists()
            and last.stat().st_mtime_ns > scored.stat().st_mtime_ns
        )


def ended(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


def wait_until_all_are_gone(group, seconds=60):
    """Wait until no process of the group is left."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    os.killpg(group, signal.SIGKILL)
    pytest.fail("worker processes outlived the sweep")


def epochs_trained(*outputs):
    """How often each (trial, epoch) was announced."""
    return Counter(
        (int(trial), int(epoch))
        for output in outputs
        for trial, epoch in re.findall(r"^trial (\d+) epoch (\d+)/", output, re.MULTILINE)
    )


def all_epochs(trials, epochs=4):
    return {(trial, epoch) for trial in trials for epoch in range(1, epochs + 1)}


def assert_complete(site, count, epochs=4):
    trials = site.trials()
    assert [trial.number for trial in trials] == list(range(count))
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * count
    assert len({tuple(trial.params.items()) for trial in trials}) == count
    for trial in trials:
        photos = read_photos(site.study / "trials" / f"trial-{trial.number:03d}")
        assert set(photos.index.get_level_values("epoch")) == set(range(1, epochs + 1))
