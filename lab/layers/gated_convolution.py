"""Gated convolution: a convolution whose output is weighted by a learned soft mask.

Jiahui Yu et al., "Free-Form Image Inpainting with Gated Convolution" (ICCV 2019), section 3.1, in
the form of InpaintSANet: LeakyReLU on the features, a sigmoid on the gate, then batch
normalization of their product.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Activation = Literal["leaky_relu", "none"]


class GatedConvolution(nn.Module):
    """``batch_norm(activation(feature(x)) * sigmoid(gate(x)))``, with "same" padding.

    The feature and the gate convolution read the same input, so they are kept as *one* convolution
    of twice the channels (features first, gates second): one pass over memory in place of two.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the square kernel.
        stride: step of the kernel; an even kernel with stride 2 halves an even size exactly.
        dilation: spacing of the kernel's taps.
        activation: on the features; the published output layers have none.
        upsample: enlarge twice by nearest neighbour before convolving (the published
            "deconvolution", which avoids the checkerboard of a transposed one).
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
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(
            in_channels,
            2 * out_channels,
            kernel_size,
            stride=stride,
            padding=(dilation * (kernel_size - 1) + 2 - stride) // 2,
            dilation=dilation,
        )
        self.normalization = nn.BatchNorm2d(out_channels)
        self.activation = activation
        self.upsample = upsample
        # As the published code initializes it.
        nn.init.kaiming_normal_(self.convolution.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, out_channels, H', W')``."""
        if self.upsample:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        feature, gate = self.convolution(x).chunk(2, dim=1)
        if self.activation == "leaky_relu":
            feature = F.leaky_relu(feature, 0.2)
        return self.normalization(feature * torch.sigmoid(gate))
