"""How differently the patches of two regions are distributed, wherever they lie.

The sliced Wasserstein distance of Laplacian-pyramid patches, after Tero Karras, Timo Aila, Samuli
Laine and Jaakko Lehtinen, "Progressive Growing of GANs" (ICLR 2018), section 5.

Differs from the paper: of one photo and not of a set, so of the region's patches alone; and each
scale is divided by the contrast that the true photo has there, where the paper divides both sides
by their own, which would take a blur's want of contrast away. And each projection sees luminance or
hue alone (`draw_directions`).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from kornia.filters import filter2d
from torch import Tensor

PATCH = 7
"""Side of a patch in pixels, as in the paper."""

COARSEST = 16
"""Shorter side of the smallest image of the pyramid, at least, as in the paper."""

_LEAST_CONTRAST = 0.5 / 255

_COLOR_AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))


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


def draw_directions(
    count: int, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Random directions to project patches on, ``(count, 3, 7, 7)``.

    Each sees one axis of colour, luminance or one of two of hue, and a random pattern on it. Along
    directions that mix the colours, as the paper's do, whatever varies makes up for whatever does
    not: a blur is called better with streaks of any hue on it, and a network that is trained by
    them draws these.

    The axes are those of Yu-Ichi Ohta, Takeo Kanade, Toshiyuki Sakai, "Color Information for Region
    Segmentation" (1980), on which the colours of photos are nearly uncorrelated: red + green +
    blue, red - blue, and twice green - red - blue. All are as long as lets gray patches differ by
    as much as along directions of length 1 that mix the colours.

    Args:
        count: how many; a multiple of 3, for each axis as many.
        generator: by which they are drawn, on the processor; PyTorch's own where None is given.
        dtype: of the directions.

    Raises:
        ValueError: it is no multiple of 3.
    """
    if count % len(_COLOR_AXES):
        raise ValueError(f"three axes of colour share the directions: not {count}, a multiple of 3")
    patterns = torch.randn((count, PATCH**2), generator=generator, dtype=dtype)
    axes = torch.tensor(_COLOR_AXES, dtype=dtype).repeat(count // len(_COLOR_AXES), 1)
    axes = math.sqrt(3.0) * F.normalize(axes, dim=1)
    directions = axes[..., None] * F.normalize(patterns, dim=1)[:, None]
    return directions.reshape(count, 3, PATCH, PATCH)


def patch_distance(
    scales: Sequence[Tensor],
    region: Tensor,
    references: Sequence[Tensor],
    beside: Tensor,
    directions: Tensor,
) -> Tensor:
    """How differently patches of two regions are distributed, mean over the scales, ``(B,)``.

    Args:
        scales: pyramid of photos (`laplacian_pyramid`).
        region: ``(B, 1, H, W)`` of 0 and 1: the middles of the patches; where it is empty the
            distance is 0.
        references: pyramid of the photos that they are held against, whose contrast counts.
        beside: the middles of the patches there; empty as for ``region``.
        directions: that patches are projected on (`draw_directions`).
    """
    distances = []
    for scale, reference in zip(scales, references, strict=True):
        inside, outside = (
            F.adaptive_max_pool2d(middles, scale.shape[-2:])[:, 0] > 0
            for middles in (region, beside)
        )
        contrast = reference.flatten(1).std(1, correction=0) + _LEAST_CONTRAST
        photos = zip(_padded(scale), inside, _padded(reference), outside, strict=True)
        found = [
            _distance(_project(one, here, directions), _project(other, there, directions))
            for one, here, other, there in photos
        ]
        distances.append(torch.stack(found) / contrast)
    return torch.stack(distances).mean(0)


def _padded(scale: Tensor) -> Tensor:
    """With as much of the border repeated as a patch in the corner needs."""
    margin = PATCH // 2
    return F.pad(scale, (margin, margin, margin, margin), mode="replicate")


def _project(padded: Tensor, middles: Tensor, directions: Tensor) -> Tensor:
    """The patches of one photo along each of P directions, ``(P, N)``.

    Args:
        padded: ``(3, H + 6, W + 6)``.
        middles: ``(H, W)``, N of them true.
        directions: ``(P, 3, 7, 7)``.
    """
    if not middles.any():
        return padded.new_zeros(len(directions), 0)
    # Only where the patches lie: a hole is mostly a small part of a photo.
    rows, columns = (middles.any(dim).nonzero() for dim in (1, 0))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    part = padded[:, top : bottom + PATCH - 1, left : right + PATCH - 1]
    projected = F.conv2d(part[None], directions.to(part))[0]
    return projected[:, middles[top:bottom, left:right]]


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
