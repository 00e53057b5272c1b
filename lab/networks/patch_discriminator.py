"""The SN-PatchGAN of InpaintSANet: spectral norm, self-attention, one logit a patch.

Jiahui Yu et al. (ICCV 2019), section 3.2; Takeru Miyato et al., "Spectral Normalization for
Generative Adversarial Networks" (ICLR 2018); Han Zhang et al. (ICML 2019).
"""

import re
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lab.contracts import DiscriminatorOutput
from lab.layers import SelfAttention

_PUBLISHED_WIDTHS = (1, 2, 4, 4, 4, 4)


Depth = int | Literal["auto"]
"""How often a judge halves its images; "auto" as often as leaves four pixels a side."""


def halvings_of(size: int, depth: Depth, most: int) -> int:
    """How often a judge halves images of ``size`` pixels a side.

    Raises:
        ValueError: a stated depth below 1 or above ``most``.
    """
    halvings = min(most, max(1, size.bit_length() - 3)) if depth == "auto" else depth
    if not 1 <= halvings <= most:
        raise ValueError(f"depth must be 1 to {most}, not {halvings}")
    return halvings


def refuse_smaller(side: int, smallest: int, depth: int) -> None:
    """Raise ``ValueError`` where images of ``side`` pixels are too small for a judge's depth."""
    if side < smallest:
        raise ValueError(
            f"images are {side} pixels a side, but a discriminator of depth {depth} needs at "
            f"least {smallest}: leave its depth to follow the size, or give a smaller depth or a "
            "larger data.size"
        )


class PatchDiscriminator(nn.Module):
    """Judges an image, knowing where its hole is.

    Args:
        size: side of the images, in pixels.
        width: channels of the first layer; 64 as published.
        depth: convolutions before the attention, each halving the image; one more follows it, so
            an image needs sides of at least ``2 ** (depth + 1)``. "auto" takes as many as leave
            four pixels a side, and at most 6: as published for 256x256, 4 for 64x64.

    Raises:
        ValueError: a depth outside 1 to 6 or too large for the images, or a width below 8.
    """

    def __init__(self, size: int = 256, width: int = 64, depth: Depth = "auto") -> None:
        super().__init__()
        halvings = halvings_of(size, depth, len(_PUBLISHED_WIDTHS))
        if width < 8:
            raise ValueError(f"width must be at least 8, not {width} (64 as published)")
        self.smallest_side = 2 ** (halvings + 1)
        refuse_smaller(size, self.smallest_side, halvings)
        widths = [width * factor for factor in _PUBLISHED_WIDTHS[:halvings]]
        layers: list[nn.Module] = []
        channels = 5  # RGB, mask, ones
        for out_channels in widths:
            layers.append(_halving(channels, out_channels))
            channels = out_channels
        self.layers = nn.Sequential(*layers, SelfAttention(channels), _halving(channels, channels))

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1] whose hole is ``mask (B, 1, H, W)``, 1 = hole.

        Returns:
            DiscriminatorOutput: logits of one scale, and the features after every layer.

        Raises:
            ValueError: an image too small for the depth.
        """
        refuse_smaller(min(image.shape[-2:]), self.smallest_side, len(self.layers) - 2)
        x = torch.cat([2.0 * image - 1.0, mask, torch.ones_like(mask)], dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return DiscriminatorOutput(logits=(x.float().flatten(1),), features=tuple(features))


def _halving(in_channels: int, out_channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1)
    return nn.Sequential(spectral_norm(convolution), nn.LeakyReLU(0.2))


def rename_published_patch_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    The published network carries a linear layer that its ``forward`` never calls; it is left out.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        name = published.removeprefix("module.")
        if name.startswith("linear."):
            continue
        name = name.replace("discriminator_net.", "layers.").replace(".conv2d.", ".0.")
        name = re.sub(r"(query|key|value)_conv", r"\1", name)
        name = name.replace("weight_orig", "parametrizations.weight.original")
        name = re.sub(r"weight_([uv])$", r"parametrizations.weight.0._\1", name)
        renamed[name] = tensor
    return renamed
