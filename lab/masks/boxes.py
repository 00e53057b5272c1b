"""Random boxes: the simplest holes, for ablations and for tests of a network's plain ability."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.masks.drawing import check_range, draw_usable


@dataclass(frozen=True)
class Boxes(MaskGenerator):
    """One or several axis-parallel boxes anywhere in the image; they may overlap.

    With the defaults this is the single box of Context Encoder (Pathak et al. 2016) and
    Global & Local (Iizuka et al. 2017), at a random place and size.

    Args:
        count: how many boxes, lowest and highest.
        size: a box's height and width, drawn apart, lowest and highest, in shares of the
            image's height and width; at least one pixel.

    Raises:
        ValueError: a range is swapped, or a share lies outside [0, 1].
    """

    count: tuple[int, int] = (1, 1)
    size: tuple[float, float] = (0.2, 0.5)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("count", self.count, 1, math.inf)
        check_range("size", self.size, 0.0, 1.0)

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""

        def draw() -> Tensor:
            mask = torch.zeros(1, height, width)
            for _ in range(generator.integers(*self.count, endpoint=True)):
                share_y, share_x = generator.uniform(*self.size, size=2)
                rows, columns = max(1, round(share_y * height)), max(1, round(share_x * width))
                top = int(generator.integers(height - rows, endpoint=True))
                left = int(generator.integers(width - columns, endpoint=True))
                mask[:, top : top + rows, left : left + columns] = 1.0
            return mask

        return draw_usable(draw, self)
