"""The scores of one evaluation on the terminal: means, bins of hole ratio, paired differences."""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table

from lab.metrics import ALL_METRICS, PERCEPTUAL_METRICS, REMOVAL_METRICS, ratio_bin
from lab.results import Run, Study, score_text
from lab.statistics import rests_on
from lab.studies.result_table import plain_table

# How true a fill is, and, last, how real: what agrees with the eye (docs/findings.md).
_SHOWN = ("hole_psnr", "hole_ssim", "rim_ssim", "hole_texture")
_COMPARED = ("hole_ssim", "hole_psnr", "hole_texture")
_ASKED = (*REMOVAL_METRICS, *PERCEPTUAL_METRICS)
_BY_BIN = ("hole_psnr", "hole_ssim", "hole_rmse")


def print_scores(study: Study, console: Console, shown: Sequence[Run] | None = None) -> None:
    """Print what was scored, overall, by hole ratio, and paired against the best of ours.

    Means are over the samples that all have; the differences over what both of a pair have.

    Args:
        study: what `lab.evaluate` wrote, opened as a study, or one that it added to.
        console: where to print.
        shown: only these of its runs; intervals are those of the whole study all the same.
    """
    anchor = study.compared_with
    assert anchor is not None, "something was scored"
    runs = study.runs if shown is None else shown
    # The goals of a study are what is asked; those of an evaluation are among the rest anyway.
    goals = study.goals if study.optuna_study is not None else ()
    common = _common_samples(runs)
    if len(common):
        _print_means(runs, common, goals, console)
        for sentence in _best_answers(anchor):
            console.print(sentence, highlight=False, soft_wrap=True)
        bins = anchor.best_scores.loc[common, "hole_ratio"].map(ratio_bin)
        if bins.nunique() > 1:
            console.print(_by_bin(runs, bins))
    if any(len(run.distributions) for run in runs):
        console.print(_distributions(runs))
    for other in runs:
        shared = anchor.best_scores.index.intersection(other.best_scores.index)
        if other is anchor or not len(shared):
            continue
        for metric in dict.fromkeys((*goals, *_COMPARED, *_ASKED)):
            if metric not in anchor.best_scores or metric not in other.best_scores:
                continue
            difference = study.compare(anchor, other, metric)
            against = f"{metric} against {other.label}"
            console.print(
                f"{against if len(study.trials) == 1 else f'{anchor.label}: {against}'}: "
                f"{difference.sentence}",
                highlight=False,
                soft_wrap=True,
            )
    console.print(f"Everything is in {study.folder}", soft_wrap=True, highlight=False)


def _common_samples(runs: Sequence[Run]) -> pd.Index:
    common = runs[0].best_scores.index
    for run in runs[1:]:
        common = common.intersection(run.best_scores.index, sort=False)
    return common


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


def _print_means(
    runs: Sequence[Run], samples: pd.Index, goals: Sequence[str], console: Console
) -> None:
    """Every metric that all runs have, in as many tables as the console's width asks for."""
    left = [
        metric
        for metric in dict.fromkeys((*goals, *_SHOWN, *_ASKED))
        if all(metric in run.best_scores for run in runs)
    ]
    photos = runs[0].best_scores.loc[samples, "photo"].nunique()
    title = f"Mean ± standard deviation over {rests_on(len(samples), photos)}"
    while left:
        tables = [_means(title, runs, samples, left[: end + 1]) for end in range(len(left))]
        most = max(1, sum(_fits(table, console) for table in tables))
        console.print(tables[most - 1])
        left = left[most:]


def _fits(table: Table, console: Console) -> bool:
    # As wide as it would be: measured within the console's own width it always fits.
    freely = console.options.update(max_width=100_000)
    return console.measure(table, options=freely).maximum <= console.width


def _means(title: str, runs: Sequence[Run], samples: pd.Index, metrics: Sequence[str]) -> Table:
    table = plain_table(title)
    table.add_column("", no_wrap=True)
    for metric in metrics:
        arrow = "↑" if ALL_METRICS[metric].higher_is_better else "↓"
        table.add_column(f"{metric} {arrow}", justify="right", no_wrap=True)
    for run in runs:
        scores = run.best_scores.loc[samples]
        cells = (score_text(name, scores[name].mean(), scores[name].std()) for name in metrics)
        table.add_row(run.label, *cells)
    return table


def _distributions(runs: Sequence[Run]) -> Table:
    names = list(dict.fromkeys(str(name) for run in runs for name in run.distributions.index))
    table = plain_table("All photos together ± standard deviation over parts of them")
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(f"{name} {'↑' if name == 'inception_score' else '↓'}", justify="right")
    for run in runs:
        found = run.distributions
        cells = []
        for name in names:
            if name not in found.index:
                cells.append("–")
                continue
            value, spread, _ = found.loc[name]
            told = f" ± {spread:.4f}" if pd.notna(spread) else ""
            cells.append(f"{value:.4f}{told}")
        table.add_row(run.label, *cells)
    return table


def _by_bin(runs: Sequence[Run], bins: pd.Series) -> Table:
    table = plain_table("Mean by hole ratio")
    table.add_column("", no_wrap=True)
    table.add_column("metric")
    names = sorted(set(bins))
    for name in names:
        table.add_column(f"{name} ({int((bins == name).sum())})", justify="right", no_wrap=True)
    for run in runs:
        scores = run.best_scores.loc[bins.index]
        for metric in (*_BY_BIN, *REMOVAL_METRICS):
            if metric in scores:
                means = scores[metric].groupby(bins).mean()
                row = (score_text(metric, means[name]) for name in names)
                table.add_row(run.label, metric, *row)
    return table
