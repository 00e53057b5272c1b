"""Where a measure looks: the hole, its rim, or the whole photo; and how large the hole is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.checks import check_mask
from lab.imaging import rim

RIM_WIDTH = 4
"""Pixels to each side of the hole's border: near enough to see the seam, wide enough to average."""


@dataclass(frozen=True)
class Region:
    """``select`` maps a mask ``(B, 1, H, W)`` to the region's pixels, alike, of 0 and 1."""

    definition: str
    select: Callable[[Tensor], Tensor]


def _hole(mask: Tensor) -> Tensor:
    return mask


def _rim(mask: Tensor) -> Tensor:
    return rim(mask, RIM_WIDTH)


REGIONS: Mapping[str, Region] = {
    "hole": Region("the pixels of the hole", _hole),
    "rim": Region(
        f"the band of {RIM_WIDTH} pixels to each side of the hole's border (not along the border "
        "of the photo)",
        _rim,
    ),
    "whole": Region("all pixels of the photo", torch.ones_like),
}
"""Every region by name."""


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
