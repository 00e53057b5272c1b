"""A square of fixed size round each photo's hole, for who judges what was completed."""

from typing import Literal

import torch
from torch import Tensor

from lab.checks import check_mask

LocalSide = int | Literal["half"]
"""Side of a crop round the hole, in pixels; or half of the photos'."""


def local_side_of(size: int, asked: LocalSide) -> int:
    """The side in pixels of a crop round the hole of photos of ``size`` pixels a side.

    Raises:
        ValueError: below 8 pixels, too small to judge, or larger than the photos.
    """
    side = size // 2 if asked == "half" else asked
    if not 8 <= side <= size:
        raise ValueError(f"local_side must be from 8 to the size of the images, {size}, not {side}")
    return side


def crop_round_hole(image: Tensor, mask: Tensor, side: int) -> Tensor:
    """Cut a square out of each photo of a batch, its middle as near as may be to the hole's.

    The hole's middle is that of the smallest upright rectangle round all of its pixels; a photo
    without a hole is cut in its own middle. The square stays inside the photo, so that a hole
    near the border lies off the square's middle; a hole larger than the square is not all in it.

    Args:
        image: ``(B, C, H, W)`` of any channels and range; gradients flow through.
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
        side: of the squares, in pixels.

    Returns:
        ``(B, C, side, side)``.

    Raises:
        TypeError, ValueError: not a mask, or not the image's.
        ValueError: ``side`` is below 1 or larger than the image.
    """
    check_mask(mask, image)
    height, width = image.shape[-2:]
    if not 1 <= side <= min(height, width):
        raise ValueError(
            f"side is {side}, but must be from 1 to the image's shorter side, "
            f"{min(height, width)}: take a smaller crop or larger images"
        )
    hole = mask[:, 0] > 0.5
    corners = torch.stack([_starts(hole.any(2), side), _starts(hole.any(1), side)], dim=1)
    # Slices rather than indices: their gradient is a plain addition on every device.
    return torch.stack(
        [
            photo[:, top : top + side, left : left + side]
            for photo, (top, left) in zip(image, corners.tolist(), strict=True)
        ]
    )


def _starts(occupied: Tensor, side: int) -> Tensor:
    """Where along one axis ``occupied (B, N)`` the squares begin, ``(B,)``."""
    length = occupied.shape[1]
    ahead = occupied.byte().argmax(1)
    behind = occupied.flip(1).byte().argmax(1)
    # Of the first and the last pixel, and so 0 + length - 1 where there is none.
    both = ahead + length - 1 - behind
    return ((both + 1 - side) // 2).clamp(0, length - side)
