"""Dilation, erosion, the rim and the depth of a hole, on tensors and any device.

Dilation and erosion are equal to OpenCV's ``cv2.dilate(mask, None, iterations=n)`` and
``cv2.erode``, which the documents use: a 3x3 square a step, and nothing beyond the image's border
counts, so that erosion does not eat into a hole from there.
"""

import math

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.checks import check_mask


def dilate(mask: Tensor, iterations: int) -> Tensor:
    """Grow the hole by ``iterations`` pixels in each of the eight directions.

    Args:
        mask: ``(B, 1, H, W)`` of 0 and 1.
        iterations: steps of a 3x3 square; 0 changes nothing.

    Raises:
        TypeError, ValueError: not a mask.
        ValueError: ``iterations`` is negative.
    """
    check_mask(mask)
    _check_pixels("iterations", iterations)
    return _grow(mask, iterations)


def erode(mask: Tensor, iterations: int) -> Tensor:
    """Shrink the hole by ``iterations`` pixels, but not from the image's border.

    Args:
        mask: ``(B, 1, H, W)`` of 0 and 1.
        iterations: steps of a 3x3 square; 0 changes nothing.

    Raises:
        TypeError, ValueError: not a mask.
        ValueError: ``iterations`` is negative.
    """
    check_mask(mask)
    _check_pixels("iterations", iterations)
    return _shrink(mask, iterations)


def rim(mask: Tensor, width: int) -> Tensor:
    """Select the band of ``width`` pixels to each side of the hole's border.

    What dilation by ``width`` adds and erosion by ``width`` takes away. Empty only where the mask
    is empty or full; the image's own border is no border of the hole.

    Args:
        mask: ``(B, 1, H, W)`` of 0 and 1.
        width: pixels to each side, at least 1.

    Raises:
        TypeError, ValueError: not a mask.
        ValueError: ``width`` is below 1.
    """
    check_mask(mask)
    _check_pixels("width", width, lowest=1)
    # Where dilation gives 0 erosion does too, so the difference is 0 or 1.
    return _grow(mask, width) - _shrink(mask, width)


def distance_to_known(mask: Tensor) -> Tensor:
    """Measure how far each pixel of the hole is from the nearest known one, centre to centre.

    Exactly, in the plane, whatever the hole's shape; nothing beyond the image's border counts as
    known. Computed on the processor, about a millisecond for 256x256 pixels.

    Args:
        mask: ``(B, 1, H, W)`` of 0 and 1.

    Returns:
        float32 ``(B, 1, H, W)``, in pixels: 0 where known, at least 1 in the hole; infinite where
        nothing is known.

    Raises:
        TypeError, ValueError: not a mask.
    """
    check_mask(mask)
    holes = mask.detach().to("cpu", torch.uint8).flatten(0, 1).numpy()
    exactly = cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    # Where nothing is known, OpenCV answers a large number.
    distances = [
        np.full(hole.shape, math.inf, np.float32)
        if hole.all()
        else cv2.distanceTransform(hole, *exactly)
        for hole in holes
    ]
    return torch.from_numpy(np.stack(distances)).to(mask.device).unsqueeze(1)


def _grow(mask: Tensor, pixels: int) -> Tensor:
    # n steps of a 3x3 square are one square of 2n + 1, which is separable.
    side = 2 * pixels + 1
    rows = F.max_pool2d(mask, (1, side), stride=1, padding=(0, pixels))
    return F.max_pool2d(rows, (side, 1), stride=1, padding=(pixels, 0))


def _shrink(mask: Tensor, pixels: int) -> Tensor:
    return 1 - _grow(1 - mask, pixels)


def _check_pixels(name: str, value: int, lowest: int = 0) -> None:
    if value < lowest:
        raise ValueError(f"{name} is {value}, but must be at least {lowest}")
