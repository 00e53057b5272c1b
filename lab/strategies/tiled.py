"""The inner strategy tile by tile: as documented (V2), and for photos of any size."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.checks import check_image_and_mask, unknown_name_message
from lab.contracts import Guides, Network, Strategy
from lab.fills.shrinking import shrink
from lab.guides import check_guides, crop_guides, shrink_guides
from lab.strategies.direct import Direct

Blending = Literal["none", "smooth"]
TileReport = Callable[[int, int], None]
"""Called before each tile with its number, from 1, and how many of the photo hold a hole."""

_FIRST_GROWTH = 16
# What bicubic interpolation reads to each side of a pixel.
_BICUBIC_REACH = 2


@dataclass(frozen=True)
class _Span:
    """A tile along one axis: the pixels that it writes, and the weight of each.

    At every pixel the weights of all tiles add up to 1.
    """

    start: int
    stop: int
    weight: Tensor


class Tiled(Strategy):
    """Cuts the photo into tiles, completes each, and puts them together.

    The defaults are the background notes' V2: 2 x 2 tiles of 128 pixels of a 256 x 256 photo,
    without overlap. They saw seams at the borders, because each tile lacks its neighbours'
    information; ``overlap``, ``context`` and smooth blending are there against them.

    Tiles without a hole are skipped. A tile that is all hole is seen with more and more context,
    until something is known in it. With ``tile``, memory does not depend on the photo's size nor on
    the hole's, and time grows with the pixels: such a tile's view is shrunk to the size of the
    others, and what is filled there is less sharp.

    Args:
        network: the network.
        inner: what completes a tile; the known pixels are pasted in any case.
        rows: of tiles.
        columns: of tiles.
        tile: the largest side of a tile in pixels, in place of ``rows`` and ``columns``: as few
            rows and columns as that takes, of equal size but for a pixel. A photo that is no larger
            is completed whole.
        overlap: pixels that neighbouring tiles share; at most a tile's side, half of ``tile``.
        context: pixels beyond a tile on each side that the network sees but does not fill.
        blending: what happens where tiles overlap: ``"none"`` cuts in the middle; ``"smooth"``
            fades from one tile to the other by a raised cosine.
        on_tile: is told of each tile as it begins.

    Raises:
        ValueError: tiles, overlap or context that are too small or too large; unknown blending.
    """

    def __init__(
        self,
        network: Network,
        inner: Callable[[Network], Strategy] = Direct,
        rows: int = 2,
        columns: int = 2,
        tile: int | None = None,
        overlap: int = 0,
        context: int = 0,
        blending: Blending = "none",
        on_tile: TileReport | None = None,
    ) -> None:
        for name, value, lowest in (
            ("rows", rows, 1),
            ("columns", columns, 1),
            ("tile", 1 if tile is None else tile, 1),
            ("overlap", overlap, 0),
            ("context", context, 0),
        ):
            if value < lowest:
                raise ValueError(f"{name} is {value}, but must be at least {lowest}")
        if tile is not None and overlap > tile // 2:
            raise ValueError(
                f"overlap is {overlap} pixels, but must be at most half of the tile, {tile // 2}"
            )
        if blending not in get_args(Blending):
            raise ValueError(unknown_name_message("blending", blending, get_args(Blending)))
        self.inner = inner(network)
        self.rows = rows
        self.columns = columns
        self.tile = tile
        self.overlap = overlap
        self.context = context
        self.blending = blending
        self.on_tile = on_tile

    def borders(self, height: int, width: int) -> tuple[list[int], list[int]]:
        """The rows and the columns of a photo at which a tile begins, without the first.

        With overlap, the middle of what two tiles share.

        Raises:
            ValueError: more tiles than pixels, or tiles that are smaller than the overlap.
        """
        return self._edges(height, self.rows)[1:-1], self._edges(width, self.columns)[1:-1]

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1, shown ``guides``.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            UserError: a guide that the network reads is missing, or there is no such guide.
            ValueError: the photo is too small for so many tiles, or so much overlap.
        """
        check_image_and_mask(image, mask)
        check_guides(guides, image)
        down = self._spans(image.shape[2], self.rows, image)
        across = self._spans(image.shape[3], self.columns, image)
        completed = torch.where(mask > 0, 0.0, image)
        for index in mask.flatten(1).any(1).nonzero().flatten().tolist():
            sample = slice(index, index + 1)
            theirs = crop_guides(guides, sample)
            holed = [
                (rows, columns)
                for rows, columns in product(down, across)
                if bool(mask[sample, :, rows.start : rows.stop, columns.start : columns.stop].any())
            ]
            for number, (rows, columns) in enumerate(holed, start=1):
                if self.on_tile is not None:
                    self.on_tile(number, len(holed))
                self._add(completed[sample], image[sample], mask[sample], theirs, rows, columns)
        # Weights add up to 1 but for rounding.
        return completed.clamp_(0, 1)

    def _edges(self, size: int, count: int) -> list[int]:
        if self.tile is not None:
            count = math.ceil(size / self.tile)
        edges = [size * number // count for number in range(count + 1)]
        smallest = size // count
        if smallest < 1 or (count > 1 and self.overlap > smallest):
            raise ValueError(
                f"{count} tiles with an overlap of {self.overlap} do not fit into {size} pixels, "
                f"where each would have {smallest}: ask for fewer tiles or less overlap"
            )
        return edges

    def _spans(self, size: int, count: int, like: Tensor) -> list[_Span]:
        edges = self._edges(size, count)
        place = (torch.arange(self.overlap, device=like.device, dtype=like.dtype) + 0.5) / max(
            1, self.overlap
        )
        rise = (1 - torch.cos(math.pi * place)) / 2
        if self.blending == "none":
            rise = (torch.arange(self.overlap, device=like.device) >= self.overlap // 2).to(rise)
        spans = []
        for start, stop in pairwise(edges):
            low = start - (self.overlap // 2 if start > 0 else 0)
            high = stop + (self.overlap - self.overlap // 2 if stop < size else 0)
            weight = like.new_ones(high - low)
            if self.overlap and start > 0:
                weight[: self.overlap] = rise
            if self.overlap and stop < size:
                weight[-self.overlap :] = 1 - rise
            spans.append(_Span(low, high, weight))
        return spans

    def _add(
        self,
        completed: Tensor,
        image: Tensor,
        mask: Tensor,
        guides: Guides | None,
        rows: _Span,
        columns: _Span,
    ) -> None:
        """Add one tile's share to the hole of one photo, ``(1, 3, H, W)``."""
        hole = mask[..., rows.start : rows.stop, columns.start : columns.stop]
        weight = rows.weight[:, None] * columns.weight
        answer = self._complete(image, mask, guides, rows, columns)
        share = torch.where(hole > 0, weight * answer, 0.0)
        completed[..., rows.start : rows.stop, columns.start : columns.stop] += share

    def _complete(
        self, image: Tensor, mask: Tensor, guides: Guides | None, rows: _Span, columns: _Span
    ) -> Tensor:
        """The pixels that a tile writes, completed with what its view shows."""
        seen_rows, seen_columns = self._view(mask, rows, columns)
        view = (..., seen_rows, seen_columns)
        factor = 1
        if self.tile is not None:
            largest = self.tile + self.overlap + 2 * self.context
            sides = (side.stop - side.start for side in (seen_rows, seen_columns))
            factor = math.ceil(max(sides) / largest)
        seen = crop_guides(guides, slice(None), seen_rows, seen_columns)
        if factor == 1:
            answer = self.inner(image[view], mask[view], seen)
        else:
            small = shrink_guides(seen, mask[view], factor)
            answer = self.inner(*shrink(image[view], mask[view], factor), small)
        first_row, first_column = rows.start - seen_rows.start, columns.start - seen_columns.start
        wanted = (
            (first_row, rows.stop - rows.start),
            (first_column, columns.stop - columns.start),
        )
        return _part(answer, wanted, factor)

    def _view(self, mask: Tensor, rows: _Span, columns: _Span) -> tuple[slice, slice]:
        """What of the photo the network sees for a tile; grown while all of it is hole."""
        height, width = mask.shape[2:]
        margin = self.context
        while True:
            seen_rows = slice(max(0, rows.start - margin), min(height, rows.stop + margin))
            seen_columns = slice(max(0, columns.start - margin), min(width, columns.stop + margin))
            seen = mask[..., seen_rows, seen_columns]
            if seen.shape == mask.shape or not bool(seen.all()):
                return seen_rows, seen_columns
            margin = max(2 * margin, _FIRST_GROWTH)


def _part(small: Tensor, wanted: tuple[tuple[int, int], tuple[int, int]], factor: int) -> Tensor:
    """Enlarge ``factor`` times, and cut ``(start, length)`` out of rows and columns."""
    if factor == 1:
        (top, height), (left, width) = wanted
        return small[..., top : top + height, left : left + width]
    # Only what is wanted is enlarged.
    starts = [max(0, start // factor - _BICUBIC_REACH) for start, _ in wanted]
    stops = [-(-(start + length) // factor) + _BICUBIC_REACH for start, length in wanted]
    near = small[..., starts[0] : stops[0], starts[1] : stops[1]]
    large = F.interpolate(near, scale_factor=float(factor), mode="bicubic").clamp_(0, 1)
    (top, height), (left, width) = (
        (start - factor * first, length)
        for (start, length), first in zip(wanted, starts, strict=True)
    )
    return large[..., top : top + height, left : left + width]
