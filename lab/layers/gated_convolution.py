"""Gated convolution: a convolution whose output is weighted by a learned soft mask.

Jiahui Yu et al., "Free-Form Image Inpainting with Gated Convolution" (ICCV 2019), section 3.1. In
the form of InpaintSANet: LeakyReLU on the features, a sigmoid on the gate, then batch
normalization of their product; in that of DeepFillv2, ELU and no normalization. The background
notes (V3.1) weigh whole channels instead, or too; the deployment notes make it separable.
"""

from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm

Activation = Literal["leaky_relu", "elu", "relu", "none"]
Gate = Literal["sigmoid", "gct", "both"]
Initialization = Literal["kaiming", "identity"]
OddPadding = Literal["both", "end"]

# What an identity start leaves of the published draw: enough to tell the taps apart.
_NOISE, _GATE = 0.05, 0.1


class GatedConvolution(nn.Module):
    """``batch_norm(activation(feature(x)) * weight(gate(x)))``, with "same" padding.

    The feature and the gate convolution read the same input, so they are kept as *one* convolution
    of twice the channels (features first, gates second): one pass over memory in place of two.

    A **separable** one sees its neighbours by a convolution of each channel by itself, without
    bias, which features and gates share, and mixes channels by one of 1x1, as the deployment notes
    compress (Andrew Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile
    Vision Applications", 2017, section 3.1). With a kernel of 3 and many channels it takes a ninth
    of the multiply-adds.

    What the notes write as ``gct(mask)`` of shape (B, C, 1, 1) is taken here as the gates of a
    gated channel transformation *of the gate branch*, ``mask = gate(x)`` before any sigmoid: where
    the published layer has ``sigmoid(mask)``, one number a pixel, it has one a channel. They start
    at 1, so that a network with ``"both"`` starts as the published one. Mind the normalization
    after them: in training it takes away whatever factor a channel has in the whole batch, so that
    of a channel gate only the differences between the batch's photos remain, and of a batch of one
    nothing.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the square kernel.
        stride: step of the kernel; an even kernel with stride 2 halves an even size exactly.
        dilation: spacing of the kernel's taps.
        activation: on the features: ``"leaky_relu"`` (InpaintSANet), ``"elu"`` or ``"relu"``
            (DeepFillv2), or ``"none"``, as in InpaintSANet's output layers.
        upsample: enlarge twice by nearest neighbour before convolving (the published
            "deconvolution", which avoids the checkerboard of a transposed one).
        gate: the weight: ``"sigmoid"`` of the gate branch, pixel by pixel, as published;
            ``"gct"``, channel by channel (V3.1.1); or the product of ``"both"`` (V3.1.2).
        gct_norm: the embedding's norm in ``"gct"`` and ``"both"``; ``"l1"`` as the notes chose.
        initialization: ``"kaiming"`` as published; or ``"identity"``, which passes the features on
            (see :meth:`start_as_identity`).
        normalization: whether the product is normalized by the batch, as InpaintSANet's is.
        odd_padding: where an odd row and column of zeros goes, as an odd kernel with stride 2 asks
            for on an even size: on ``"both"`` sides, one too many; or at the ``"end"``, as
            TensorFlow puts it.
        separable: whether the convolution is made of two, as said above.

    Raises:
        ValueError: another gate, norm, initialization or padding.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        dilation: int = 1,
        activation: Activation = "leaky_relu",
        upsample: bool = False,
        gate: Gate = "sigmoid",
        gct_norm: GCTNorm = "l1",
        initialization: Initialization = "kaiming",
        normalization: bool = True,
        odd_padding: OddPadding = "both",
        separable: bool = False,
    ) -> None:
        super().__init__()
        if gate not in get_args(Gate):
            raise ValueError(unknown_name_message("gate", gate, get_args(Gate)))
        known = get_args(Initialization)
        if initialization not in known:
            raise ValueError(unknown_name_message("initialization", initialization, known))
        if odd_padding not in get_args(OddPadding):
            known = get_args(OddPadding)
            raise ValueError(unknown_name_message("odd padding", odd_padding, known))
        zeros = dilation * (kernel_size - 1) + 1 - stride
        self.at_the_end = zeros % 2 if odd_padding == "end" else 0
        spatial = partial(
            nn.Conv2d,
            in_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=zeros // 2 if self.at_the_end else (zeros + 1) // 2,
            dilation=dilation,
        )
        self.depthwise = spatial(in_channels, groups=in_channels, bias=False) if separable else None
        self.convolution = (
            nn.Conv2d(in_channels, 2 * out_channels, 1) if separable else spatial(2 * out_channels)
        )
        self.normalization = nn.BatchNorm2d(out_channels) if normalization else nn.Identity()
        self.activation: Activation = activation
        self.upsample = upsample
        self.gate = gate
        self.channel_gate = (
            None if gate == "sigmoid" else GatedChannelTransformation(out_channels, gct_norm)
        )
        # As the published code initializes it.
        nn.init.kaiming_normal_(self.convolution.weight)
        if self.depthwise is not None:
            # No activation follows it.
            nn.init.kaiming_normal_(self.depthwise.weight, nonlinearity="linear")
        if initialization == "identity":
            self.start_as_identity()

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Start with features that are the input's, turned where the number of channels changes.

        The middle tap is the identity or an orthogonal matrix, all else a little noise, the gates
        nearly even: a deep stack without skip connections then shows its input from the first
        step. After Lechao Xiao et al., "Dynamical Isometry and a Mean Field Theory of CNNs" (ICML
        2018), section 3.
        """
        feature, gate = self.convolution.weight.chunk(2)
        out_channels, in_channels = feature.shape[:2]
        middle = torch.eye(out_channels)
        if in_channels != out_channels:
            middle = nn.init.orthogonal_(torch.empty(out_channels, in_channels))
        # Even gates halve the features; where no normalization follows, the features are doubled.
        if not isinstance(self.normalization, nn.BatchNorm2d):
            middle = 2.0 * middle
        feature.mul_(_NOISE)
        _add_in_the_middle(feature, middle)
        gate.mul_(_GATE)
        if self.depthwise is not None:
            self.depthwise.weight.mul_(_NOISE)
            _add_in_the_middle(self.depthwise.weight, torch.ones(in_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, out_channels, H', W')``."""
        if self.upsample:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        if self.at_the_end:
            x = F.pad(x, (0, 1, 0, 1))
        if self.depthwise is not None:
            x = self.depthwise(x)
        # Copied apart: on interleaved rows of few channels, sigmoid and LeakyReLU fall back to
        # one value at a time, many times slower than the copy.
        feature, gate = (
            half.contiguous(memory_format=torch.channels_last)
            for half in self.convolution(x).chunk(2, dim=1)
        )
        if self.activation == "leaky_relu":
            feature = F.leaky_relu(feature, 0.2)
        elif self.activation == "elu":
            feature = F.elu(feature)
        elif self.activation == "relu":
            feature = F.relu(feature)
        if self.gate != "gct":
            feature = feature * torch.sigmoid(gate)
        if self.channel_gate is not None:
            feature = feature * self.channel_gate.gate(gate)
        return self.normalization(feature)


def _add_in_the_middle(kernels: Tensor, taps: Tensor) -> None:
    """Add ``taps (out, in)`` to the middle of ``kernels (out, in, side, side)``."""
    side = kernels.shape[-1]
    # An even kernel has no middle tap, but four: their mean.
    middle = slice((side - 1) // 2, side // 2 + 1)
    kernels[:, :, middle, middle] += taps[:, :, None, None] / (1 if side % 2 else 4)
