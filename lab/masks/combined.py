"""Generators made of other generators."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.masks.drawing import MaskDegradation, check_probability, draw_usable


@dataclass(frozen=True)
class Mixture(MaskGenerator):
    """Draws each mask from one generator, chosen with the given probabilities.

    Args:
        generators: the generators.
        probabilities: one for each generator; they sum to 1.

    Raises:
        ValueError: not one probability for each generator, one outside [0, 1], or another sum.
    """

    generators: Sequence[MaskGenerator]
    probabilities: Sequence[float]

    def __post_init__(self) -> None:
        """Check that the probabilities fit the generators."""
        if len(self.generators) != len(self.probabilities):
            raise ValueError(
                f"{len(self.generators)} generators have {len(self.probabilities)} probabilities, "
                "but each must have one"
            )
        for probability in self.probabilities:
            check_probability("one of probabilities", probability)
        if not math.isclose(sum(self.probabilities), 1.0, abs_tol=1e-6):
            raise ValueError(
                f"the probabilities {list(self.probabilities)} sum to "
                f"{sum(self.probabilities):g}, but must sum to 1"
            )

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""
        # Not generator.choice: it wants an exact sum, which 1/3 three times does not give.
        steps = np.cumsum(self.probabilities)
        chosen = int(np.searchsorted(steps / steps[-1], generator.random(), side="right"))
        return self.generators[chosen](height, width, generator)


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
