"""What a goal gains or loses along one option, against the reference, paired by photo."""

from collections.abc import Mapping
from typing import Any

from lab.results import Run, Study
from lab.studies.question import short_names

_FEWEST_VALUES = 3


def sensitivity_figures(study: Study) -> dict[str, Mapping[str, Any]]:
    """A curve for each goal where one number alone was varied, as plotly figures in values.

    How much better each value is than the reference's, the mean over the samples with its 95 %
    interval, as `Study.compare` says it; above 0 is better, whichever way the metric goes. Means of
    their own would hide it: photos differ more than most settings do.
    """
    along = _along_one_option(study)
    if along is None:
        return {}
    path, runs = along
    reference = study.compared_with
    assert reference is not None
    figures: dict[str, Mapping[str, Any]] = {}
    for goal in study.goals:
        values, means, below, above = [], [], [], []
        for run in runs:
            values.append(run.values[path])
            if run is reference:
                means.append(0.0)
                below.append(0.0)
                above.append(0.0)
                continue
            found = study.compare(run, reference, goal)
            means.append(found.mean)
            below.append(found.mean - found.low)
            above.append(found.high - found.mean)
        curve = {
            "type": "scatter",
            "mode": "lines+markers",
            "x": values,
            "y": means,
            "error_y": {"type": "data", "symmetric": False, "array": above, "arrayminus": below},
            "line": {"width": 1.8},
            "marker": {"size": 8},
            "meta": 0.5,
        }
        figures[f"Sensitivity: {goal}"] = {
            "data": [curve],
            "layout": {
                "template": "none",
                "height": 340,
                "showlegend": False,
                "paper_bgcolor": "rgba(0,0,0,0)",
                "plot_bgcolor": "rgba(0,0,0,0)",
                "margin": {"l": 60, "r": 24, "t": 12, "b": 48},
                "xaxis": {"title": {"text": short_names([path])[path]}},
                "yaxis": {"title": {"text": f"{goal}, better by"}, "zeroline": True},
            },
        }
    return figures


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
