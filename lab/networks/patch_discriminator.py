"""The SN-PatchGAN of InpaintSANet: spectral norm, self-attention, one logit a patch.

Jiahui Yu et al. (ICCV 2019), section 3.2; Takeru Miyato et al., "Spectral Normalization for
Generative Adversarial Networks" (ICLR 2018); Han Zhang et al. (ICML 2019).
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lab.contracts import DiscriminatorOutput
from lab.layers import SelfAttention

_PUBLISHED_WIDTHS = (1, 2, 4, 4, 4, 4)


class PatchDiscriminator(nn.Module):
    """Judges an image, knowing where its hole is.

    Args:
        width: channels of the first layer; 64 as published.
        depth: convolutions before the attention, each halving the image; 6 as published for
            256x256. One more follows the attention, so an image needs sides of at least
            ``2 ** (depth + 1)``; 3 or 4 suit 64x64.

    Raises:
        ValueError: a depth outside 1 to 6, or a width below 8.
    """

    def __init__(self, width: int = 64, depth: int = 6) -> None:
        super().__init__()
        if not 1 <= depth <= len(_PUBLISHED_WIDTHS):
            raise ValueError(f"depth must be 1 to {len(_PUBLISHED_WIDTHS)}, not {depth}")
        if width < 8:
            raise ValueError(f"width must be at least 8, not {width} (64 as published)")
        widths = [width * factor for factor in _PUBLISHED_WIDTHS[:depth]]
        layers: list[nn.Module] = []
        channels = 5  # RGB, mask, ones
        for out_channels in widths:
            layers.append(_halving(channels, out_channels))
            channels = out_channels
        self.layers = nn.Sequential(*layers, SelfAttention(channels), _halving(channels, channels))
        self.smallest_side = 2 ** (depth + 1)

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1] whose hole is ``mask (B, 1, H, W)``, 1 = hole.

        Returns:
            DiscriminatorOutput: logits ``(B, N)``, and the features after every layer.

        Raises:
            ValueError: an image too small for the depth.
        """
        if min(image.shape[-2:]) < self.smallest_side:
            raise ValueError(
                f"the image is {image.shape[-1]}x{image.shape[-2]}, but a discriminator of depth "
                f"{len(self.layers) - 2} needs sides of at least {self.smallest_side}: "
                "give it a smaller depth or the run a larger size"
            )
        x = torch.cat([2.0 * image - 1.0, mask, torch.ones_like(mask)], dim=1)
        x = x.contiguous(memory_format=torch.channels_last)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return DiscriminatorOutput(logits=x.float().flatten(1), features=tuple(features))


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
