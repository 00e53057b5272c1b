"""Partial convolution: only known pixels count, and the holes shrink from layer to layer.

Guilin Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions" (ECCV 2018),
section 3.1.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.layers.sums import window_sums

PartialScaling = Literal["share", "count"]


class PartialConvolution(nn.Conv2d):
    """A convolution of the known pixels, scaled up by how much of its window is known.

    ``valid`` here is the paper's mask, **1 = known** (the other way round from the workbench's
    masks, as in every published partial convolution). The state dict is a plain convolution's.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the square kernel.
        stride: step of the kernel.
        padding: zeros around the input, which count as unknown; at most half the kernel.
        bias: whether an offset is learned; it is 0 where a window knows nothing.
        multi_channel: ``valid`` tells each input channel apart, ``(B, in_channels, H, W)``; else
            it is one plane for all of them, ``(B, 1, H, W)``.
        scaling: what the sum over a window's known values is divided by: their ``"share"`` of the
            window, as in the paper; or their ``"count"``, as others have published it, with which
            every answer, but for the bias, is ``in_channels * kernel_size ** 2`` times smaller.

    Raises:
        ValueError: a padding of more than half the kernel, or another scaling.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        multi_channel: bool = False,
        scaling: PartialScaling = "share",
    ) -> None:
        if scaling not in get_args(PartialScaling):
            raise ValueError(unknown_name_message("scaling", scaling, get_args(PartialScaling)))
        if padding > kernel_size // 2:
            raise ValueError(
                f"padding must be at most half the kernel, {kernel_size // 2}, not {padding}"
            )
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, bias=bias)
        self.multi_channel = multi_channel
        self.border = padding
        self.scaling = scaling

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Convolve ``features (B, in_channels, H, W)`` where ``valid`` is 1.

        Returns:
            tuple[Tensor, Tensor]: ``(B, out_channels, H', W')``, and where a window knew anything:
            ``(B, 1, H', W')``, or the same for every channel, ``(B, out_channels, H', W')``, with
            ``multi_channel``.
        """
        with torch.no_grad():
            # Every weight of the counting kernel is 1, so that it is a sum over channels and a
            # pooling; in float32, since half precision cannot count a large window.
            known = window_sums(
                valid.float().sum(1, keepdim=True),
                self.kernel_size[0],
                self.stride[0],
                self.border,
            )
            window = valid.shape[1] * self.kernel_size[0] * self.kernel_size[1]
            updated = known.clamp(0.0, 1.0)
            # Published: + 1e-8, which is the same for counts; exporting takes that for nothing.
            scale = updated * window / known.clamp_min(1e-8)
            if self.scaling == "count":
                scale = scale / self.weight[0].numel()
        raw = F.conv2d(features * valid, self.weight, None, self.stride, self.padding)
        answer = raw * scale.to(raw.dtype)
        if self.bias is not None:
            answer = answer + self.bias[:, None, None] * updated.to(raw.dtype)
        updated = updated.to(valid.dtype)
        if self.multi_channel:
            updated = updated.expand(-1, self.out_channels, -1, -1)
        return answer, updated
