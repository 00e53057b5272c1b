"""What strategies share: which samples are completed, and that known pixels are pasted."""

from collections.abc import Callable

import torch
from torch import Tensor

from lab.contracts import Guides


def complete_holed(
    image: Tensor,
    mask: Tensor,
    paste: bool,
    complete: Callable[[Tensor, Tensor, Guides | None], Tensor],
    guides: Guides | None = None,
) -> Tensor:
    """Complete the samples that have a hole; the others come back as they are.

    Args:
        image: ``(B, 3, H, W)``.
        mask: ``(B, 1, H, W)``.
        paste: keep the known pixels of the completed samples bit for bit.
        complete: is given the samples with a hole alone, with their guides; not called where there
            is none.
        guides: ``(B, C, H, W)`` each.
    """
    holed = mask.flatten(1).any(1)
    if bool(holed.all()):
        answer = complete(image, mask, guides).to(image.dtype)
        return torch.where(mask > 0, answer, image) if paste else answer
    completed = image.clone()
    if bool(holed.any()):
        known, hole = image[holed], mask[holed]
        theirs = (
            None if guides is None else {name: planes[holed] for name, planes in guides.items()}
        )
        answer = complete(known, hole, theirs).to(image.dtype)
        completed[holed] = torch.where(hole > 0, answer, known) if paste else answer
    return completed


def refuse_full(mask: Tensor) -> None:
    """Raise where a method that fills a hole from what surrounds it has nothing to fill it from.

    Raises:
        ValueError: a mask ``(B, 1, H, W)`` covers a whole image.
    """
    full = mask.flatten(1).all(1)
    if bool(full.any()):
        raise ValueError(
            f"the mask of sample {full.nonzero().flatten().tolist()} covers the whole image, and "
            "there is nothing to fill it from: leave some pixels known"
        )
