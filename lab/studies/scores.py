"""The scores of one evaluation on the terminal: means, bins of hole ratio, paired differences."""

import pandas as pd
from rich.console import Console
from rich.table import Table

from lab.metrics import METRICS, ratio_bin
from lab.results import Run, Study, score_text
from lab.studies.result_table import plain_table

_SHOWN = ("hole_psnr", "hole_ssim", "hole_rmse", "rim_ssim", "hole_blur")
_COMPARED = ("hole_ssim", "hole_psnr")


def print_scores(study: Study, console: Console) -> None:
    """Print what a network scored beside the baselines, overall, by hole ratio, and paired.

    Args:
        study: a run with ``baselines/`` in its folder, opened as a study.
        console: where to print.
    """
    network, *baselines = study.runs
    bins = network.best_scores["hole_ratio"].map(ratio_bin)
    console.print(_means(study))
    for sentence in _best_answers(network):
        console.print(sentence, highlight=False, soft_wrap=True)
    if bins.nunique() > 1:
        console.print(_by_bin(study, bins))
    for other in baselines:
        for metric in _COMPARED:
            difference = study.compare(network, other, metric)
            console.print(
                f"{metric} against {other.label}: {difference.sentence}",
                highlight=False,
                soft_wrap=True,
            )
    console.print(f"Everything is in {study.folder}", soft_wrap=True, highlight=False)


def _best_answers(run: Run) -> list[str]:
    """Say what the best of several answers scored, beside their mean, which tables show."""
    said = []
    for column in run.best_scores:
        metric, best_of, count = str(column).partition("_best_of_")
        if best_of and metric in _COMPARED:
            mean, best = (score_text(metric, run.mean(name)) for name in (metric, str(column)))
            said.append(
                f"{metric}: {mean} is the mean over {count} answers to each hole; the best of "
                f"{count}, chosen by the truth, has {best}"
            )
    return said


def _means(study: Study) -> Table:
    table = plain_table(f"Mean ± standard deviation over {study.runs[0].rests_on}")
    table.add_column("", no_wrap=True)
    for metric in _SHOWN:
        arrow = "↑" if METRICS[metric].higher_is_better else "↓"
        table.add_column(f"{metric} {arrow}", justify="right", no_wrap=True)
    for run in study.runs:
        cells = (score_text(metric, run.mean(metric), run.spread(metric)) for metric in _SHOWN)
        table.add_row(run.label, *cells)
    return table


def _by_bin(study: Study, bins: pd.Series) -> Table:
    table = plain_table("Mean by hole ratio")
    table.add_column("", no_wrap=True)
    table.add_column("metric")
    names = sorted(set(bins))
    for name in names:
        table.add_column(f"{name} ({int((bins == name).sum())})", justify="right", no_wrap=True)
    for run in study.runs:
        for metric in ("hole_psnr", "hole_ssim", "hole_rmse"):
            means = run.best_scores[metric].groupby(bins).mean()
            table.add_row(run.label, metric, *(score_text(metric, means[name]) for name in names))
    return table
