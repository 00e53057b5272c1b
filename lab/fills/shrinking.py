"""Shrinking a photo with a hole, so that what lies under the hole never bleeds out of it."""

import torch
import torch.nn.functional as F
from torch import Tensor


def shrink(image: Tensor, mask: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Average blocks of ``factor`` x ``factor`` pixels, each over its known pixels only.

    A block is hole where it has no known pixel. Blocks that the right or lower border cuts are
    averaged over what there is of them.

    Args:
        image: ``(B, 3, H, W)`` in [0, 1].
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
        factor: how many times smaller, at least 1.

    Returns:
        Image and mask with ``ceil(H / factor)`` rows and ``ceil(W / factor)`` columns; the image is
        0 under the hole.
    """
    known = F.avg_pool2d(1 - mask, factor, ceil_mode=True)
    colors = F.avg_pool2d(torch.where(mask > 0, 0.0, image), factor, ceil_mode=True)
    small = colors / known.clamp_min(torch.finfo(known.dtype).tiny)
    return small.clamp_(0, 1), (known == 0).to(mask.dtype)
