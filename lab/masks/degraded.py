"""A generator whose masks then pass through degradations."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.masks.degradation import MaskDegradation
from lab.masks.usable import draw_usable


@dataclass(frozen=True)
class Degraded(MaskGenerator):
    """Masks of one generator, passed through degradations in turn.

    Args:
        masks: where the masks come from.
        degradations: applied in this order; each decides itself how often it does something.
    """

    masks: MaskGenerator
    degradations: Sequence[MaskDegradation]

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""

        def draw() -> Tensor:
            mask = self.masks(height, width, generator)
            for degrade in self.degradations:
                mask = degrade(mask, generator)
            return mask

        return draw_usable(draw, self)
