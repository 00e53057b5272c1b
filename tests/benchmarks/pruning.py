"""What pruning by several goals saves and loses: simulated studies, and a real one run to its end.

python -m tests.benchmarks.pruning                 # simulations
python -m tests.benchmarks.pruning runs/STUDY      # replays a study that was run without pruning
"""

import sys

import numpy as np

from lab.metrics import METRICS
from lab.results import open_study
from tests.statistics.simulated_studies import KnownStudy, front, kept, replay, simulate_study

SHAPES = (
    {"trials": 16, "epochs": 4},
    {"trials": 16, "epochs": 12, "photos": 13},
    {"trials": 16, "epochs": 12},
    {"trials": 40, "epochs": 12},
    {"trials": 40, "epochs": 20},
    {"trials": 40, "epochs": 20, "waste": 0.01},
    {"trials": 40, "epochs": 20, "waste": 0.06},
)


def known(folder):
    """The trials on disk that ran to their end, in their order; and how many were named."""
    study = open_study(folder)
    runs = sorted(
        (run for run in study.trials if run.state == "complete"), key=lambda run: run.place
    )
    samples = runs[0].best_scores.index
    scores = [
        [run.scores_at(epoch).loc[samples, study.goals].to_numpy() for epoch in run.epochs.index]
        for run in runs
    ]
    higher = tuple(METRICS[goal].higher_is_better for goal in study.goals)
    photos = list(runs[0].best_scores.loc[samples, "photo"])
    return KnownStudy(np.array(scores), photos, higher), sum(run.is_reference for run in runs)


def main(folders):
    """Print a line a shape of simulated studies, or a line a trial of each folder's study."""
    for folder in folders:
        study, named = known(folder)
        run = replay(study, named)
        on_front, ends = front(study.ends), study.ends
        for trial, ended in enumerate(run):
            mark = "front" if trial in on_front else ""
            print(f"trial {trial:2} {ended:3} epochs  {np.round(ends[trial], 4)} {mark}")
        whole, share, epochs = kept(study, run)
        print(f"{folder}: front kept {whole}, hypervolume {share:.4f}, epochs {epochs:.0%}")
    for shape in SHAPES if not folders else ():
        studies = [simulate_study(seed, **shape) for seed in range(100)]
        found = np.array([kept(study, replay(study)) for study in studies], dtype=float)
        print(
            f"{shape}: front kept {found[:, 0].mean():.0%}, within 1 % of its hypervolume "
            f"{(found[:, 1] > 0.99).mean():.0%}, epochs {found[:, 2].mean():.0%} "
            f"(front of {np.mean([len(front(study.ends)) for study in studies]):.1f})"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
