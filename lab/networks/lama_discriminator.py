"""LaMa's discriminator: pix2pixHD's PatchGAN at one scale, with normalization by the batch.

Roman Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions" (WACV
2022), section 2.2; Ting-Chun Wang et al., "High-Resolution Image Synthesis and Semantic
Manipulation with Conditional GANs" (CVPR 2018), section 3.2.

Equal to the published one, which judges the network's whole answer, not pasted, and is not told
where the hole is: its loss is (patches that see none of the hole count as real).
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput

_WIDEST = 512


class LaMaDiscriminator(nn.Module):
    """Judges an image, patch by patch.

    Args:
        size: side of the images, in pixels.
        width: channels of the first layer; 64 as published. They double up to 512.
        depth: convolutions that halve the image; 4 as published. Two more follow.

    Raises:
        ValueError: a width or a depth below 1, or a depth too large for the images.
    """

    def __init__(self, size: int = 256, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width} (64 as published)")
        if depth < 1:
            raise ValueError(f"depth must be at least 1, not {depth} (4 as published)")
        if size < 2**depth:
            raise ValueError(
                f"images are {size} pixels a side, but a discriminator of depth {depth} needs at "
                f"least {2**depth}: give a smaller depth or a larger data.size"
            )
        layers: list[nn.Module] = [_layer(3, width, stride=2, normalized=False)]
        channels = width
        for number in range(1, depth + 1):
            wider = min(2 * channels, _WIDEST)
            layers.append(_layer(channels, wider, stride=2 if number < depth else 1))
            channels = wider
        self.layers = nn.Sequential(*layers)
        self.output = nn.Conv2d(channels, 1, 4, padding=2)

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1]; ``mask (B, 1, H, W)`` is not looked at.

        Returns:
            DiscriminatorOutput: logits of one scale, row by row of the patches, and the features
            after every layer.
        """
        x = image.contiguous(memory_format=torch.channels_last)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        logits = self.output(x).float().flatten(1)
        return DiscriminatorOutput(logits=(logits,), features=tuple(features))


def _layer(
    in_channels: int, out_channels: int, stride: int, normalized: bool = True
) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, 4, stride, padding=2)
    activation = nn.LeakyReLU(0.2)
    if not normalized:
        return nn.Sequential(convolution, activation)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), activation)


def rename_published_lama_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Of a whole training's checkpoint (``discriminator.model0.0.weight`` among others), the
    discriminator's are taken.

    Raises:
        KeyError: a tensor name that the published discriminator does not have.
    """
    named = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    own = {
        name.removeprefix("discriminator."): tensor
        for name, tensor in named.items()
        if name.startswith("discriminator.")
    } or named
    renamed: dict[str, Tensor] = {}
    last = max((int(found[1]) for name in own if (found := _LAYER.fullmatch(name))), default=0)
    for published, tensor in own.items():
        found = _LAYER.fullmatch(published)
        if not found:
            raise KeyError(f"{published!r} is no tensor of the published LaMa's discriminator")
        number, part, leaf = int(found[1]), found[2], found[3]
        renamed[f"output.{leaf}" if number == last else f"layers.{number}.{part}.{leaf}"] = tensor
    return renamed


_LAYER = re.compile(r"model(\d+)\.(\d+)\.(\w+)")
