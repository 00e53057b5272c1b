"""Does a fill look like what belongs there? By the patches of each scale, wherever they lie.

Pixel-wise measures reward a blur, the mean of everything that could be there; here a fill is as
good as its patches are alike (`lab.imaging.patch_distance`), so that bricks in another place count
as bricks, and a blur as none. Luminance and hue are compared each by itself
(`lab.imaging.draw_directions`), so that no streak of colour makes up for a blur.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from lab.imaging import draw_directions, laplacian_pyramid, patch_distance

_PROJECTIONS = 66


@cache
def patch_directions() -> Tensor:
    """The directions that every patch is projected on: ``(66, 3, 7, 7)``, always the same."""
    return draw_directions(_PROJECTIONS, torch.Generator().manual_seed(0), torch.float64)


def texture_distance(completed: Sequence[Tensor], true: Sequence[Tensor], region: Tensor) -> Tensor:
    """How differently patches of the region are distributed, mean over the scales, ``(B,)``.

    Args:
        completed: pyramid of the completed photos (`lab.imaging.laplacian_pyramid`).
        true: of the true photos.
        region: ``(B, 1, H, W)`` of 0 and 1: the middles of the patches; where it is empty the
            distance is 0.
    """
    return patch_distance(completed, region, true, region, patch_directions())


def texture_mismatch(photo: Tensor, region: Tensor, surroundings: Tensor) -> Tensor:
    """How differently patches of two regions of the same photos are distributed, ``(B,)``.

    For removals without a truth: the fill against its known surroundings.

    Args:
        photo: ``(B, 3, H, W)`` in [0, 1].
        region: ``(B, 1, H, W)`` of 0 and 1: the middles of the patches.
        surroundings: those of the patches that they are held against; where either is empty the
            distance is 0.
    """
    scales = laplacian_pyramid(photo)
    return patch_distance(scales, region, scales, surroundings, patch_directions())
