"""What a network starts from in the hole: what its paper shows it there, or a smooth fill.

A network that is shown white, or nothing, first has to learn what any fill by diffusion gives for
nothing. ``"fill"`` shows it the best smooth fill instead (:func:`~lab.fills.across_fill`);
``"residual"`` does too, and takes the network's answer as a correction of it: with a last layer
that starts at zero, training begins with exactly the fill's score.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.fills.smooth import across_fill

HoleStart = Literal["published", "fill", "residual"]

_filled_already = ContextVar("_filled_already", default=False)


def check_hole_start(start: str) -> None:
    """Raise ``ValueError`` for a start that there is not."""
    if start not in get_args(HoleStart):
        raise ValueError(unknown_name_message("start", start, get_args(HoleStart)))


def show_hole_start(image: Tensor, hole: Tensor, start: HoleStart, published: float) -> Tensor:
    """The image that a network is shown.

    Args:
        image: ``(B, C, H, W)`` in any range; what lies under the hole is not read.
        hole: ``(B, 1, H, W)``, bool.
        start: what stands in the hole.
        published: the value there where ``start`` is ``"published"``.

    Returns:
        ``(B, C, H, W)``, the known pixels bit for bit; gradients reach these, and none the fill.
    """
    # `where`, so that a NaN under the hole stays out.
    if start == "published":
        return torch.where(hole, published, image)
    if _filled_already.get():
        return image
    return torch.where(hole, across_fill(image, hole).to(image.dtype), image)


@contextmanager
def filled_already() -> Iterator[None]:
    """Have networks take what lies in the hole for the fill that they begin from.

    For exporting: the fill is made by a program, which no file of layers holds.
    """
    token = _filled_already.set(True)
    try:
        yield
    finally:
        _filled_already.reset(token)


def start_at_zero(last: nn.Module) -> None:
    """Let a network's last layer answer 0 until it is trained: its normalization, or its weights.

    After Priya Goyal et al., "Accurate, Large Minibatch SGD" (2017), section 5.1.
    """
    normalizations = [module for module in last.modules() if isinstance(module, nn.BatchNorm2d)]
    layer = normalizations[-1] if normalizations else last
    assert isinstance(layer, nn.BatchNorm2d | nn.Conv2d | nn.ConvTranspose2d)
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
