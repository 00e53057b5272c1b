"""Coordinate attention: a weight for every row and every column of each channel.

Qibin Hou et al., "Coordinate Attention for Efficient Mobile Network Design" (CVPR 2021), section
3.2.
"""

import torch
from torch import Tensor, nn


class CoordinateAttention(nn.Module):
    """``x * weight_of_row(x) * weight_of_column(x)``, both weights in (0, 1).

    The means along each row and along each column pass one shared 1x1 convolution with batch
    normalization and hard swish, then one 1x1 convolution with a sigmoid each.

    Args:
        channels: of the input.
        out_channels: of the output; where it differs from ``channels``, a 1x1 convolution without
            bias maps the weighted input to it. (The published code takes such a number too, but
            its product then fails.)
        reduction: of the channels between the two convolutions, which are 8 or more; 32 as
            published.
    """

    def __init__(self, channels: int, out_channels: int | None = None, reduction: int = 32) -> None:
        super().__init__()
        between = max(8, channels // reduction)
        self.shared = nn.Sequential(
            # The published one has a bias too, which the normalization takes away again.
            nn.Conv2d(channels, between, 1, bias=False),
            nn.BatchNorm2d(between),
            nn.Hardswish(),
        )
        self.row_weights = nn.Conv2d(between, channels, 1)
        self.column_weights = nn.Conv2d(between, channels, 1)
        self.projection: nn.Module = nn.Identity()
        if out_channels is not None and out_channels != channels:
            self.projection = nn.Conv2d(channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)`` to ``(B, out_channels, H, W)``."""
        height, width = x.shape[-2:]
        rows = x.mean(3, keepdim=True)  # [B, C, H, 1]
        columns = x.mean(2, keepdim=True).transpose(2, 3)  # [B, C, W, 1]
        shared = self.shared(torch.cat([rows, columns], dim=2))
        rows, columns = shared.split([height, width], dim=2)
        row_weights = torch.sigmoid(self.row_weights(rows))
        column_weights = torch.sigmoid(self.column_weights(columns.transpose(2, 3)))
        return self.projection(x * column_weights * row_weights)
