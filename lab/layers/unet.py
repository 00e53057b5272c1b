"""The blocks of pix2pix's U-Net, which others are made of: one halves the size, one doubles it.

Phillip Isola, Jun-Yan Zhu, Tinghui Zhou, Alexei A. Efros, "Image-to-Image Translation with
Conditional Adversarial Networks" (CVPR 2017), appendix. Activations come first, so that what is
handed across the U, the halving block's answer, is not yet activated.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Normalization = Callable[[int], nn.Module]
"""Makes a normalization of so many channels."""


def unet_widths(width: int, depth: int) -> list[int]:
    """Channels after each of ``depth`` halvings: doubled up to eight times ``width``."""
    return [width * min(8, 2**level) for level in range(depth)]


class UNetHalving(nn.Module):
    """LeakyReLU, a convolution that halves the size, normalization.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        normalization: makes it; None for none, as in the first and the last of a U.
        activated: whether the input is activated first; not where it is the image.
        bias: whether the convolution learns an offset.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        normalization: Normalization | None = None,
        activated: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.activated = activated
        self.convolution = nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=bias)
        self.normalization = normalization(out_channels) if normalization else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)``, even sides, to ``(B, out_channels, H / 2, W / 2)``."""
        if self.activated:
            x = F.leaky_relu(x, 0.2)
        normalized: Tensor = self.normalization(self.convolution(x))
        return normalized


class UNetDoubling(nn.Module):
    """ReLU, a transposed convolution that doubles the size, normalization, dropout.

    Args:
        in_channels: channels of the input, what is handed across included.
        out_channels: channels of the output.
        normalization: makes it; None for none, as in the last.
        dropout: the share of values that training drops; 0.5 in three of pix2pix's.
        bias: whether the convolution learns an offset.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        normalization: Normalization | None = None,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=bias)
        self.normalization = normalization(out_channels) if normalization else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, in_channels, H, W)`` to ``(B, out_channels, 2 * H, 2 * W)``."""
        dropped: Tensor = self.dropout(self.normalization(self.convolution(F.relu(x))))
        return dropped
