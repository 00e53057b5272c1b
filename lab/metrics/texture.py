"""Does a fill look like what belongs there? By the patches of each scale, wherever they lie.

The sliced Wasserstein distance of Laplacian-pyramid patches, after Tero Karras, Timo Aila, Samuli
Laine and Jaakko Lehtinen, "Progressive Growing of GANs" (ICLR 2018), section 5. Pixel-wise measures
reward a blur, the mean of everything that could be there; here a fill is as good as its patches are
alike, so that bricks in another place count as bricks, and a blur as none.

Differs from the paper: of one photo and not of a set, so of the region's patches alone; and each
scale is divided by the contrast that the true photo has there, where the paper divides both sides
by their own, which would take a blur's want of contrast away.
"""

from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from kornia.filters import filter2d
from torch import Tensor

PATCH = 7
"""Side of a patch in pixels, as in the paper."""

COARSEST = 16
"""Shorter side of the smallest image of the pyramid, at least, as in the paper."""

_PROJECTIONS = 64
_LEAST_CONTRAST = 0.5 / 255


def laplacian_pyramid(image: Tensor) -> list[Tensor]:
    """What each scale adds to the next coarser one, the finest first; what is left, last.

    Args:
        image: ``(B, 3, H, W)``.
    """
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], dtype=image.dtype, device=image.device) / 16.0
    kernel = (row[:, None] * row)[None]
    scales = []
    while min(image.shape[-2:]) >= 2 * COARSEST:
        smaller = filter2d(image, kernel)[..., ::2, ::2]
        # Each sample back where it was taken, and the gaps filled by the same filter: half a pixel
        # beside it, what is smooth would count as detail.
        apart = torch.zeros_like(image)
        apart[..., ::2, ::2] = smaller
        scales.append(image - filter2d(apart, 4.0 * kernel))
        image = smaller
    return [*scales, image - image.mean((2, 3), keepdim=True)]


@cache
def patch_directions() -> Tensor:
    """The random directions of length 1 that patches are projected on: ``(64, 3, 7, 7)``."""
    generator = torch.Generator().manual_seed(0)
    shape = (_PROJECTIONS, 3, PATCH, PATCH)
    directions = torch.randn(shape, generator=generator, dtype=torch.float64)
    return F.normalize(directions.flatten(1), dim=1).reshape(shape)


def _project(scale: Tensor) -> Tensor:
    """Every patch along each direction, ``(B, 64, H, W)``; the image's border is repeated."""
    margin = PATCH // 2
    padded = F.pad(scale, (margin, margin, margin, margin), mode="replicate")
    return F.conv2d(padded, patch_directions().to(scale))


def texture_distance(completed: Sequence[Tensor], true: Sequence[Tensor], region: Tensor) -> Tensor:
    """How differently patches of the region are distributed, mean over the scales, ``(B,)``.

    Args:
        completed: pyramid of the completed photos (`laplacian_pyramid`).
        true: of the true photos.
        region: ``(B, 1, H, W)`` of 0 and 1: the middles of the patches; where it is empty the
            distance is 0.
    """
    return _mean_distance(completed, region, true, region)


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
    return _mean_distance(scales, region, scales, surroundings)


def _mean_distance(
    scales: Sequence[Tensor], region: Tensor, references: Sequence[Tensor], beside: Tensor
) -> Tensor:
    """Of the patches of ``scales`` in ``region`` from those of ``references`` in ``beside``."""
    distances = []
    for scale, reference in zip(scales, references, strict=True):
        inside, outside = (
            F.adaptive_max_pool2d(middles, scale.shape[-2:])[:, 0] > 0
            for middles in (region, beside)
        )
        contrast = reference.flatten(1).std(1, correction=0) + _LEAST_CONTRAST
        pairs = zip(_project(scale), inside, _project(reference), outside, strict=True)
        found = [_distance(one[:, here], other[:, there]) for one, here, other, there in pairs]
        distances.append(torch.stack(found) / contrast)
    return torch.stack(distances).mean(0)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """Wasserstein-1 of ``(P, N)`` and ``(P, M)`` in one dimension, the mean over P."""
    if not one.shape[1] or not other.shape[1]:
        return one.new_zeros(())
    one, other = one.sort(1).values, other.sort(1).values
    if one.shape[1] != other.shape[1]:
        # As many quantiles of each as the smaller has values.
        count = min(one.shape[1], other.shape[1])
        middles = (torch.arange(count, device=one.device) + 0.5) / count
        one, other = (values[:, (middles * values.shape[1]).long()] for values in (one, other))
    return (one - other).abs().mean()
