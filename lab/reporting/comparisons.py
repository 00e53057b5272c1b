"""The verdict of a study in numbers: every run against one of them, as the page draws it."""

import math
from typing import Any

import pandas as pd

from lab.metrics import METRICS, ratio_bin
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
    scored = [run for run in study.settings if run.best is not None]
    if anchor is None or len(scored) < 2:
        return None
    measured = [metric for metric in METRICS if metric in anchor.best_scores]
    bins = anchor.best_scores["hole_ratio"].map(ratio_bin)
    return {
        "with": anchor.name,
        "why": _why(study, anchor),
        "seeds": on_seeds(study),
        "byMetric": {
            metric: {
                run.name: _numbers(study.compare(run, anchor, metric))
                for run in scored
                if run is not anchor and _share(run, anchor.best_scores.index, metric)
            }
            for metric in measured
        },
        "bins": {
            name: rests_on(len(samples), samples["photo"].nunique())
            for name, samples in anchor.best_scores.groupby(bins)
        },
        "byRatio": {
            goal: {
                run.name: {
                    name: _numbers(study.compare(run, anchor, goal, samples.index))
                    for name, samples in anchor.best_scores.groupby(bins)
                    if _share(run, samples.index, goal)
                }
                for run in scored
                if run is not anchor
            }
            for goal in study.goals
            if goal in measured
        },
    }


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


def _share(run: Run, samples: pd.Index, metric: str) -> bool:
    scores = run.best_scores
    return metric in scores and bool(len(scores.index.intersection(samples)))


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
