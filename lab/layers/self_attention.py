"""Self-attention over all positions of a feature map.

Han Zhang et al., "Self-Attention Generative Adversarial Networks" (ICML 2019), section 3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """``gamma * attention(x) + x``, with gamma learned from 0 and unscaled energies as published.

    Memory grows with the number of positions, not with its square: the energies are never held.

    Args:
        channels: of the input and the output, at least 8; queries and keys have an eighth of them.

    Raises:
        ValueError: fewer than 8 channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 8:
            raise ValueError(f"self-attention needs at least 8 channels, not {channels}")
        self.query = nn.Conv2d(channels, channels // 8, 1)
        self.key = nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        # b = batch, N = H * W positions, c = channels, d = c // 8
        query = self.query(x).flatten(2).transpose(1, 2)  # [b, N, d]
        key = self.key(x).flatten(2).transpose(1, 2)  # [b, N, d]
        value = self.value(x).flatten(2).transpose(1, 2)  # [b, N, c]
        # The fused kernels want one size for queries, keys and values; without them the N * N
        # energies are held in memory (67 GB at 1080p). Zeros add nothing to an energy.
        missing = value.shape[-1] - query.shape[-1]
        query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
        attended = F.scaled_dot_product_attention(
            query[:, None], key[:, None], value[:, None], scale=1.0
        )[:, 0]  # [b, N, c]
        return self.gamma * attended.transpose(1, 2).reshape(x.shape) + x
