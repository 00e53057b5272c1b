"""Sweeps as real processes: killed, interrupted, and several at once."""

import os
import signal
import time
from collections import Counter

import pytest
from optuna.trial import TrialState

from tests.studies.sites import (
    Site,
    all_epochs,
    assert_complete,
    ended,
    epochs_trained,
    wait_until_all_are_gone,
)
from tests.tiny import wait_until

pytestmark = pytest.mark.slow


def test_an_interrupted_and_then_killed_sweep_loses_only_the_running_epoch(tmp_path, start):
    site = Site(tmp_path, start, trials=2)
    command = ("--workers", "1")

    # Told to end, as by a job whose time is over, in the first trial.
    process = site.start(*command, "--fresh")
    wait_until(process, lambda: site.is_resumable(0, 1))
    process.send_signal(signal.SIGTERM)
    first, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "python -m lab.sweep tiny --workers 1\n" in errors
    assert "Traceback" not in errors
    wait_until_all_are_gone(process.pid)
    assert site.trials()[0].state is TrialState.RUNNING
    done = epochs_trained(first)
    assert (0, 1) in done
    assert (0, 4) not in done

    # kill -9 in the second.
    process = site.start(*command)
    wait_until(process, lambda: site.is_resumable(1, 2))
    time.sleep(0.1)  # sixteen steps take longer
    os.killpg(process.pid, signal.SIGKILL)
    second, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert epochs_trained(second).keys() == all_epochs([0]) - done.keys() | {(1, 1), (1, 2)}
    before = site.trials()
    assert [trial.state for trial in before] == [TrialState.COMPLETE, TrialState.RUNNING]
    kept = [site.study / "trials" / "trial-000" / "photos.csv"]
    kept += [site.checkpoint(1, f"epoch-{epoch:03d}.pt") for epoch in (1, 2)]
    stamps = [path.stat().st_mtime_ns for path in kept]

    third = site.run(*command)
    assert "Going on with 1 finished trials" in third
    assert epochs_trained(third).keys() == {(1, 3), (1, 4)}
    assert [path.stat().st_mtime_ns for path in kept] == stamps
    assert_complete(site, 2)
    assert [trial.params for trial in site.trials()] == [trial.params for trial in before]
    assert set(epochs_trained(first, second, third).values()) == {1}


def test_two_processes_share_a_study_and_run_no_trial_twice(tmp_path, start):
    site = Site(tmp_path, start, trials=3, epochs=2)
    processes = [site.start("--workers", "1") for _ in range(2)]
    outputs = [ended(process) for process in processes]
    assert epochs_trained(*outputs) == Counter(all_epochs(range(3), 2))
    assert_complete(site, 3, epochs=2)


def test_workers_share_a_study_stop_with_it_and_go_on_with_it(tmp_path, start):
    site = Site(tmp_path, start, trials=3, epochs=3)
    command = ("--workers", "2", "--data.workers=1")
    outputs = []

    # The main process killed: its workers must not go on unseen, holding their trials.
    process = site.start(*command)
    wait_until(process, lambda: site.is_resumable(0, 1) and site.is_resumable(1, 1))
    process.kill()
    outputs.append(process.communicate(timeout=60)[0])
    wait_until_all_are_gone(process.pid)
    assert [trial.state for trial in site.trials()] == [TrialState.RUNNING] * 2

    # Ctrl-C reaches all processes of a terminal.
    process = site.start(*command)
    wait_until(process, lambda: site.is_resumable(0, 2) and site.is_resumable(1, 2))
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=90)
    outputs.append(output)
    assert process.returncode == 130, errors
    assert "python -m lab.sweep tiny --workers 2 --data.workers=1" in errors
    assert "Traceback" not in errors
    wait_until_all_are_gone(process.pid)

    outputs.append(site.run(*command))
    assert_complete(site, 3, epochs=3)
    # What a killed process had finished but not yet told may be missing; nothing was done twice.
    trained = epochs_trained(*outputs)
    assert set(trained.values()) == {1}
    assert trained.keys() >= all_epochs([2], 3)
    assert "Best by hole_psnr" in outputs[-1]
