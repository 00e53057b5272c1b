"""Pruning by several goals: whose scores count, when it is asked, and what is said of it."""

import shutil

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from lab.studies import Pruning, Question, Search
from lab.studies.pruning import FrontPruner
from tests.reporting.studies import HOLE, write_study
from tests.studies.conftest import LEARNING_RATE
from tests.studies.test_sweeping import run, trial_run
from tests.tiny import read_photos

GOALS = ["hole_ssim", "hole_l1"]
PHOTOS = [f"photo{index}" for index in range(8)]


@pytest.fixture
def study(tmp_path):
    """Four finished trials of six epochs that gain alike, and the folder of one far behind."""
    folder = write_study(tmp_path / "weights", trials=5, epochs=6, photos=PHOTOS, goals=GOALS)
    for number in range(5):
        path = folder / "trials" / f"trial-{number:03d}" / "photos.csv"
        scores = pd.read_csv(path)
        gained = (0.5 + 0.001 * number) * scores["epoch"] / 6
        spread = (1e-3, 5e-3, 2e-2, 8e-2, 1e-4)[number]
        noise = np.random.default_rng(number).normal(0, spread, (len(scores), 2))
        behind = 1.0 if number == 4 else 0.01 * number
        scores["hole_ssim"] = 0.5 + gained - behind + noise[:, 0]
        scores["hole_l1"] = 1.0 - gained + behind + noise[:, 1]
        scores.to_csv(path, index=False)
    return folder


def finished(folder, state=TrialState.COMPLETE):
    """Optuna's study of the first four trials."""
    found = optuna.create_study(directions=["maximize", "minimize"])
    for number in range(4):
        found.add_trial(
            optuna.trial.create_trial(
                state=state,
                values=[number, number] if state is TrialState.COMPLETE else None,
                params={HOLE: 1.0 + number},
                distributions={HOLE: optuna.distributions.FloatDistribution(0.1, 24.0)},
            )
        )
    return found


def question(**pruning):
    pruning = {"startup_trials": 3, "warmup_epochs": 2, **pruning}
    search = {HOLE: Search(low=0.1, high=24.0)}
    return Question("?", search, GOALS, epochs=6, pruning=Pruning(**pruning))


def reason(folder, epoch=3, trials=None, **pruning):
    pruner = FrontPruner(trials or finished(folder), question(**pruning), folder)
    return pruner.reason(folder / "trials" / "trial-004", epoch)


def test_it_is_said_which_trial_dominates_by_what_and_when(study):
    said = reason(study)
    assert "trial 0 is ahead by hole_ssim and hole_l1 after epoch 3" in said


def test_it_is_asked_from_warm_up_to_the_epoch_before_the_last(study):
    assert [epoch for epoch in range(1, 8) if reason(study, epoch)] == [3, 4, 5]
    assert [epoch for epoch in range(1, 8) if reason(study, epoch, warmup_epochs=4)] == [5]
    assert reason(study, enabled=False) is None


def test_only_trials_that_ran_to_their_end_count(study):
    assert reason(study, startup_trials=4)
    assert reason(study, startup_trials=5) is None
    for state in (TrialState.RUNNING, TrialState.FAIL, TrialState.PRUNED):
        assert reason(study, trials=finished(study, state)) is None


def test_trials_that_cannot_be_read_here_do_not_count_and_do_no_harm(study):
    trials = study / "trials"
    shutil.rmtree(trials / "trial-000")  # of another machine's folder
    assert "trial 1 is ahead" in reason(study)
    (trials / "trial-001" / "photos.csv").write_bytes(b"\x00damaged")
    assert reason(study) is None
    assert "trial 2 is ahead" in reason(study, startup_trials=2)
    table = pd.read_csv(trials / "trial-002" / "photos.csv")
    table.drop(columns="hole_l1").to_csv(trials / "trial-002" / "photos.csv", index=False)
    assert reason(study, startup_trials=2) is None
    table[table["epoch"] < 6].to_csv(trials / "trial-002" / "photos.csv", index=False)
    assert reason(study, startup_trials=2) is None
    table[table["sample"] != PHOTOS[0]].to_csv(trials / "trial-002" / "photos.csv", index=False)
    assert reason(study, startup_trials=2) is None
    (trials / "trial-004" / "photos.csv").unlink()
    assert reason(study, startup_trials=1) is None


def test_a_dominated_trial_of_a_sweep_is_ended_and_says_why(begin, monkeypatch):
    asked = []

    def dominated(trial, now, last, photos, higher_is_better, looks):
        asked.append((trial.shape, now.shape, last.shape, len(set(photos)), looks))
        return 0 if len(now) == 2 else None

    monkeypatch.setattr("lab.studies.pruning.dominated_by", dominated)
    sweep = begin(
        {
            "goal": ["hole_l1", "whole_psnr"],
            "trials": 3,
            "epochs": 3,
            "first": [{LEARNING_RATE: 1e-4}, {LEARNING_RATE: 1e-3}],
            "pruning": {"startup_trials": 1, "warmup_epochs": 1},
        }
    )
    results, printed = run(sweep)
    assert asked == [((6, 2), (2, 6, 2), (2, 6, 2), 3, 1)]
    trials = sweep.open().get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2 + [TrialState.PRUNED]
    for trial in trials[:2]:
        table = read_photos(trial_run(sweep, trial.number)).unstack("metric")
        means = table.groupby("epoch").mean().loc[3]
        # By several goals no epoch is the best: all are judged after the same training.
        assert trial.values == pytest.approx([means["hole_l1"], means["whole_psnr"]], rel=1e-5)
    (pruned,) = results.study.others
    assert (pruned.state, pruned.last) == ("pruned", 2)
    assert pruned.reason.startswith("trial 0 is ahead by hole_l1 and whole_psnr after epoch 2")
    assert printed.count(f"trial 2 pruned: {pruned.reason}") == 2  # as it ends, and at the end
    assert "Pruning saved 11% of the epochs (8 run of 9 planned)" in printed
    table = pd.read_csv(sweep.folder / "results.csv").set_index("label")
    assert table.loc["trial 2", "reason"] == pruned.reason
    means = [row.mean("hole_l1") for row in results.study.ranked]
    assert means == sorted(means)
    assert "hole_l1 ↓" in printed
    assert "whole_psnr ↑" in printed


def test_the_sampler_draws_on_beside_pruned_trials_of_several_goals(begin, monkeypatch):
    monkeypatch.setattr("lab.studies.pruning.dominated_by", lambda *_: 0)
    pruning = {"startup_trials": 1, "warmup_epochs": 0}
    goals = ["hole_l1", "whole_psnr"]
    sweep = begin({"goal": goals, "trials": 5, "epochs": 2, "pruning": pruning})
    results, _ = run(sweep)
    assert [trial.state for trial in sweep.open().get_trials()[1:]] == [TrialState.PRUNED] * 4
    assert [row.label for row in results.study.front] == ["trial 0"]
