"""The documented training policy: person-shaped holes, some of them with scribbles (V8)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.masks.person_rectangle import PersonRectangle
from lab.masks.ranges import check_probability
from lab.masks.scribbles import Scribbles
from lab.masks.usable import draw_usable


@dataclass(frozen=True)
class PersonMixture(MaskGenerator):
    """Person rectangles, and with some probability scribbles over them.

    The variant notebook's V8 adds "a few scribbles" so that the network generalizes, and does not
    say how many. For other parts, compose ``Mixture``, ``Union`` and ``Degraded``.

    Args:
        scribble_probability: how often scribbles are added.

    Raises:
        ValueError: the probability lies outside [0, 1].
    """

    scribble_probability: float = 0.2

    def __post_init__(self) -> None:
        """Check the probability."""
        check_probability("scribble_probability", self.scribble_probability)

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""

        def draw() -> Tensor:
            mask = PersonRectangle()(height, width, generator)
            if generator.random() < self.scribble_probability:
                mask = torch.maximum(mask, Scribbles()(height, width, generator))
            return mask

        return draw_usable(draw, self)
