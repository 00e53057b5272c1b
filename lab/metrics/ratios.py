"""The hole's share of the photo, and the bins by which evaluation sets are reported."""

import torch
from torch import Tensor

from lab.checks import check_mask

RATIO_BINS = ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0))
"""The deployment notes' bins of hole ratio, each from its lower edge up to, but without, its upper
edge. The last is added here, so that every mask has a bin."""


def hole_ratio(mask: Tensor) -> Tensor:
    """Compute the hole's share of each photo, ``(B,)`` in [0, 1], float64 on the processor.

    Args:
        mask: ``(B, 1, H, W)`` of 0 and 1.

    Raises:
        TypeError, ValueError: not a mask.
    """
    check_mask(mask)
    # In float32, 7 pixels of 10 would come out below 0.7, in the wrong bin. Apple's GPUs have no
    # float64, so pixels are counted there and divided here.
    pixels = mask.flatten(1).bool()
    return pixels.sum(1).cpu().to(torch.float64) / pixels.shape[1]


def ratio_bin(ratio: float) -> str:
    """Name a hole ratio's bin, such as ``"0.3-0.5"``.

    Raises:
        ValueError: the ratio lies outside [0, 1].
    """
    for low, high in RATIO_BINS:
        if low <= ratio < high or ratio == high == 1.0:
            return f"{low:.1f}-{high:.1f}"
    raise ValueError(f"a hole ratio of {ratio:g} is impossible: it must lie in [0, 1]")
