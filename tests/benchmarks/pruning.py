"""What pruning by several goals saves and loses: simulated studies, and a real one run to its end.

python -m tests.benchmarks.pruning              # simulations
python -m tests.benchmarks.pruning runs/STUDY   # replays a study that was run without pruning,
    --goal hole_ssim,rim_ssim                   # by others than its own goals: all are recorded

Beside the share of the epochs that is run stands the least that any rule could do: one that knows
the front and ends all others after the first look.
"""

import argparse
from pathlib import Path

import numpy as np

from lab.metrics import METRICS
from lab.results import open_study
from tests.statistics.known_studies import KnownStudy, front, kept, replay, simulate_study

SHAPES = (
    {"trials": 16, "epochs": 4},
    {"trials": 16, "epochs": 12, "photos": 13},
    {"trials": 16, "epochs": 12},
    {"trials": 40, "epochs": 12},
    {"trials": 40, "epochs": 20},
    {"trials": 40, "epochs": 20, "waste": 0.01},
    {"trials": 40, "epochs": 20, "waste": 0.06},
)


def known(folder, goals):
    """The trials on disk that ran to their end, in their order; and how many were named."""
    study = open_study(folder)
    goals = goals or list(study.goals)
    runs = sorted(
        (run for run in study.trials if run.state == "complete"), key=lambda run: run.place
    )
    samples = runs[0].best_scores.index
    scores = [
        [run.scores_at(epoch).loc[samples, goals].to_numpy() for epoch in run.epochs.index]
        for run in runs
    ]
    higher = tuple(METRICS[goal].higher_is_better for goal in goals)
    photos = list(runs[0].best_scores.loc[samples, "photo"])
    return KnownStudy(np.array(scores), photos, higher), sum(run.is_reference for run in runs)


def least(study, named=1, startup_trials=3, warmup_epochs=2):
    """The share of the epochs that a rule which knows the front would run."""
    trials, epochs = study.scores.shape[:2]
    on_front = front(study.ends)
    runs_on = [trial < max(named, startup_trials) or trial in on_front for trial in range(trials)]
    return np.mean([1.0 if on else (warmup_epochs + 1) / epochs for on in runs_on])


def replay_folder(folder, goals):
    """Print a line a trial, and one of them all."""
    study, named = known(folder, goals)
    run, ends = replay(study, named), study.ends
    for trial, ended in enumerate(run):
        mark = "front" if trial in front(ends) else ""
        print(f"trial {trial:2} {ended:3} epochs  {np.abs(np.round(ends[trial], 4))} {mark}")
    whole, share, epochs = kept(study, run)
    print(
        f"{len(front(ends))} of {len(run)} on the front, {'all' if whole else 'not all'} kept; "
        f"hypervolume {share:.4f}, epochs {epochs:.0%} (at least {least(study, named):.0%})"
    )


def simulate(shape):
    """Print a line of a hundred simulated studies."""
    studies = [simulate_study(seed, **shape) for seed in range(100)]
    found = np.array([kept(study, replay(study)) for study in studies], dtype=float)
    print(
        f"{shape}: front kept {found[:, 0].mean():.0%}, within 1 % of its hypervolume "
        f"{(found[:, 1] > 0.99).mean():.0%}, epochs {found[:, 2].mean():.0%} "
        f"(at least {np.mean([least(study) for study in studies]):.0%})"
    )


def main():
    """Replay the study that is named, or simulate some."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("study", type=Path, nargs="?")
    options.add_argument("--goal")
    given = options.parse_args()
    if given.study is not None:
        replay_folder(given.study, given.goal and given.goal.split(","))
        return
    for shape in SHAPES:
        simulate(shape)


if __name__ == "__main__":
    main()
