"""What a good score may hide: a damaged known region, a blurred fill, a dead discriminator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

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

LEAST_LOGIT_GAP = 0.05
"""Least lead of the discriminator's mean logit for real over fake photos."""

LEAST_DISCRIMINATOR_LOSS = 0.01
"""Below this mean loss the discriminator is never wrong, and has nothing to tell the network."""


@dataclass(frozen=True)
class Mark:
    """What is wrong with a checkpoint: its kind, and a reason with its figure and the limit."""

    kind: Literal["known pixels", "blur", "discriminator", "file"]
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
        ResultsError: a ``losses.csv`` cannot be read.
    """
    runs = {point.run.name: point.run for point in scores.checkpoints}
    losses = {name: _losses(run) for name, run in runs.items()}
    marks: list[list[Mark]] = []
    for index, point in enumerate(scores.checkpoints):
        column = {metric: values[:, index] for metric, values in scores.values.items()}
        found = [
            Mark("known pixels", _damaged_photo(column, scores.ratios)),
            Mark("known pixels", _damaged_answer(column)),
            Mark("blur", _blurred(column)),
            Mark("discriminator", _dead_discriminator(losses[point.run.name].get(point.epoch, {}))),
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
        unjudged.append(f"no losses.csv, so discriminators are not judged: {', '.join(without)}")
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


def _dead_discriminator(losses: Mapping[str, float]) -> str:
    if not {"real_logit", "fake_logit", "discriminator"} <= losses.keys():
        return ""
    gap = losses["real_logit"] - losses["fake_logit"]
    if not gap > LEAST_LOGIT_GAP:
        return f"tells nothing apart: its logit is {gap:+.2g} higher for real photos"
    if losses["discriminator"] < LEAST_DISCRIMINATOR_LOSS:
        return f"has won: its loss is {losses['discriminator']:.2g}, so it teaches nothing"
    return ""


def _losses(run: Run) -> dict[int, dict[str, float]]:
    """The losses of each epoch; only what is finite."""
    return {
        int(str(epoch)): {str(name): float(value) for name, value in row.dropna().items()}
        for epoch, row in run.losses.iterrows()
    }
