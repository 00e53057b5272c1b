"""Windows round the parts of a hole: what copies from nearby need not look at the whole photo."""

from collections.abc import Callable
from math import ceil

import cv2
import numpy as np
import torch
from torch import Tensor

from lab.checks import check_image_and_mask
from lab.fills.holed import refuse_full


def complete_windows(
    image: Tensor,
    mask: Tensor,
    context_share: float,
    least_context: int,
    complete: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Complete every sample window by window, and keep known pixels bit for bit.

    Args:
        image: ``(B, 3, H, W)``.
        mask: ``(B, 1, H, W)``.
        context_share: as of `hole_windows`.
        least_context: as of `hole_windows`.
        complete: is given a window ``(3, h, w)``, 0 under the hole, and its hole, bool ``(h, w)``,
            in which something is known; answers ``(3, h, w)`` in [0, 1].

    Raises:
        TypeError, ValueError: the inputs break the conventions or do not fit each other.
        ValueError: a mask covers the whole image.
    """
    check_image_and_mask(image, mask)
    refuse_full(mask)
    completed = image.clone()
    for index in mask.flatten(1).any(1).nonzero().flatten().tolist():
        hole = mask[index, 0] > 0
        for window in hole_windows(hole, context_share, least_context):
            part, shown = hole[window], image[index, :, *window]
            answer = complete(torch.where(part, 0.0, shown), part)
            completed[index, :, *window] = torch.where(part, answer.to(image.dtype), shown)
    return completed


def hole_windows(
    hole: Tensor, context_share: float, least_context: int
) -> list[tuple[slice, slice]]:
    """Cut a window round each part of a hole, with context; those that would touch become one.

    Args:
        hole: bool ``(H, W)``.
        context_share: how far a window reaches beyond a part's box on each side, as a share of the
            box's longer side.
        least_context: and at least so many pixels.

    Returns:
        Rows and columns of each window: apart from one another, and all of the hole is in them.
    """
    pixels = hole.cpu().numpy().astype(np.uint8)
    boxes = [
        (left - context, top - context, right + context, bottom + context)
        for left, top, right, bottom in _boxes(pixels)
        for context in [max(least_context, ceil(context_share * max(right - left, bottom - top)))]
    ]
    while True:
        canvas = np.zeros_like(pixels)
        for left, top, right, bottom in boxes:
            canvas[max(0, top) : bottom, max(0, left) : right] = 1
        merged = _boxes(canvas)
        # Boxes that overlap are one part of the canvas, whose own box may meet further ones.
        if len(merged) == len(boxes):
            return [(slice(top, bottom), slice(left, right)) for left, top, right, bottom in merged]
        boxes = merged


def _boxes(pixels: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom, these two exclusive, of each connected part."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    return [
        (left, top, left + width, top + height)
        for left, top, width, height, _ in statistics[1:].tolist()
    ]
