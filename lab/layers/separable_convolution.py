"""The convolutions of MI-GAN: separable ones, and such as are sums of several while they train.

Andranik Sargsyan, Shant Navasardyan, Xingqian Xu, Humphrey Shi, "MI-GAN: A Simple Baseline for
Image Inpainting on Mobile Devices" (ICCV 2023), section 3.2 and 3.3.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.layers.binomial_resampling import double, halve

_LARGEST = 256.0


def scaled_leaky_relu(x: Tensor, gain: float = 1.0) -> Tensor:
    """LeakyReLU of slope 0.2, times the square root of 2 and ``gain``, within +-256 ``gain``.

    The root keeps the variance of what goes in; the bounds keep half precision finite.
    """
    answer = F.leaky_relu(x, 0.2) * (math.sqrt(2.0) * gain)
    return answer.clamp(-_LARGEST * gain, _LARGEST * gain)


class BranchedConvolution(nn.Module):
    """A convolution whose kernel is the sum of several, scaled to length 1 an output channel.

    Equal to one plain convolution with the weight :attr:`kernel`, and trained as many.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: side of the kernel, an odd number; the size of the image stays.
        groups: groups of channels.
        bias: whether an offset is learned, from 0 on.
        branches: kernels that are added.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        groups: int = 1,
        bias: bool = True,
        branches: int = 9,
    ) -> None:
        super().__init__()
        self.count = branches
        # One below the other: a fifth dimension would have no channels-last layout.
        shape = (branches * out_channels, in_channels // groups, kernel_size, kernel_size)
        self.branches = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.groups = groups

    @property
    def kernel(self) -> Tensor:
        """The sum, ``(out_channels, in_channels / groups, K, K)``, of length 1 for each output."""
        total = self.branches.unflatten(0, (self.count, -1)).sum(0) / math.sqrt(self.count)
        length = total.square().sum((1, 2, 3), keepdim=True)
        return total * (length + 1e-8).rsqrt()

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x (B, in_channels, H, W)``: ``(B, out_channels, H, W)``."""
        padding = self.branches.shape[-1] // 2
        return F.conv2d(x, self.kernel, self.bias, padding=padding, groups=self.groups)


def unit_convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    groups: int = 1,
    bias: bool = True,
    branches: int = 0,
) -> nn.Module:
    """A convolution that keeps the size and, at first, the variance of what goes in.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        kernel_size: side of the kernel, an odd number.
        groups: groups of channels.
        bias: whether an offset is learned, from 0 on.
        branches: of a :class:`BranchedConvolution`; 0 for a plain one that begins with kernels of
            length 1.
    """
    branched = BranchedConvolution(
        in_channels, out_channels, kernel_size, groups, bias, max(1, branches)
    )
    if branches:
        return branched
    plain = nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        padding=kernel_size // 2,
        groups=groups,
        bias=bias,
    )
    with torch.no_grad():
        plain.weight.copy_(branched.kernel)
        if plain.bias is not None:
            plain.bias.zero_()
    return plain


class SeparableConvolution(nn.Module):
    """A 3x3 convolution of each channel, then a 1x1 convolution over them, each activated.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        resampling: ``"halve"`` before the 1x1 convolution, ``"double"`` after it, or ``"keep"``.
        noise_side: side of a square of noise, drawn once and kept, that is added before the last
            activation with a learned strength; None for no noise.
        branches: of both convolutions: see :func:`unit_convolution`.
    """

    noise: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        resampling: Literal["keep", "halve", "double"] = "keep",
        noise_side: int | None = None,
        branches: int = 0,
    ) -> None:
        super().__init__()
        self.resampling = resampling
        self.depthwise = unit_convolution(
            in_channels, in_channels, 3, groups=in_channels, branches=branches
        )
        self.pointwise = unit_convolution(
            in_channels, out_channels, 1, bias=False, branches=branches
        )
        self.has_noise = noise_side is not None
        if noise_side is not None:
            self.register_buffer("noise", torch.randn(noise_side, noise_side))
            self.noise_strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """Convolve ``x (B, in_channels, H, W)``; both activations are scaled by ``gain``."""
        x = scaled_leaky_relu(self.depthwise(x), gain)
        if self.resampling == "halve":
            x = halve(x)
        x = self.pointwise(x)
        if self.resampling == "double":
            x = double(x)
        if self.has_noise:
            x = x + self.noise * self.noise_strength
        return scaled_leaky_relu(x, gain)
