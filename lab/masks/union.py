"""Several generators drawn over one another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.masks.usable import draw_usable


@dataclass(frozen=True)
class Union(MaskGenerator):
    """The pixelwise union of one mask from each generator.

    Args:
        generators: the generators, drawn in this order.

    Raises:
        ValueError: there is none.
    """

    generators: Sequence[MaskGenerator]

    def __post_init__(self) -> None:
        """Check that there is something to draw."""
        if not self.generators:
            raise ValueError("generators is empty, but a union needs at least one generator")

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""

        def draw() -> Tensor:
            return reduce(
                torch.maximum, (part(height, width, generator) for part in self.generators)
            )

        return draw_usable(draw, self)
