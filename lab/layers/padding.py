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
    # Written as multiples: exporting proves by it that what is halved can be doubled again.
    height, width = ((side + multiple - 1) // multiple * multiple for side in planes.shape[-2:])
    return extend(planes, height, width)


def extend(planes: Tensor, height: int, width: int) -> Tensor:
    """Repeat the last row and column of ``planes (B, C, H, W)`` up to ``height`` and ``width``."""
    missing = (0, width - planes.shape[-1], 0, height - planes.shape[-2])
    # An exported network pads photos of any size, whether or not this one needs it.
    if not torch.compiler.is_exporting() and not any(missing):
        return planes
    return F.pad(planes, missing, mode="replicate")


def reflect(planes: Tensor, margin: int) -> Tensor:
    """Mirror ``margin`` rows and columns at each border, without repeating the border itself.

    ``F.pad(..., mode="reflect")`` where that is defined. Maps no larger than the margin, which it
    refuses, are mirrored again and again, as ``numpy.pad`` does.

    Args:
        planes: ``(B, C, H, W)``.
        margin: rows and columns at each border.
    """
    height, width = planes.shape[-2:]
    if not torch.compiler.is_exporting() and margin < min(height, width):
        return F.pad(planes, (margin,) * 4, mode="reflect") if margin else planes
    rows, columns = (_mirrored(side, margin, planes.device) for side in (height, width))
    return planes.index_select(-2, rows).index_select(-1, columns)


def _mirrored(side: int, margin: int, device: torch.device) -> Tensor:
    """For each place from ``-margin`` to ``side + margin``, which of ``side`` pixels is seen."""
    places = torch.arange(-margin, side + margin, device=device)
    if side == 1:
        return torch.zeros_like(places)
    period = torch.scalar_tensor(2 * (side - 1), dtype=places.dtype, device=device)
    within = places % period
    return torch.minimum(within, period - within)
