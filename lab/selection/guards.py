"""What a good score may hide: a damaged known region, a blurred fill, a dead judge."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from lab.losses import JUDGES, AdversarialKind, judged_name
from lab.results import Run
from lab.selection.checkpoints import Scores
from lab.statistics import Floats

KNOWN_DAMAGE = 0.02
"""Largest mean absolute difference on the known pixels of a completed photo: five grey levels."""

ANSWER_DAMAGE = 0.1
"""The same for the network's own answer before pasting: colours that it cannot even copy, it will
not continue into the hole, and a strategy that blends shows them."""

MOST_BLUR = 0.5
"""Largest median of ``hole_blur``: OpenCV's Telea, which smears, has about as much."""


@dataclass(frozen=True)
class Alive:
    """Between which values a judge still teaches, in the means of an epoch.

    Attributes:
        logits: what its logits say, in words for who looks at their curves.
        undecided: the logit between real and fake; None where only differences of logits count.
        least_gap: the lead of its mean logit for real over fake; at or below it the judge tells
            nothing apart.
        least_loss: below it the judge is never wrong, and has nothing to tell the network; None
            where the loss does not say so.
        largest_gap: above it the judge runs away; None where the loss itself stops it.
    """

    logits: str
    undecided: float | None
    least_gap: float
    least_loss: float | None
    largest_gap: float | None = None


ALIVE: Mapping[AdversarialKind, Alive] = MappingProxyType(
    {
        # Margins at -1 and 1: a fortieth of the way between them. The loss ends at 0, where no
        # logit lies within its margin, and logits beyond it are not pushed further.
        "hinge": Alive(
            "Logits lie above 0 for what the judge takes for a true photo, and its loss wants 1 "
            "for true and -1 for completed ones, no more. Where they meet, it tells nothing "
            "apart; where true photos stay above 1 and completed ones below -1, it has won and "
            "teaches nothing.",
            undecided=0.0,
            least_gap=0.05,
            least_loss=0.01,
        ),
        # Logits are log-odds: 0.05 is odds of 51 to 49. The loss is what the judge is surprised by:
        # 0.01 is half a per cent of doubt about each image.
        "log": Alive(
            "Logits are log-odds, above 0 for what the judge takes for a true photo. Where true "
            "and completed ones meet, it tells nothing apart; where they drift far apart, it has "
            "won and teaches nothing.",
            undecided=0.0,
            least_gap=0.05,
            least_loss=0.01,
        ),
        # Labels 0 and 1 lie half as far apart as hinge's margins. The loss is a square: 0.0025 is
        # logits that miss their labels by 0.05.
        "least_squares": Alive(
            "Logits are drawn to 1 for true photos and to 0 for completed ones; halfway, the "
            "judge is undecided. Where they meet, it tells nothing apart; where they reach 1 and "
            "0, it has won and teaches nothing.",
            undecided=0.5,
            least_gap=0.025,
            least_loss=0.0025,
        ),
        # Only differences of logits count, as log-odds: as with log.
        "relativistic_average": Alive(
            "Only how far true photos lie above completed ones counts, as log-odds that a true "
            "one is the truer; where both of them lie says nothing. Where they meet, the judge "
            "tells nothing apart; where they drift far apart, it has won and teaches nothing.",
            undecided=None,
            least_gap=0.05,
            least_loss=0.01,
        ),
        # The loss is the gap with its sign turned, negative while the critic works, and the gap is
        # in units of its own slope: only its sign says that nothing is told apart. At a slope of 1,
        # which the gradient penalty holds, it is at most the distance between the images: 443 for
        # black and white of 256 pixels a side, 887 of 512.
        "wasserstein": Alive(
            "Only how far true photos lie above completed ones counts: it measures how different "
            "they are, and shrinks as the network learns; where both of them lie says nothing. "
            "Where they meet or cross, the judge tells nothing apart; a distance that grows "
            "without end wants a gradient penalty.",
            undecided=None,
            least_gap=0.0,
            least_loss=None,
            largest_gap=1000.0,
        ),
    }
)
"""When a judge is alive, by the adversarial loss that it is trained by."""

_KIND = "model.objective.adversarial_kind"


@dataclass(frozen=True)
class Mark:
    """What is wrong with a checkpoint: its kind, and a reason with its figure and the limit."""

    kind: Literal["known pixels", "blur", "judge", "file"]
    reason: str


_RECORDED = {
    "whole_l1": "changes of known pixels",
    "answer_known_l1": "the network's own answer on known pixels",
    "hole_blur": "blur",
}


def mark_checkpoints(scores: Scores) -> tuple[list[list[Mark]], list[str]]:
    """Say what is wrong with each checkpoint.

    Returns:
        The reasons for each checkpoint, none where nothing is wrong; and what could not be judged,
        because the runs did not record it.

    Raises:
        ResultsError: a ``losses.csv`` or ``config.yaml`` cannot be read.
    """
    runs = {point.run.name: point.run for point in scores.checkpoints}
    losses = {name: _losses(run) for name, run in runs.items()}
    alive = {name: ALIVE[adversarial_kind(run)] for name, run in runs.items()}
    marks: list[list[Mark]] = []
    for index, point in enumerate(scores.checkpoints):
        column = {metric: values[:, index] for metric, values in scores.values.items()}
        run = point.run.name
        of_epoch = losses[run].get(point.epoch, {})
        found = [
            Mark("known pixels", _damaged_photo(column, scores.ratios)),
            Mark("known pixels", _damaged_answer(column)),
            Mark("blur", _blurred(column)),
            *(Mark("judge", _dead_judge(of_epoch, judge, alive[run])) for judge in JUDGES),
            Mark("file", "" if point.path.exists() else "its file is gone"),
        ]
        marks.append([mark for mark in found if mark.reason])
    unjudged = [
        f"{what} was not recorded, and is not judged: {metric} is missing"
        for metric, what in _RECORDED.items()
        if metric not in scores.values or np.isnan(scores.values[metric]).any()
    ]
    without = sorted(name for name, epochs in losses.items() if not epochs)
    if without:
        unjudged.append(f"no losses.csv, so judges are not checked: {', '.join(without)}")
    return marks, unjudged


def _damaged_photo(column: Mapping[str, Floats], ratios: Floats) -> str:
    """By the known pixels' part in the error of the whole photo: 0 where they are pasted."""
    if not {"whole_l1", "hole_l1"} <= column.keys():
        return ""
    known = (column["whole_l1"] - ratios * column["hole_l1"]) / (1.0 - ratios)
    damage = float(known.mean())
    if not damage > KNOWN_DAMAGE:
        return ""
    return f"changes the known pixels by {damage:.2g} (limit {KNOWN_DAMAGE:g})"


def _damaged_answer(column: Mapping[str, Floats]) -> str:
    damage = float(column.get("answer_known_l1", np.zeros(1)).mean())
    if not damage > ANSWER_DAMAGE:
        return ""
    limit = f"(limit {ANSWER_DAMAGE:g})"
    return f"the network's own answer misses the known pixels by {damage:.2g} {limit}"


def _blurred(column: Mapping[str, Floats]) -> str:
    blur = float(np.median(column.get("hole_blur", np.zeros(1))))
    if not blur > MOST_BLUR:
        return ""
    limit = f"(limit {2.0**-MOST_BLUR:.0%})"
    return f"gradients in the hole are {2.0**-blur:.0%} of the truth's {limit}"


def _dead_judge(losses: Mapping[str, float], judge: str, alive: Alive) -> str:
    """What is wrong with a judge; it is named where it is not the one of whole images."""
    who = "" if judge == "whole" else f"the judge {judge!r} "
    names = [judged_name(judge, name) for name in ("real_logit", "fake_logit", "discriminator")]
    if not losses.keys() >= set(names):
        return ""
    real, fake, loss = (losses[name] for name in names)
    gap = real - fake
    if not gap > alive.least_gap:
        return f"{who}tells nothing apart: its logit is {gap:+.2g} higher for real than for fake"
    if alive.least_loss is not None and loss < alive.least_loss:
        return f"{who}has won: its loss is {loss:.2g}, so it teaches nothing"
    if alive.largest_gap is not None and gap > alive.largest_gap:
        limit = f"(limit {alive.largest_gap:g})"
        return (
            f"{who}runs away: its logit is {gap:+.2g} higher for real than for fake {limit}; a "
            "gradient penalty holds it (model.objective.gradient_penalty)"
        )
    return ""


def adversarial_kind(run: Run) -> AdversarialKind:
    """What the run's judges were trained by; hinge, the default, where it does not say.

    Raises:
        ResultsError: its ``config.yaml`` cannot be read.
    """
    stated = run.options.get(_KIND)
    return next((kind for kind in ALIVE if kind == stated), "hinge")


def _losses(run: Run) -> dict[int, dict[str, float]]:
    """The losses of each epoch; only what is finite."""
    return {
        int(str(epoch)): {str(name): float(value) for name, value in row.dropna().items()}
        for epoch, row in run.losses.iterrows()
    }
