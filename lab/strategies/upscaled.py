"""The inner strategy on a smaller photo, brought back to its size by an upscaler (V7)."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor

from lab.checks import check_image_and_mask, unknown_name_message
from lab.contracts import Guides, Network, Strategy
from lab.fills.holed import complete_holed
from lab.fills.shrinking import shrink
from lab.guides import check_guides, shrink_guides
from lab.networks import BicubicUpscaler, LumaUpscaler, load_upscaler
from lab.strategies.direct import Direct

UpscalerName = Literal["bicubic", "fsrcnn", "espcn"]


class Upscaled(Strategy):
    """Shrinks the photo, completes it, and enlarges the result.

    The background notes' V7, super-resolution on the result. A network sees ``factor`` times as
    much of the photo as at full size, in ``factor`` squared times less time, and what it fills is
    as sharp as the upscaler makes it. Bicubic interpolation is the reference for the two networks.

    Args:
        network: the network.
        inner: what completes the small photo.
        factor: how many times smaller: 2, 3 or 4. Each small pixel is the mean of the known pixels
            that it covers; a side that ``factor`` does not divide is rounded up.
        upscaler: ``"bicubic"``, or ``"fsrcnn"`` or ``"espcn"``; see
            :mod:`lab.networks.super_resolution`.
        weights: of the upscaling network: a published ``.pb``, or the ``.pt`` that
            ``python -m data_prep.upscalers`` makes of it. None takes the published file from the
            cache folder, or downloads it.
        keep_known: keep the known pixels bit for bit. Without it the whole enlarged photo is
            returned.

    Raises:
        ValueError: an unknown upscaler, another factor, weights of another network or scale, or
            weights for bicubic interpolation.
        FileNotFoundError, MissingWeightsError, UnreadableCheckpointError, WrongHashError: there are
            no such weights.
    """

    def __init__(
        self,
        network: Network,
        inner: Callable[[Network], Strategy] = Direct,
        factor: Literal[2, 3, 4] = 2,
        upscaler: UpscalerName = "bicubic",
        weights: Path | None = None,
        keep_known: bool = True,
    ) -> None:
        self.inner = inner(network)
        self.factor = factor
        self.upscaler = _upscaler(upscaler, factor, weights)
        self.keep_known = keep_known

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1; the size is kept.

        Samples with an empty mask come back as they are.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            UserError: a guide that the network reads is missing, or there is no such guide.
        """
        check_image_and_mask(image, mask)
        check_guides(guides, image)
        return complete_holed(image, mask, self.keep_known, self._enlarged, guides)

    def _enlarged(self, known: Tensor, hole: Tensor, guides: Guides | None) -> Tensor:
        small_guides = shrink_guides(guides, hole, self.factor)
        small = self.inner(*shrink(known, hole, self.factor), small_guides)
        height, width = known.shape[-2:]
        return self.upscaler.to(known.device)(small)[..., :height, :width]


def _upscaler(
    name: UpscalerName, factor: Literal[2, 3, 4], weights: Path | None
) -> BicubicUpscaler | LumaUpscaler:
    if name not in get_args(UpscalerName):
        raise ValueError(unknown_name_message("upscaler", name, get_args(UpscalerName)))
    if name == "bicubic":
        if weights is not None:
            raise ValueError(
                f"bicubic interpolation has no weights, but {weights} is given: "
                "choose the upscaler fsrcnn or espcn, or leave them out"
            )
        return BicubicUpscaler(factor)
    upscaler = load_upscaler(weights or f"{name}_x{factor}")
    found = type(upscaler.network).__name__.lower()
    if (found, upscaler.scale) != (name, factor):
        raise ValueError(
            f"{weights} holds {found} for x{upscaler.scale}, but {name} for x{factor} is wanted: "
            "name its file, or change upscaler and factor"
        )
    return upscaler
