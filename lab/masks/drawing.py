"""What the generators share: checks of ranges, degradations, and that every mask is usable."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import cv2
import numpy as np
from torch import Tensor


def check_range(name: str, bounds: tuple[float, float], lowest: float, highest: float) -> None:
    """Raise unless ``lowest <= low <= high <= highest``.

    Raises:
        ValueError: the two are swapped, or one of them lies outside.
    """
    low, high = bounds
    if not lowest <= low <= high <= highest:
        raise ValueError(
            f"{name} is ({low:g}, {high:g}), but must be (low, high) with "
            f"{lowest:g} <= low <= high <= {highest:g}"
        )


def check_probability(name: str, value: float) -> None:
    """Raise unless ``value`` lies in [0, 1].

    Raises:
        ValueError: it does not.
    """
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value:g}, but a probability must lie in [0, 1]")


class MaskDegradation(ABC):
    """``(mask, generator) -> mask``, for drawn masks and for those of real people.

    A base class and not a protocol, since jsonargparse takes a protocol that returns a tensor for
    a factory of tensors, and would refuse every degradation that a settings file names.
    """

    @abstractmethod
    def __call__(self, mask: Tensor, generator: np.random.Generator) -> Tensor:
        """Return a mask like ``mask (1, H, W)``, which is not changed in place."""


# A parameter set that yields one usable mask in ten still fails less than once in 10^45 draws.
ATTEMPTS = 1000


def draw_usable(draw: Callable[[], Tensor], owner: object) -> Tensor:
    """Call ``draw`` until its mask is neither empty nor full.

    Args:
        draw: draws one mask of 0 and 1, from fresh random numbers at every call.
        owner: the generator, named in the error.

    Raises:
        RuntimeError: no usable mask in ``ATTEMPTS`` draws, so the parameters or the size are wrong.
    """
    for _ in range(ATTEMPTS):
        mask = draw()
        # The quickest look at both: any() and all() take ten times as long on floats.
        lowest, highest, _, _ = cv2.minMaxLoc(mask[0].numpy())
        if lowest == 0.0 and highest == 1.0:
            return mask
    raise RuntimeError(
        f"{owner} drew {ATTEMPTS} masks of {mask.shape[-2]}x{mask.shape[-1]} pixels, each empty or "
        "full: change its sizes, or draw larger masks"
    )
