"""MI-GAN's discriminator: StyleGAN2's, of the generator's separable convolutions.

Andranik Sargsyan et al., "MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices" (ICCV
2023); Tero Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020).

Written after the published one; nobody publishes its weights. Differs where the batch is no
multiple of four: the published one fails there, this one compares fewer photos with each other.
"""

import math

import torch
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput
from lab.layers import SeparableConvolution, halve, scaled_leaky_relu, unit_convolution
from lab.ranks import at_least_float32, gather_over_ranks, rank, ranks

_INNERMOST = 4
_FULL_WIDTH = 64
_GROUP = 4


class DiscriminatorLevel(nn.Module):
    """Halves the image by two separable convolutions, beside a plain path around them.

    Args:
        channels: of the input.
        next_channels: of the output.
        branches: of its convolutions.
    """

    def __init__(self, channels: int, next_channels: int, branches: int) -> None:
        super().__init__()
        self.around = unit_convolution(channels, next_channels, 1, bias=False, branches=branches)
        self.features = SeparableConvolution(channels, channels, branches=branches)
        self.leaving = SeparableConvolution(channels, next_channels, "halve", branches=branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to ``(B, next_channels, H / 2, W / 2)``."""
        gain = math.sqrt(0.5)  # of two paths, so that the variance of their sum stays
        return gain * self.around(halve(x)) + self.leaving(self.features(x), gain)


class MIGANDiscriminator(nn.Module):
    """Judges an image as a whole, knowing where its hole is.

    Args:
        size: side of the images, in pixels, a power of two.
        width: channels up to 64x64, halved at every finer resolution; 512 as published.
        branches: kernels that each convolution is the sum of: 9 as published; 0 for plain ones.

    Raises:
        ValueError: a size that is no power of two from 8 on, or a width that leaves the finest
            resolution without a channel.
    """

    compares_photos = True
    """A photo's answer depends on the others of its batch: real and fake are judged apart, as in
    the published code, or the spread of the real ones would be mixed into that of the fake."""

    def __init__(self, size: int = 256, width: int = 512, branches: int = 9) -> None:
        super().__init__()
        if size < 2 * _INNERMOST or size & (size - 1):
            raise ValueError(
                f"images are {size} pixels a side, but MI-GAN's discriminator needs a power of two "
                "from 8 on: give another data.size"
            )
        least = max(1, size // _FULL_WIDTH)
        if width < least:
            raise ValueError(
                f"width must be at least {least} for images of {size} pixels a side, not {width} "
                "(512 as published)"
            )
        self.size = size
        sides = [size >> step for step in range(size.bit_length() - 3)]  # down to 8
        channels = {side: min(width, width * _FULL_WIDTH // side) for side in [*sides, _INNERMOST]}
        self.entry = unit_convolution(4, channels[size], 1, branches=branches)
        self.levels = nn.Sequential(
            *(DiscriminatorLevel(channels[side], channels[side // 2], branches) for side in sides)
        )
        self.merging = SeparableConvolution(width + 1, width, branches=branches)
        # Kept at unit variance and scaled down where they are used, so that all layers learn at
        # the same rate.
        self.gathering = nn.Linear(width * _INNERMOST**2, width)
        self.output = nn.Linear(width, 1)
        for layer in (self.gathering, self.output):
            nn.init.normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1] whose hole is ``mask (B, 1, H, W)``, 1 = hole.

        Returns:
            DiscriminatorOutput: one logit a photo, ``(B, 1)``, and the features of every
            resolution.

        Raises:
            ValueError: an image of another size than it was built for.
        """
        if image.shape[-2:] != (self.size, self.size):
            height, width = image.shape[-2:]
            raise ValueError(
                f"the image is {width}x{height}, but this discriminator judges {self.size}x"
                f"{self.size}: build it with the images' size"
            )
        x = scaled_leaky_relu(self.entry(torch.cat([0.5 - mask, 2.0 * image - 1.0], dim=1)))
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        x = self.merging(torch.cat([x, _spread(x)], dim=1))
        features.append(x)
        x = scaled_leaky_relu(_equalized(self.gathering, x.flatten(1)))
        logits = _equalized(self.output, x).float()
        return DiscriminatorOutput(logits=(logits,), features=tuple(features))


def _equalized(layer: nn.Linear, x: Tensor) -> Tensor:
    return nn.functional.linear(x, layer.weight / math.sqrt(layer.in_features), layer.bias)


def _spread(x: Tensor) -> Tensor:
    """How much photos of a group differ, the mean over all features: a plane ``(B, 1, H, W)``.

    A generator whose photos are all alike gives itself away by it (Tero Karras et al.,
    "Progressive Growing of GANs", ICLR 2018, section 3). Photo i is of the same group as
    i + B / 4, i + 2 B / 4 and so on, where B counts the samples of all ranks: one that has a single
    photo compares it with those of the others.
    """
    together = gather_over_ranks(at_least_float32(x))
    size = max(size for size in range(1, _GROUP + 1) if len(together) % size == 0)
    groups = together.unflatten(0, (size, -1))
    deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))  # (B / size,)
    own = deviation.repeat(size).chunk(ranks())[rank()]
    plane = own[:, None, None, None].expand(-1, 1, *x.shape[-2:])
    return plane.to(x.dtype)
