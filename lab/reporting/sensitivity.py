"""What a goal gains or loses along one option, against the reference, paired by photo."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from lab.reporting.plots import LAYOUT, mark_decades
from lab.results import Run, Study
from lab.studies.question import short_names

_FEWEST_VALUES = 3

# The largest over the smallest: on an even axis, most would lie beside each other.
_LOGARITHMIC_FROM = 30.0


def sensitivity_figures(study: Study) -> dict[str, Mapping[str, Any]]:
    """A curve for each goal where one number alone was varied, as plotly figures in values.

    How much better each value is than the reference's (without one, the best's): the mean over the
    samples with its 95 % interval, as `Study.compare` says it; above 0 is better, whichever way the
    metric goes. Means of their own would hide it: photos differ more than most settings do.
    """
    along = _along_one_option(study)
    if along is None:
        return {}
    path, runs = along
    anchor = study.compared_with
    figures: dict[str, Mapping[str, Any]] = {}
    for goal in study.goals:
        differences = study.differences(goal)
        points: list[tuple[float, float, float | None, float | None]] = []
        for run in runs:
            value = float(run.values[path])
            if run is anchor:
                points.append((value, 0.0, 0.0, 0.0))
            elif run.name in differences:
                found = differences[run.name]
                # One photo gives no interval, and then no bar is drawn.
                below, above = found.mean - found.low, found.high - found.mean
                has_ends = isfinite(below) and isfinite(above)
                points.append((value, found.mean, *((below, above) if has_ends else (None, None))))
        if len(points) >= _FEWEST_VALUES:
            figures[f"Sensitivity: {goal}"] = _figure(short_names([path])[path], goal, points)
    return figures


def _figure(
    option: str, goal: str, points: list[tuple[float, float, float | None, float | None]]
) -> dict[str, Any]:
    values, means, below, above = (list(column) for column in zip(*points, strict=True))
    is_wide = values[0] > 0 and values[-1] / values[0] >= _LOGARITHMIC_FROM
    figure = {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": values,
                "y": means,
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": above,
                    "arrayminus": below,
                },
                "line": {"width": 1.8},
                "marker": {"size": 8},
                "meta": 0.5,
            }
        ],
        "layout": {
            **LAYOUT,
            "showlegend": False,
            "margin": {"l": 60, "r": 24, "t": 12, "b": 48},
            "xaxis": {"title": {"text": option}, "type": "log" if is_wide else "linear"},
            "yaxis": {"title": {"text": f"{goal}, better by"}, "zeroline": True},
        },
    }
    mark_decades(figure)
    return figure


def _along_one_option(study: Study) -> tuple[str, list[Run]] | None:
    """The option, and a run for each of its numbers, in their order; None in other studies."""
    runs = study.ranked
    paths = {path for run in runs for path in run.values}
    varied = [path for path in paths if len({str(run.values.get(path)) for run in runs}) > 1]
    if len(varied) != 1 or study.compared_with not in runs:
        return None
    (path,) = varied
    numbers = [run.values.get(path) for run in runs]
    are_numbers = all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in numbers
    )
    if not are_numbers or not _FEWEST_VALUES <= len(set(numbers)) == len(numbers):
        return None
    return path, sorted(runs, key=lambda run: float(run.values[path]))
