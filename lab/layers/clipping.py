"""Clipping that training can come back from."""

from typing import Any

import torch
from torch import Tensor


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (x,) = ctx.saved_tensors
        # A descent goes against the gradient.
        further = ((x > ctx.high) & (gradient < 0)) | ((x < ctx.low) & (gradient > 0))
        return gradient.masked_fill(further, 0.0), None, None


def clip(x: Tensor, low: float, high: float) -> Tensor:
    """Clamp ``x`` to [low, high], with a gradient also outside, where it leads back inside.

    `torch.clamp` has none there. A last layer without normalization that leaves the range once,
    by a step too large, then never moves again: its photo stays white.
    """
    # Plain where no gradient is asked for, so that exporting meets known operations alone.
    return _Clip.apply(x, low, high) if x.requires_grad else x.clamp(low, high)
