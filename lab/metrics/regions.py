"""Where a measure looks: the hole, its rim, or the whole photo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

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
