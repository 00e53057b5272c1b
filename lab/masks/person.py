"""The hole that a removed person leaves, and the documented training policy of such holes (V8)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.masks.boundary_attack import BoundaryAttack
from lab.masks.drawing import check_probability, draw_usable
from lab.masks.scribbles import Scribbles


@dataclass(frozen=True)
class PersonRectangle(MaskGenerator):
    """A rectangle about the image's centre, with half-normal margins.

    The variant notebook's V8, scaled from its 256x256 to any size: ``s = min(|N(0, 1)| / 3, 1)``
    twice; ``s[0]`` of half the height stays free above and below, and the hole takes ``s[1]`` of
    half the width to each side. Three standard deviations make the whole half, so the hole is
    mostly nearly as tall as the image and a fraction as wide. On an odd side the middle row or
    column always belongs to it.

    The documented formula truncates to whole pixels, and so leaves an *empty* mask where the
    width comes to less than a pixel or the margin to all (one draw in fifty at 256x256, one in
    seven at 32x32), and very rarely a full one. Those are drawn again here.

    Args:
        as_documented: keep the empty and full masks of the documented formula.
    """

    as_documented: bool = False

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""

        def draw() -> Tensor:
            # Numbers and not arrays, which take ten times as long for two values.
            vertical, horizontal = (min(abs(s) / 3, 1.0) for s in generator.normal(size=2).tolist())
            half_height, half_width = height // 2, width // 2
            margin, reach = int(vertical * half_height), int(horizontal * half_width)
            mask = np.zeros((1, height, width), np.float32)
            mask[:, margin : height - margin, half_width - reach : width - half_width + reach] = 1.0
            return torch.from_numpy(mask)

        return draw() if self.as_documented else draw_usable(draw, self)


@dataclass(frozen=True)
class PersonMixture(MaskGenerator):
    """Person rectangles, and with some probability scribbles over them, or a ragged border.

    The variant notebook's V8 adds "a few scribbles" so that the network generalizes, and does not
    say how many; the deployment notes attack the border (`BoundaryAttack`). For other parts,
    compose ``Mixture``, ``Union`` and ``Degraded``.

    Args:
        scribble_probability: how often scribbles are added.
        attack_probability: how often the border is attacked; at 0, nothing else is drawn than
            without.

    Raises:
        ValueError: a probability lies outside [0, 1].
    """

    scribble_probability: float = 0.2
    attack_probability: float = 0.0

    def __post_init__(self) -> None:
        """Check the probabilities."""
        check_probability("scribble_probability", self.scribble_probability)
        check_probability("attack_probability", self.attack_probability)

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""

        def draw() -> Tensor:
            mask = PersonRectangle()(height, width, generator)
            if generator.random() < self.scribble_probability:
                mask = torch.maximum(mask, Scribbles()(height, width, generator))
            if self.attack_probability:
                mask = BoundaryAttack(self.attack_probability)(mask, generator)
            return mask

        return draw_usable(draw, self)
