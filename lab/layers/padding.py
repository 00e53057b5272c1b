"""What lies beyond an image's border: repeated or mirrored pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(planes: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are a multiple of ``multiple``.

    Args:
        planes: ``(B, C, H, W)``.
        multiple: of both sides of the answer, at least 1. The pixels stay at the upper left.
    """
    height, width = planes.shape[-2:]
    missing = (0, -width % multiple, 0, -height % multiple)
    return F.pad(planes, missing, mode="replicate") if any(missing) else planes


def reflect(planes: Tensor, margin: int) -> Tensor:
    """Mirror ``margin`` rows and columns at each border, without repeating the border itself.

    ``F.pad(..., mode="reflect")`` where that is defined. Maps no larger than the margin, which it
    refuses, are mirrored again and again, as ``numpy.pad`` does.

    Args:
        planes: ``(B, C, H, W)``.
        margin: rows and columns at each border.
    """
    height, width = planes.shape[-2:]
    if margin < min(height, width):
        return F.pad(planes, (margin,) * 4, mode="reflect") if margin else planes
    rows, columns = (_mirrored(side, margin, planes.device) for side in (height, width))
    return planes.index_select(-2, rows).index_select(-1, columns)


def _mirrored(side: int, margin: int, device: torch.device) -> Tensor:
    """For each place from ``-margin`` to ``side + margin``, which of ``side`` pixels is seen."""
    places = torch.arange(-margin, side + margin, device=device)
    period = max(1, 2 * (side - 1))
    within = places % period
    return torch.minimum(within, period - within) if side > 1 else torch.zeros_like(places)
