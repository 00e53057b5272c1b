"""Gated channel transformation (GCT): channels that compete or cooperate through one learned gate.

Zongxin Yang et al., "Gated Channel Transformation for Visual Recognition" (CVPR 2020), section 3.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lab.checks import unknown_name_message

GCTNorm = Literal["l1", "l2"]


class GatedChannelTransformation(nn.Module):
    """``x * (1 + tanh(gamma * embedding / norm(embedding) + beta))``, one gate a channel.

    Each channel is embedded by its norm over all positions times alpha; the embeddings are divided
    by their mean size over the channels, and a gate in (0, 2) follows. Gamma and beta start at 0,
    so that the layer starts as the identity. The names of its parameters are the published ones.

    Args:
        channels: of the input.
        norm: of the embedding: ``"l2"`` is the paper's choice, ``"l1"`` the background notes'.

    Raises:
        ValueError: another norm.
    """

    def __init__(self, channels: int, norm: GCTNorm = "l2") -> None:
        super().__init__()
        if norm not in get_args(GCTNorm):
            raise ValueError(unknown_name_message("norm of GCT", norm, get_args(GCTNorm)))
        self.norm = norm
        self.epsilon = 1e-5
        self.alpha = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def gate(self, x: Tensor) -> Tensor:
        """Return the gates that ``x (B, C, H, W)`` asks for: ``(B, C, 1, 1)`` in (0, 2)."""
        if self.norm == "l1":
            embedding = x.abs().sum((2, 3), keepdim=True) * self.alpha
            size = embedding.abs().mean(1, keepdim=True) + self.epsilon
        else:
            embedding = (x.pow(2).sum((2, 3), keepdim=True) + self.epsilon).sqrt() * self.alpha
            size = (embedding.pow(2).mean(1, keepdim=True) + self.epsilon).sqrt()
        return 1.0 + torch.tanh(embedding * (self.gamma / size) + self.beta)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh ``x (B, C, H, W)`` by its own gates; the shape stays."""
        return x * self.gate(x)
