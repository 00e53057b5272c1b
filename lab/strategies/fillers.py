"""A strategy on its device, as commands and notebooks hand photos to it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lab.checks import UserError, unknown_name_message
from lab.contracts import Guides, Strategy
from lab.devices import Device, compute_device
from lab.strategies.edge_drawing import EdgeDrawing
from lab.strategies.methods import DEFAULT_METHOD, METHODS


@dataclass(frozen=True)
class Filler(Strategy):
    """A strategy on its device.

    Attributes:
        name: for people: the checkpoint's or the model's file, or the method.
        strategy: what fills.
        device: where it computes; images and masks go there and come back.
        tile: side of the tiles that larger photos are cut into; 0 for none.
        reads: the guides that its network reads.
        make_drawing: makes what draws the edges by which it fills; None without a checkpoint.
    """

    name: str
    strategy: Strategy
    device: torch.device
    tile: int = 0
    reads: tuple[str, ...] = ()
    make_drawing: Callable[[], EdgeDrawing] | None = None

    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1, shown ``guides``."""
        there = self._there(guides)
        return self.strategy(image.to(self.device), mask.to(self.device), there).to(image.device)

    def draw_edges(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """The edges by which it fills, ``(B, 1, H, W)`` in [0, 1], 1 = edge; those known as found.

        Raises:
            UserError: its network draws none, or its strategy has no drawing of its own.
        """
        there = self._there(guides)
        return self._drawing(image.to(self.device), mask.to(self.device), there).to(image.device)

    @cached_property
    def _drawing(self) -> EdgeDrawing:
        if self.make_drawing is None:
            raise UserError(
                f"{self.name} is no checkpoint of a network, and draws no edges: leave them out"
            )
        return self.make_drawing()

    def _there(self, guides: Guides | None) -> Guides | None:
        return guides and {name: planes.to(self.device) for name, planes in guides.items()}


def open_method(method: str | None = None, device: Device = "auto") -> Filler:
    """What fills holes without a network.

    Args:
        method: one of `METHODS`; None is `DEFAULT_METHOD`.
        device: where it computes: on the CPU, unless "gpu" is asked for.

    Raises:
        UserError: an unknown method, or no such device.
    """
    method = DEFAULT_METHOD if method is None else method
    if method not in METHODS:
        raise UserError(unknown_name_message("method", method, METHODS))
    place = torch.device("cpu") if device == "auto" else compute_device(device)
    return Filler(method, METHODS[method].build(), place)
