"""A square view of fixed size with the hole in its centre, for networks that answer the centre.

Everything is a product with two matrices for each image of a batch, one along each axis: holes of
different places and sizes stay one batch, and gradients pass.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class HoleView:
    """Where each image of a batch is looked at.

    What lies beyond an image's border is its nearest pixel.

    Attributes:
        start: row and column of the view's upper left corner, ``(B, 2)``, in pixels of the image;
            it may lie outside.
        step: how many pixels of the image a pixel of the view spans, ``(B,)``, at least 1: a view
            never enlarges.
        side: of the view, in its own pixels.
    """

    start: Tensor
    step: Tensor
    side: int

    @classmethod
    def around(cls, mask: Tensor, side: int, hole_side: int) -> "HoleView":
        """The view whose centre holds the box round the whole hole.

        Where the box fits, a pixel of the view is exactly one of the image; larger holes make the
        view wider. An image without a hole is looked at in its middle.

        Args:
            mask: ``(B, 1, H, W)``, 1 = hole.
            side: of the view, in its own pixels.
            hole_side: the largest side that the box may have there.
        """
        spans = _span(mask[:, 0].amax(2)), _span(mask[:, 0].amax(1))  # of rows, of columns
        first, last = (torch.stack(ends, dim=1) for ends in zip(*spans, strict=True))  # [b, 2]
        length = (last - first).clamp(min=0.0).amax(1)
        step = (length / hole_side).clamp(min=1.0)
        start = (first + last) / 2.0 - side * step[:, None] / 2.0
        # Whole pixels, so that a view that does not shrink does not blur.
        return cls(start.floor(), step, side)

    @property
    def centre(self) -> "HoleView":
        """The middle half of this view, along both axes."""
        corner = self.start + self.side // 4 * self.step[:, None]
        return HoleView(corner, self.step, self.side // 2)

    def look(self, planes: Tensor) -> Tensor:
        """Cut the view out of ``planes (B, C, H, W)``: ``(B, C, side, side)``.

        Pixels of the view are weighted means of those that they span.
        """
        height, width = planes.shape[-2:]
        return _resample(
            planes,
            _weights(self.start[:, 0], self.step, self.side, height),
            _weights(self.start[:, 1], self.step, self.side, width),
        )

    def put_back(self, view: Tensor, height: int, width: int) -> Tensor:
        """Spread ``view (B, C, side, side)`` over images: ``(B, C, height, width)``, bilinearly.

        Beyond the view, its border is repeated: see `covers`.
        """
        start = -self.start / self.step[:, None]
        step = 1.0 / self.step
        return _resample(
            view,
            _weights(start[:, 0], step, height, self.side),
            _weights(start[:, 1], step, width, self.side),
        )

    def covers(self, height: int, width: int) -> Tensor:
        """Which pixels of the images have their middle in the view: bool ``(B, 1, H, W)``."""
        ends = self.start + self.side * self.step[:, None]
        inside = []
        for axis, length in enumerate((height, width)):
            middle = torch.arange(length, device=ends.device) + 0.5
            inside.append((middle >= self.start[:, axis, None]) & (middle < ends[:, axis, None]))
        return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


def _span(touched: Tensor) -> tuple[Tensor, Tensor]:
    """First place, and the one after the last, that is touched in each row of ``(B, N)``, float.

    Where nothing is, they are N and 0: their mean is the middle.
    """
    places = torch.arange(touched.shape[1], device=touched.device, dtype=torch.float32)
    hole = touched > 0.5
    first = torch.where(hole, places, places[-1:] + 1.0).amin(1)
    return first, torch.where(hole, places + 1.0, 0.0).amax(1)


def _weights(start: Tensor, step: Tensor, count: int, length: int) -> Tensor:
    """What each of ``length`` pixels adds to each of ``count`` that span ``step`` from ``start``.

    Triangles as wide as what is spanned, at least a pixel to each side: ``(B, count, length)``,
    rows that sum to 1.
    """
    index = torch.arange(count, device=start.device, dtype=torch.float32)
    middle = start[:, None] + (index + 0.5) * step[:, None] - 0.5  # [b, count]
    middle = middle.clamp(0.0, length - 1.0)
    places = torch.arange(length, device=start.device, dtype=torch.float32)
    distance = (middle[..., None] - places).abs() / step.clamp(min=1.0)[:, None, None]
    weights = (1.0 - distance).clamp(min=0.0)
    return weights / weights.sum(-1, keepdim=True)


def _resample(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    # Half precision would round the pixels themselves.
    with torch.autocast(planes.device.type, enabled=False):
        planes = planes.to(torch.promote_types(planes.dtype, torch.float32))
        rows, columns = (weights[:, None].to(planes.dtype) for weights in (rows, columns))
        return rows @ planes @ columns.transpose(2, 3)
