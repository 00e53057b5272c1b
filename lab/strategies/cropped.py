"""The inner strategy on a crop round the hole: little work for a small hole in a large photo."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lab.checks import check_image_and_mask
from lab.contracts import Guides, Network, Strategy
from lab.guides import check_guides, crop_guides
from lab.strategies.direct import Direct


class Cropped(Strategy):
    """Completes the box round the hole, with some context, and puts it back into its place.

    One box holds all of a photo's hole: for several holes far apart, `Tiled` sees less photo.

    Args:
        network: the network.
        inner: what completes the crop.
        context_share: how far the crop reaches beyond the hole's box on each side, as a share of
            the box's longer side, above 0.
        smallest_side: sides shorter than this many pixels are made as long, at least 1, where the
            photo has them: a network needs to see more than a few pixels.

    Raises:
        ValueError: no context, or a smallest side below 1.
    """

    def __init__(
        self,
        network: Network,
        inner: Callable[[Network], Strategy] = Direct,
        context_share: float = 0.5,
        smallest_side: int = 128,
    ) -> None:
        if not context_share > 0:
            raise ValueError(
                f"context_share is {context_share:g}, but must be above 0: "
                "a hole is filled from what surrounds it"
            )
        if smallest_side < 1:
            raise ValueError(f"smallest_side is {smallest_side}, but must be at least 1 pixel")
        self.inner = inner(network)
        self.context_share = context_share
        self.smallest_side = smallest_side

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1, shown ``guides``.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            UserError: a guide that the network reads is missing, or there is no such guide.
        """
        check_image_and_mask(image, mask)
        check_guides(guides, image)
        completed = image.clone()
        for index in mask.flatten(1).any(1).nonzero().flatten().tolist():
            sample, (rows, columns) = slice(index, index + 1), self._crop(mask[index, 0])
            crop = (sample, slice(None), rows, columns)
            theirs = crop_guides(guides, sample, rows, columns)
            answer = self.inner(image[crop], mask[crop], theirs)
            completed[crop] = torch.where(mask[crop] > 0, answer, image[crop])
        return completed

    def _crop(self, hole: Tensor) -> tuple[slice, slice]:
        """The rows and columns of the crop for a hole ``(H, W)`` that is not empty."""
        boxes = []
        for axis in (1, 0):
            places = hole.any(axis).nonzero()
            boxes.append((int(places[0]), int(places[-1]) + 1))
        longer = max(stop - start for start, stop in boxes)
        context = math.ceil(self.context_share * longer)
        rows, columns = (
            self._side(box, context, size) for box, size in zip(boxes, hole.shape, strict=True)
        )
        return rows, columns

    def _side(self, box: tuple[int, int], context: int, size: int) -> slice:
        start, stop = box
        length = max(stop - start + 2 * context, self.smallest_side)
        # What the photo's border cuts off on one side is not made up for on the other, but for the
        # smallest side, which the network needs.
        first = start - (length - (stop - start)) // 2
        low, high = max(0, first), min(size, first + length)
        missing = min(self.smallest_side, size) - (high - low)
        if missing > 0:
            low, high = (0, high + missing) if low == 0 else (low - missing, high)
        return slice(low, high)
