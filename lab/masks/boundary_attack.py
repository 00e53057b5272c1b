"""Imperfect segmentation: very small rectangles along the hole's border."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from lab.masks.drawing import MaskDegradation, check_probability, check_range

SQUARE = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class BoundaryAttack(MaskDegradation):
    """Adds very small rectangles at the border of a mask, now and then.

    The deployment notes' "boundary attack": segmentation cuts a person out imperfectly, so the
    network is trained (and, at 30 % of the photos, validated) on holes with such a border. Each
    rectangle is centred on a random pixel of the hole's outermost row of pixels and reaches at
    least one pixel beyond it. A mask that is empty or full has no border and stays as it is.

    Args:
        probability: how often a mask is attacked at all.
        rectangles: how many rectangles, lowest and highest.
        size: a rectangle's height and width, drawn apart, lowest and highest, in shares of the
            image's short side.

    Raises:
        ValueError: a range is swapped, or a share or the probability lies outside [0, 1].
    """

    probability: float = 0.3
    rectangles: tuple[int, int] = (4, 16)
    size: tuple[float, float] = (0.01, 0.05)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_probability("probability", self.probability)
        check_range("rectangles", self.rectangles, 1, math.inf)
        check_range("size", self.size, 0.0, 1.0)

    def __call__(self, mask: Tensor, generator: np.random.Generator) -> Tensor:
        """Return the attacked ``mask (1, H, W)``; the input is not changed."""
        if generator.random() >= self.probability:
            return mask
        attacked = mask[0].cpu().numpy().copy()
        height, width = attacked.shape
        # cv2's own border value keeps the image's border from counting as the hole's.
        border = np.flatnonzero(attacked != cv2.erode(attacked, SQUARE))
        if border.size == 0:
            return mask
        count = int(generator.integers(*self.rectangles, endpoint=True))
        centres = generator.choice(border, size=count)
        reaches = generator.uniform(*self.size, size=(count, 2)) * min(height, width) / 2
        for centre, reach in zip(centres, reaches, strict=True):
            row, column = divmod(int(centre), width)
            reach_y, reach_x = (max(1, round(value)) for value in reach.tolist())
            attacked[
                max(0, row - reach_y) : row + reach_y + 1,
                max(0, column - reach_x) : column + reach_x + 1,
            ] = 1.0
        return torch.from_numpy(attacked)[None].to(mask)
