"""Self-attention over all positions of a feature map.

Han Zhang et al., "Self-Attention Generative Adversarial Networks" (ICML 2019), section 3. The
options are the background notes' (V3.3 to V3.5).
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.layers.coordinate_attention import CoordinateAttention

AttentionScale = Literal["none", "sqrt_d", "as_documented"]
CoordinatePlace = Literal["off", "output", "keys"]


class SelfAttention(nn.Module):
    """``gamma * attention(x) + x``, with gamma learned from 0 and unscaled energies as published.

    Memory grows with the number of positions, not with its square: the energies are never held.

    Args:
        channels: of the input and the output, at least 8; queries and keys have an eighth of them.
        scale: what the energies are divided by: ``"none"`` as published; ``"sqrt_d"``, the root of
            the queries' channels (Ashish Vaswani et al., NeurIPS 2017), which the notes meant;
            ``"as_documented"``, the root of the *batch size*, which they wrote. The last is
            **wrong**: a photo's answer changes with how many others share its batch, and
            validation or inference one by one is another network than the one that was trained.
        coordinates: coordinate attention ``CA(x)`` of the input: ``"off"`` as published;
            ``"output"``, ``gamma * attention(x) + x + CA(x)`` (V3.4); ``"keys"``,
            ``key(x) + CA(x)`` (V3.5). The notes' ``CA(x)`` must have as many channels as the keys
            to be added to them, and they do not say how: here a learned 1x1 convolution without
            bias maps its ``channels`` to that eighth.

    Raises:
        ValueError: fewer than 8 channels, another scale, or another place for the coordinates.
    """

    def __init__(
        self,
        channels: int,
        scale: AttentionScale = "none",
        coordinates: CoordinatePlace = "off",
    ) -> None:
        super().__init__()
        if channels < 8:
            raise ValueError(f"self-attention needs at least 8 channels, not {channels}")
        if scale not in get_args(AttentionScale):
            known = get_args(AttentionScale)
            raise ValueError(unknown_name_message("attention scale", scale, known))
        if coordinates not in get_args(CoordinatePlace):
            known = get_args(CoordinatePlace)
            raise ValueError(
                unknown_name_message("place for coordinate attention", coordinates, known)
            )
        self.scale = scale
        self.coordinates = coordinates
        self.query = nn.Conv2d(channels, channels // 8, 1)
        self.key = nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.coordinate_attention = None
        if coordinates != "off":
            self.coordinate_attention = CoordinateAttention(
                channels, channels if coordinates == "output" else channels // 8
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        # b = batch, N = H * W positions, c = channels, d = c // 8
        code = None if self.coordinate_attention is None else self.coordinate_attention(x)
        keys = self.key(x)
        if code is not None and self.coordinates == "keys":
            keys = keys + code
        query = self.query(x).flatten(2).transpose(1, 2)  # [b, N, d]
        key = keys.flatten(2).transpose(1, 2)  # [b, N, d]
        value = self.value(x).flatten(2).transpose(1, 2)  # [b, N, c]
        divisors = {"none": 1, "sqrt_d": query.shape[-1], "as_documented": x.shape[0]}
        # The fused kernels want one size for queries, keys and values; without them the N * N
        # energies are held in memory (67 GB at 1080p). Zeros add nothing to an energy.
        missing = value.shape[-1] - query.shape[-1]
        query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
        attended = F.scaled_dot_product_attention(
            query[:, None], key[:, None], value[:, None], scale=divisors[self.scale] ** -0.5
        )[:, 0]  # [b, N, c]
        answer = self.gamma * attended.transpose(1, 2).reshape(x.shape) + x
        return answer + code if code is not None and self.coordinates == "output" else answer
