"""What networks lose as the borders of their holes are attacked: a curve a way to train.

python -m tests.benchmarks.boundary curve.png --as-drawn STUDY … --attacked STUDY …

Each STUDY is one of ``python -m lab.sweep boundary_strength``, about one network; those of a group
are networks that differ by their seed. Intervals are over photos and seeds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from lab.metrics import ALL_METRICS
from lab.results import open_study
from lab.statistics import Floats, PairedDifference, paired_difference, seed_spread

OPTION = "evaluation.boundary_attack"
GROUPS = {"as_drawn": "trained on holes as drawn", "attacked": "trained with 30 % attacked"}


def losses(folders: Sequence[Path], metric: str) -> tuple[pd.DataFrame, list[str]]:
    """A column a (share, study): each sample's metric less that under the hole as drawn; photos."""
    columns = {}
    for folder in folders:
        study = open_study(folder)
        by_share = {float(run.values[OPTION]): run.best_scores for run in study.ranked}
        plain = by_share[0.0]
        for share, scores in by_share.items():
            columns[share, str(folder)] = scores.loc[plain.index, metric] - plain[metric]
    return pd.DataFrame(columns).sort_index(axis=1), list(plain["photo"])


def difference(
    first: Floats, second: Floats | None, photos: Sequence[str], metric: str
) -> PairedDifference:
    """How much better ``(samples, seeds)`` is than another such table, or than nothing."""
    tables = [first] if second is None else [first, second]
    other = np.zeros(len(first)) if second is None else second.mean(axis=1)
    return paired_difference(
        first.mean(axis=1),
        other,
        ALL_METRICS[metric].higher_is_better,
        photos,
        spread=seed_spread(tables, photos),
        trainings=(first.shape[1], 0 if second is None else second.shape[1]),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table and write the picture."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("picture", type=Path)
    for name in GROUPS:
        options.add_argument(f"--{name.replace('_', '-')}", type=Path, nargs="+", required=True)
    options.add_argument("--metric", default="hole_ssim")
    given = options.parse_args(arguments)
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    found = {name: losses(getattr(given, name), given.metric) for name in GROUPS}
    figure, axes = plt.subplots(figsize=(7, 4.2), dpi=150)
    shares = [share for share in found["as_drawn"][0].columns.unique(0) if share > 0]
    rows = {share: [f"{share:.0%}"] for share in shares}
    for place, (name, title) in enumerate(GROUPS.items()):
        table, photos = found[name]
        curve = [
            difference(table[share].to_numpy(), None, photos, given.metric) for share in shares
        ]
        for share, one in zip(shares, curve, strict=True):
            rows[share].append(one.interval)
        means = np.array([0.0, *(one.mean for one in curve)])
        ends = np.array([(0.0, 0.0), *((one.low, one.high) for one in curve)])
        errors = np.abs(ends.T - means)
        # Beside each other, so that both intervals are seen.
        at = 100 * np.array([0.0, *shares]) + 1.2 * (place - 0.5)
        axes.errorbar(at, means, yerr=errors, marker="o", capsize=3, label=title)
    for share in shares:
        (attacked, photos), (plain, _) = found["attacked"], found["as_drawn"]
        pair = attacked[share].to_numpy(), plain[share].to_numpy()
        gained = difference(*pair, photos, given.metric)
        rows[share].append(gained.interval)
    print("| share | " + " | ".join([*GROUPS.values(), "the second loses less by"]) + " |")
    for row in rows.values():
        print("| " + " | ".join(row) + " |")
    axes.axhline(0.0, color="0.7", linewidth=0.8)
    axes.set_xlabel("share of the holes whose border is attacked, %")
    axes.set_ylabel(f"{given.metric}, better than under holes as drawn by")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(given.picture)


if __name__ == "__main__":
    main()
