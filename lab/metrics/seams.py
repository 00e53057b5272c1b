"""How visible the borders of tiles are within a hole."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lab.checks import check_comparable


class SeamSteps(NamedTuple):
    """Mean steps in color across the borders of tiles, ``(B,)`` each, in [0, 1] but ``ratio``.

    Attributes:
        completed: of the completed photo.
        truth: of the truth, at the same places.
        excess: ``completed - truth``; about 0, or below in a blurred fill, where there is no seam.
        ratio: how many times larger than elsewhere in the hole the completed photo's step is,
            divided by the same of the truth; about 1 without a seam, in a blurred fill too.
    """

    completed: Tensor
    truth: Tensor
    excess: Tensor
    ratio: Tensor


@torch.no_grad()
def seam_steps(
    completed: Tensor, truth: Tensor, mask: Tensor, rows: Sequence[int], columns: Sequence[int]
) -> SeamSteps:
    """Compare the steps across borders of tiles with the truth's own steps there.

    A step is the absolute difference of two neighbouring pixels, in the mean over the channels and
    over all pairs that a border parts and that both lie in the hole. *Elsewhere* are the pairs of
    the hole that no border parts, in the same directions.

    Args:
        completed: ``(B, 3, H, W)`` in [0, 1].
        truth: like ``completed``.
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
        rows: the first row of each tile but those at the top; ``Tiled.borders`` gives them.
        columns: the first column of each tile but those at the left.

    Raises:
        TypeError, ValueError: the inputs break the conventions or do not fit each other.
        ValueError: a border outside the photo, or a hole that no border crosses, or that lies on
            borders alone.
    """
    check_comparable(completed, truth, mask)
    at, elsewhere = _Mean(truth), _Mean(truth)
    for axis, borders in ((2, rows), (3, columns)):
        size = truth.shape[axis]
        odd = [border for border in borders if not 0 < border < size]
        if odd:
            raise ValueError(
                f"there is no border at {odd[0]} in {size} pixels: it must lie in 1 to {size - 1}"
            )
        if not borders:
            continue
        length = size - 1
        pairs = mask.narrow(axis, 0, length) * mask.narrow(axis, 1, length)
        steps = torch.stack([_steps(photo, axis) for photo in (completed, truth)])
        parted = torch.zeros(length, dtype=mask.dtype, device=mask.device)
        parted[[border - 1 for border in borders]] = 1
        parted = parted.reshape((-1, 1) if axis == 2 else (1, -1))
        at.add(steps, pairs * parted)
        elsewhere.add(steps, pairs * (1 - parted))
    return _compare(at, elsewhere)


class _Mean:
    """Collects steps of both photos, ``(2, B, 1, H, W)``, and their weights, ``(B, 1, H, W)``."""

    def __init__(self, like: Tensor) -> None:
        self.total = like.new_zeros(2, len(like))
        self.count = like.new_zeros(len(like))

    def add(self, steps: Tensor, weights: Tensor) -> None:
        self.total += (steps * weights).flatten(2).sum(2)
        self.count += weights.flatten(1).sum(1)

    def value(self) -> Tensor:
        if not bool(self.count.all()):
            lacking = (self.count == 0).nonzero().flatten().tolist()
            raise ValueError(
                f"sample {lacking} has no pixels of the hole on both sides of a border, or none "
                "elsewhere: leave photos out whose hole no border crosses"
            )
        return self.total / self.count


def _steps(photo: Tensor, axis: int) -> Tensor:
    return photo.diff(dim=axis).abs().mean(1, keepdim=True)


def _compare(at: _Mean, elsewhere: _Mean) -> SeamSteps:
    completed, truth = at.value()
    completed_elsewhere, truth_elsewhere = elsewhere.value()
    # A flat photo has no steps: half a level of 8 bits keeps the ratio finite.
    floor = 0.5 / 255
    ratio = ((completed + floor) / (completed_elsewhere + floor)) / (
        (truth + floor) / (truth_elsewhere + floor)
    )
    return SeamSteps(completed, truth, completed - truth, ratio)
