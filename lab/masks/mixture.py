"""One of several generators, drawn anew for every mask."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.masks.ranges import check_probability


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
