"""The shift connection: features of the hole, taken from where the photo is known.

Zhaoyi Yan, Xiaoming Li, Mu Li, Wangmeng Zuo, Shiguang Shan, "Shift-Net: Image Inpainting via Deep
Feature Rearrangement" (ECCV 2018), section 3.2.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.compiling import Program

MaskReduction = Literal["nearest", "any"]

# Similarities that are held at once: 64 MiB.
_MOST_SIMILARITIES = 2**24


class ShiftConnection(nn.Module):
    """Gives each position of the hole the encoder's features of the known position most like it.

    Alike is by the cosine between the decoder's features there and the encoder's here. The choice
    is hard: gradients reach the features that were taken, not the choice. Features that are all 0
    are like none, where the published code divides 0 by 0.

    Memory does not grow with the square of the positions: similarities are computed in pieces.

    Args:
        reduction: whether a position is hole: ``"nearest"`` as published, if the upper left pixel
            of its cell is, so that holes thinner than a cell can vanish, and features are taken
            from cells that the hole reaches into; ``"any"``, if any pixel of its cell is.

    Raises:
        ValueError: a reduction that there is not.
    """

    def __init__(self, reduction: MaskReduction = "nearest") -> None:
        super().__init__()
        if reduction not in get_args(MaskReduction):
            known = get_args(MaskReduction)
            raise ValueError(unknown_name_message("mask reduction", reduction, known))
        self.reduction = reduction

    def reduce(self, mask: Tensor, height: int, width: int) -> Tensor:
        """Shrink ``mask (B, 1, H, W)``, 1 = hole, to features: ``(B, 1, height, width)``."""
        if self.reduction == "nearest":
            return F.interpolate(mask, (height, width))
        return F.adaptive_max_pool2d(mask, (height, width))

    def forward(self, decoder: Tensor, encoder: Tensor, mask: Tensor) -> Tensor:
        """Take features from known positions.

        Args:
            decoder: ``(B, C, H, W)``, what is looked for.
            encoder: ``(B, C, H, W)``, what is looked through and taken.
            mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole, at the features' size: see `reduce`.

        Returns:
            ``(B, C, H, W)``: 0 outside the hole, and where nothing is known.
        """
        shift = _shifted if torch.compiler.is_exporting() else _shifted_by_photo
        return shift(decoder, encoder, mask.flatten(1) > 0.5)


@Program
def _shifted_by_photo(decoder: Tensor, encoder: Tensor, hole: Tensor) -> Tensor:
    """What `ShiftConnection` takes, for ``hole (B, N)``: of each photo what is asked alone."""
    taken = []
    for wanted, offered, is_hole in zip(decoder.flatten(2), encoder.flatten(2), hole, strict=True):
        shifted = torch.zeros_like(offered)  # [c, N]
        places, sources = is_hole.nonzero()[:, 0], (~is_hole).nonzero()[:, 0]
        if len(places) and len(sources):
            nearest = sources[_most_alike(wanted[:, places], offered[:, sources])]
            shifted = shifted.index_copy(1, places, offered[:, nearest])
        taken.append(shifted)
    return torch.stack(taken).reshape(encoder.shape)


def _shifted(decoder: Tensor, encoder: Tensor, hole: Tensor) -> Tensor:
    """The same by operations whose shapes are known.

    All positions look through all: for exporting, which cannot follow how many lie in a hole.
    """
    offered = encoder.flatten(2)  # [b, c, N]
    scores = decoder.flatten(2).transpose(1, 2) @ F.normalize(offered, dim=1)  # [b, N, N]
    scores = scores.masked_fill(hole[:, None], torch.finfo(scores.dtype).min)
    nearest = scores.argmax(2)[:, None].expand(-1, offered.shape[1], -1)  # [b, c, N]
    is_filled = hole & ~hole.all(1, keepdim=True)
    return torch.where(is_filled[:, None], offered.gather(2, nearest), 0.0).reshape(encoder.shape)


@torch.no_grad()
def _most_alike(wanted: Tensor, offered: Tensor) -> Tensor:
    """For each of ``wanted (C, N)``, the number of its match in ``offered (C, M)``: ``(N,)``."""
    # Half precision would make matches of many that are nearly alike.
    with torch.autocast(wanted.device.type, enabled=False):
        # The length of what is looked for changes nothing in the order.
        queries = wanted.to(torch.promote_types(wanted.dtype, torch.float32)).T  # [n, c]
        keys = F.normalize(offered.to(queries.dtype), dim=0)  # [c, m]
        pieces = queries.split(max(1, _MOST_SIMILARITIES // keys.shape[1]))
        return torch.cat([(piece @ keys).argmax(1) for piece in pieces])
