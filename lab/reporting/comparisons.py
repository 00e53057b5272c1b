"""The verdict of a study in numbers: every run against one of them, as the page draws it."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from lab.metrics import ALL_METRICS, ratio_bin
from lab.results import Run, Study, on_seeds
from lab.statistics import PairedDifference, rests_on


def compare_all(study: Study) -> dict[str, Any] | None:
    """Every run against the reference, or the best run where that is missing.

    Returns:
        ``with`` and ``why``: the name of what the others are compared with, and a sentence on it;
        ``seeds``: a sentence on how often each run was trained; ``byMetric``: by metric and run,
        see `_numbers`; ``byRatio``: the same of each goal by bin of hole ratio, with what each bin
        rests on in ``bins``. None where there is nothing to compare.
    """
    anchor = study.compared_with
    if anchor is None or sum(run.best is not None for run in study.settings) < 2:
        return None
    measured = [metric for metric in ALL_METRICS if metric in anchor.best_scores]
    ratios = anchor.best_scores["hole_ratio"].map(ratio_bin)
    bins = {str(name): part for name, part in anchor.best_scores.groupby(ratios)}
    return {
        "with": anchor.name,
        "why": _why(study, anchor),
        "seeds": on_seeds(study),
        "byMetric": {
            metric: {run: _numbers(lead) for run, lead in study.differences(metric).items()}
            for metric in measured
        },
        "bins": {name: rests_on(len(part), part["photo"].nunique()) for name, part in bins.items()},
        "byRatio": {goal: _by_ratio(study, goal, bins) for goal in study.goals if goal in measured},
    }


def _by_ratio(
    study: Study, goal: str, bins: Mapping[str, pd.DataFrame]
) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {run: {} for run in study.differences(goal)}
    for name, part in bins.items():
        for run, lead in study.differences(goal, part.index).items():
            found[run][name] = _numbers(lead)
    return found


def _why(study: Study, anchor: Run) -> str:
    if anchor is study.reference:
        return f"Each run against {anchor.label}, which the question names"
    named = next((run for run in study.trials if run.is_reference), None)
    if named is None:
        return f"Nothing is named as the reference: each run against the best, {anchor.label}"
    has = {"failed": "failed", "pruned": "was pruned"}.get(named.state, "has not ended")
    return (
        f"{named.label}, which the question names, {has}: each run against the best, {anchor.label}"
    )


def _numbers(difference: PairedDifference) -> dict[str, Any]:
    """What a picture and a table need; an end of the interval that does not exist is null."""
    return {
        "mean": difference.mean,
        "low": difference.low if math.isfinite(difference.low) else None,
        "high": difference.high if math.isfinite(difference.high) else None,
        "won": difference.share_won,
        "verdict": difference.verdict,
        # In the words of the terminal, so that nobody has to wonder about digits.
        "text": difference.interval,
        "basis": difference.basis,
    }
