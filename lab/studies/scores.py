"""What a scored network reached, beside methods without one, over all samples and by hole ratio."""

from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from lab.metrics import METRICS, ratio_bin
from lab.selection import compare_scores
from lab.studies.result_table import plain_table, score_text
from lab.studies.results import BASELINES, by_photo
from lab.tracking import PhotoRecords

_SHOWN = ("hole_psnr", "hole_ssim", "hole_rmse", "rim_ssim")
_COMPARED = ("hole_psnr", "hole_ssim")


def print_scores(folder: Path, console: Console) -> None:
    """Print means and spreads, each bin's means, and the paired difference to each baseline.

    Args:
        folder: of a scored network, with ``baselines/<name>`` beside its ``photos.csv``.
        console: where to.
    """
    network = by_photo(PhotoRecords(folder / "photos.csv").read())
    rows = {folder.name: network}
    for label in BASELINES:
        path = folder / "baselines" / label / "photos.csv"
        rows[label] = by_photo(PhotoRecords(path).read())
    console.print(_means(rows))
    bins = network["hole_ratio"].map(ratio_bin)
    if bins.nunique() > 1:
        console.print(_by_bin(rows, bins))
    for label, other in list(rows.items())[1:]:
        for metric in _COMPARED:
            difference = compare_scores(network, other, metric)
            console.print(
                f"{metric} against {label}: {difference}; better on "
                f"{difference.share_won:.0%} of {difference.photos} samples",
                highlight=False,
                soft_wrap=True,
            )
    console.print(f"Every sample's scores: {folder / 'photos.csv'}", soft_wrap=True)


def _means(rows: dict[str, pd.DataFrame]) -> Table:
    count = len(next(iter(rows.values())))
    table = plain_table(f"Mean ± standard deviation over {count} samples")
    table.add_column("", no_wrap=True)
    for metric in _SHOWN:
        arrow = "↑" if METRICS[metric].higher_is_better else "↓"
        table.add_column(f"{metric} {arrow}", justify="right", no_wrap=True)
    for label, photos in rows.items():
        cells = (
            score_text(metric, photos[metric].mean(), photos[metric].std()) for metric in _SHOWN
        )
        table.add_row(label, *cells)
    return table


def _by_bin(rows: dict[str, pd.DataFrame], bins: pd.Series) -> Table:
    table = plain_table("Mean by hole ratio")
    table.add_column("", no_wrap=True)
    table.add_column("metric")
    names = sorted(set(bins))
    for name in names:
        table.add_column(f"{name} ({(bins == name).sum()})", justify="right", no_wrap=True)
    for label, photos in rows.items():
        for metric in ("hole_psnr", "hole_ssim", "hole_rmse"):
            means = photos[metric].groupby(bins).mean()
            table.add_row(label, metric, *(score_text(metric, means[name]) for name in names))
    return table
