"""Filling one decoded photo: the hole, the result in the photo's own depth, and what to look at."""

from collections.abc import Callable

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from lab.contracts import Guides, Strategy
from lab.imaging import (
    MaskReading,
    SourcePhoto,
    contact_sheet,
    dilate,
    outline_hole,
    paste_into_source,
)
from lab.mask_sources import GrabCut, MaskSource, cut_by_box

_PREVIEW_SIDE = 1024

Drawing = Callable[[Tensor, Tensor, Guides | None], Tensor]
"""``(image, mask, guides) -> edges``: ``(B, 1, H, W)`` in [0, 1], 1 = edge."""


def complete_photo(
    source: SourcePhoto, mask: Tensor, strategy: Strategy, guides: Guides | None = None
) -> SourcePhoto:
    """Fill a decoded photo where ``mask (1, H, W)`` is 1; all else stays as the file has it."""
    completed = strategy(source.image()[None], mask[None], guides)[0]
    return paste_into_source(source, completed, mask)


def drawn_edges(
    source: SourcePhoto, mask: Tensor, draw: Drawing, guides: Guides | None = None
) -> SourcePhoto:
    """The edges by which a hole is filled, white on black.

    Raises:
        UserError: what fills draws none.
    """
    return in_gray(draw(source.image()[None], mask[None], guides)[0])


def in_gray(plane: Tensor) -> SourcePhoto:
    """A plane ``(1, H, W)`` in [0, 1] as a gray picture of 8 bits."""
    return SourcePhoto((255 * plane[0, :, :, None]).round().byte().numpy())


def find_person(source: SourcePhoto, mask_source: MaskSource) -> MaskReading:
    """Let a mask source find the person in a photo.

    Raises:
        NoPersonError: it found nobody.
    """
    mask = mask_source(source.image()[None])
    note = cut_by_box(mask, mask_source.box) if isinstance(mask_source, GrabCut) else None
    return MaskReading(mask[0], note)


def grown_mask(mask: Tensor, dilation: int, name: str) -> Tensor:
    """Dilate a mask ``(1, H, W)``, but never over the whole photo.

    Raises:
        ValueError: nothing would be left to restore from.
    """
    grown = dilate(mask[None], dilation)[0]
    if grown.all():
        raise ValueError(
            f"the mask of {name}, dilated by {dilation} pixels, covers the whole photo, and "
            "nothing is left to restore from: dilate it less, or mark less"
        )
    return grown


def side_by_side(source: SourcePhoto, mask: Tensor, *results: SourcePhoto) -> Tensor:
    """Return the photo and its results side by side, no larger than a screen, the hole outlined."""
    scale = min(1.0, _PREVIEW_SIDE / max(source.width, source.height))
    size = (max(1, round(source.height * scale)), max(1, round(source.width * scale)))
    # The largest value, not the mean: a thin hole must not vanish.
    hole = F.adaptive_max_pool2d(mask, size)
    pictures = [
        outline_hole(F.adaptive_avg_pool2d(photo.image(), size).clamp(0.0, 1.0), hole)
        for photo in (source, *results)
    ]
    further = [f"completed, {number}" for number in range(2, len(results) + 1)]
    return contact_sheet([pictures], ["photo", "completed", *further])


def transparency_note(source: SourcePhoto, mask: Tensor) -> list[str]:
    """Say so where the completion will not be seen."""
    if source.alpha is None:
        return []
    unseen = int(np.count_nonzero((source.alpha == 0) & mask[0].numpy().astype(bool)))
    return [f"{unseen} pixels of the hole are transparent and stay so"] if unseen else []
