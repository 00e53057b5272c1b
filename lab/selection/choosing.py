"""From scores to a choice: the ranking, the bins, the Pareto set, the marks, and words for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from lab.metrics import METRICS, ratio_bin
from lab.results import Study
from lab.selection.checkpoints import Checkpoint, Scores, describe, read_scores
from lab.selection.guards import Mark, mark_checkpoints
from lab.statistics import HELD, Floats, Ranking, rank


@dataclass(frozen=True)
class Selection:
    """What a run or a study says about its checkpoints.

    Attributes:
        scores: what everything rests on; the checkpoints are numbered as they come there.
        metrics: the first decides, all make the Pareto set.
        rankings: of each metric.
        bins: rankings by the first metric within a bin of hole ratios, by the bin's name.
        pareto: checkpoints than which none is as good in every metric and better in one.
        marks: what is wrong with each checkpoint.
        chosen: the best by the first metric that nothing is wrong with; where something is wrong
            with all, the best; None where every file is gone.
        notes: what was left out or could not be judged.
    """

    scores: Scores
    metrics: list[str]
    rankings: dict[str, Ranking]
    bins: dict[str, Ranking]
    pareto: list[int]
    marks: list[list[Mark]]
    chosen: int | None
    notes: list[str]

    @property
    def ranking(self) -> Ranking:
        """By the metric that decides."""
        return self.rankings[self.metrics[0]]

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """Those that are ranked."""
        return self.scores.checkpoints


def choose(study: Study, metrics: Sequence[str], seed: int = 0) -> Selection:
    """Rank every checkpoint of a run, or of all trials of a study together.

    Ranking all epochs of all trials at once, rather than the best epoch of each trial, keeps the
    luck in that first choice from passing for quality.

    Args:
        study: or a run opened as one.
        metrics: names of `METRICS`; the first decides.
        seed: of the bootstrap.

    Raises:
        ResultsError: there is nothing that could be ranked; says why.
    """
    scores = read_scores(study, metrics)
    rankings = {metric: _rank(scores, metric, seed) for metric in metrics}
    marks, unjudged = mark_checkpoints(scores)
    return Selection(
        scores=scores,
        metrics=list(metrics),
        rankings=rankings,
        bins=_rank_bins(scores, metrics[0], seed),
        pareto=_pareto(np.column_stack([_gains(rankings[metric], metric) for metric in metrics])),
        marks=marks,
        chosen=_choose(scores, rankings[metrics[0]], marks),
        notes=[*scores.notes, *unjudged],
    )


def explain(selection: Selection) -> list[str]:
    """What the data say and what they cannot say, a sentence or two each."""
    ranking, metric = selection.ranking, selection.metrics[0]
    names = [point.name for point in selection.checkpoints]
    best = describe(names[ranking.order[0]])
    said = []
    if len(names) == 1:
        said.append(f"{_capital(best)} is the only checkpoint: there is nothing to compare.")
    elif ranking.photos == 1:
        said.append(
            f"{_capital(best)} has the best {metric}, but one photo says nothing about others: "
            "validate on more photos."
        )
    elif len(ranking.tied) == 1:
        said.append(
            f"{_capital(best)} is the best by {metric}, with a probability of "
            f"{percent(ranking.probability[ranking.order[0]])}."
        )
    else:
        said.append(_say_tied(selection))
    if 1 < ranking.photos < 6:
        said.append(
            f"All of this rests on {ranking.photos} photos (crops of one count once); more would "
            "make it surer."
        )
    if selection.chosen is None:
        said.append("No file of these checkpoints is left, so none can be chosen.")
    elif selection.marks[selection.chosen]:
        said.append(
            f"Every checkpoint is marked; {describe(names[selection.chosen])} is the best of them."
        )
    elif selection.chosen != ranking.order[0]:
        reasons = "; ".join(
            f"{mark.kind}: {mark.reason}" for mark in selection.marks[ranking.order[0]]
        )
        said.append(
            f"{_capital(best)} is marked ({reasons}): {describe(names[selection.chosen])} is the "
            "best without a mark."
        )
    return said


def percent(probability: float) -> str:
    """A probability as it may be claimed: never 0 or 100 %, which no number of photos shows."""
    if probability > 0.99:
        return "> 99 %"
    return "< 1 %" if probability < 0.01 else f"{probability:.0%}".replace("%", " %")


def _say_tied(selection: Selection) -> str:
    ranking, metric = selection.ranking, selection.metrics[0]
    points = selection.checkpoints
    tied = [points[index] for index in ranking.tied]
    whose = _say_epochs(tied)
    if len(tied) == len(points):
        text = f"No two of the {len(points)} checkpoints can be told apart by {metric}"
        text = text if len(points) > 2 else f"{_capital(whose)} can't be told apart by {metric}"
    else:
        text = f"{_capital(whose)} can't be told apart by {metric}"
    best = points[ranking.order[0]]
    if len({point.run.name for point in tied}) == 1:
        earliest = min(tied, key=lambda point: point.epoch)
        text += f"; {earliest.epoch} is the earliest"
        text += "" if earliest is best else f", {best.epoch} has the best mean"
    else:
        text += f"; {describe(best.name)} has the best mean"
    return (
        f"{text} (one of them is the best with {HELD:.0%} probability, that one with "
        f"{percent(ranking.probability[ranking.order[0]])})."
    )


def _say_epochs(points: Sequence[Checkpoint]) -> str:
    """``epochs 3 and 9 to 11``; ``trial 1, epoch 4 and trial 3, epochs 9 to 11``."""
    ordered = sorted(points, key=lambda point: (point.run.name, point.epoch))
    parts = []
    for _, group in groupby(ordered, key=lambda point: point.run.name):
        of_run = list(group)
        epochs = [point.epoch for point in of_run]
        before, _, _ = describe(of_run[0].name).rpartition("epoch")
        parts.append(f"{before}{'epochs' if len(epochs) > 1 else 'epoch'} {_say_numbers(epochs)}")
    return _and(parts) if len(parts) == 1 else "; ".join(parts)


def _say_numbers(numbers: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    words = []
    for span in spans:
        words += [str(number) for number in span] if len(span) < 3 else [f"{span[0]} to {span[-1]}"]
    return _and(words)


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _rank(scores: Scores, metric: str, seed: int) -> Ranking:
    return rank(scores.values[metric], scores.photos, METRICS[metric].higher_is_better, seed)


def _rank_bins(scores: Scores, metric: str, seed: int) -> dict[str, Ranking]:
    names = np.array([ratio_bin(float(ratio)) for ratio in scores.ratios])
    found = {}
    for name in sorted(set(names)):
        inside = names == name
        photos = [photo for photo, chosen in zip(scores.photos, inside, strict=True) if chosen]
        values = scores.values[metric][inside]
        found[str(name)] = rank(values, photos, METRICS[metric].higher_is_better, seed)
    return found


def _gains(ranking: Ranking, metric: str) -> Floats:
    return ranking.means if METRICS[metric].higher_is_better else -ranking.means


def _pareto(gains: Floats) -> list[int]:
    """The rows of ``(checkpoints, metrics)`` that no other row dominates."""
    at_least = (gains[:, None] >= gains[None]).all(axis=2)
    better = (gains[:, None] > gains[None]).any(axis=2)
    dominated = (at_least & better).any(axis=0)
    return [int(index) for index in np.flatnonzero(~dominated)]


def _choose(scores: Scores, ranking: Ranking, marks: list[list[Mark]]) -> int | None:
    there = [index for index in ranking.order if scores.checkpoints[index].path.exists()]
    unmarked = [index for index in there if not marks[index]]
    return next(iter(unmarked or there), None)
