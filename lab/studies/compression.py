"""The tables of the deployment notes: what a smaller network loses, by hole ratio, and saves.

The notes print SSIM, PSNR and RMSE of whole photos, the mean over each bin of hole ratio of their
three sets, and the cost of each network. In the hole the differences are larger, and stand beside.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich.console import Console

from lab.cost import Cost
from lab.files import replacing
from lab.metrics import METRICS, ratio_bin
from lab.results import Study, score_text
from lab.statistics import rests_on
from lab.studies.result_table import plain_table

COMPRESSION = "compression.csv"
"""In an evaluation's folder: the table that was printed, a line a set, metric and network."""

_METRICS = tuple(
    f"{where}_{what}" for where in ("whole", "hole") for what in ("ssim", "psnr", "rmse")
)
_COMPARED = ("whole_psnr", "hole_ssim")
_ALL = "all"


def compression_table(studies: Mapping[str, Study]) -> pd.DataFrame:
    """The mean of each metric over the samples of each bin of hole ratio.

    Args:
        studies: the evaluations of the same networks, by the name of their set.

    Returns:
        pd.DataFrame: a row a (set, metric, network), networks in the order of ``Study.trials``; a
        column a bin that any set has, such as ``0.3-0.5``, and ``all``. NaN where a set lacks one.
    """
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for name, study in studies.items():
        for metric in _METRICS:
            for run in study.trials:
                scores = run.best_scores
                means = scores[metric].groupby(scores["hole_ratio"].map(ratio_bin)).mean()
                rows[name, metric, run.label] = {
                    **{str(key): float(value) for key, value in means.items()},
                    _ALL: float(scores[metric].mean()),
                }
    index = pd.MultiIndex.from_tuples(list(rows), names=["set", "metric", "network"])
    table = pd.DataFrame(list(rows.values()), index)
    return table[[*sorted(set(table) - {_ALL}), _ALL]]


def print_compression(
    studies: Mapping[str, Study], costs: Mapping[str, Cost], size: int, console: Console
) -> pd.DataFrame:
    """Print the tables, a set each, then paired differences from the first network, and the costs.

    Args:
        studies: as for `compression_table`.
        costs: of a photo, by the network's name, the reference's first.
        size: the side of that photo in pixels.
        console: where to print.

    Returns:
        What `compression_table` answers.
    """
    table = compression_table(studies)
    reference = next(iter(costs))
    for name, study in studies.items():
        _print_set(name, study, table.loc[name], list(costs), console)
        runs = {run.label: run for run in study.trials}
        for label in list(costs)[1:]:
            for metric in _COMPARED:
                difference = study.compare(runs[label], runs[reference], metric)
                console.print(
                    f"{label} against {reference}: {metric} {difference.sentence}",
                    highlight=False,
                    soft_wrap=True,
                )
        console.print()
    _print_costs(costs, size, console)
    return table


def write_compression(table: pd.DataFrame, costs: Mapping[str, Cost], folder: Path) -> Path:
    """Write `COMPRESSION`: the means, and beside each network what it costs."""
    columns = ("multiply_adds", "parameters", "milliseconds", "peak_bytes")
    cost = pd.DataFrame(
        {name: {key: getattr(of, key) for key in columns} for name, of in costs.items()}
    ).T
    path = folder / COMPRESSION
    with replacing(path) as temporary:
        table.join(cost, on="network").to_csv(temporary, float_format="%.6g")
    return path


def _print_set(
    name: str, study: Study, table: pd.DataFrame, networks: list[str], console: Console
) -> None:
    scores = study.trials[0].best_scores
    counts = scores["hole_ratio"].map(ratio_bin).value_counts()
    basis = rests_on(len(scores), scores["photo"].nunique())
    shown = plain_table(f"{name}: mean by hole ratio over {basis} (RMSE of values in [0, 1])")
    shown.add_column("", no_wrap=True)
    shown.add_column("", no_wrap=True)
    bins = [column for column in table if column in counts.index or column == _ALL]
    for column in bins:
        heading = f"{column} ({counts[column]})" if column in counts.index else str(column)
        shown.add_column(heading, justify="right", no_wrap=True)
    for metric in _METRICS:
        arrow = "↑" if METRICS[metric].higher_is_better else "↓"
        for network in networks:
            cells = (score_text(metric, value) for value in table.loc[(metric, network), bins])
            shown.add_row(f"{metric} {arrow}" if network == networks[0] else "", network, *cells)
    console.print(shown)


def _print_costs(costs: Mapping[str, Cost], size: int, console: Console) -> None:
    shown = plain_table(f"One photo of {size}x{size} pixels, on the processor")
    shown.add_column("", no_wrap=True)
    for heading in ("multiply-adds", "parameters", "ms", "peak MB"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for name, cost in costs.items():
        shown.add_row(
            name,
            f"{cost.multiply_adds / 1e9:.2f} G",
            f"{cost.parameters / 1e6:.2f} M",
            f"{cost.milliseconds:.1f}",
            f"{cost.peak_bytes / 2**20:.1f}",
        )
    console.print(shown)
