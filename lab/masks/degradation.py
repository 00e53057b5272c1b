"""What makes a mask less perfect."""

from abc import ABC, abstractmethod

import numpy as np
from torch import Tensor


class MaskDegradation(ABC):
    """``(mask, generator) -> mask``, for drawn masks and for those of real people.

    A base class and not a protocol, since jsonargparse takes a protocol that returns a tensor for
    a factory of tensors, and would refuse every degradation that a settings file names.
    """

    @abstractmethod
    def __call__(self, mask: Tensor, generator: np.random.Generator) -> Tensor:
        """Return a mask like ``mask (1, H, W)``, which is not changed in place."""
