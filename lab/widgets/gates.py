"""What the gates of a gated network let through, layer by layer (V3)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lab.layers import GatedConvolution
from lab.strategies import Direct


@dataclass(frozen=True)
class LayerGates:
    """The weights that one layer gives its features for a photo.

    Attributes:
        layer: its name in the network.
        pixels: of the sigmoid gates, ``(B, C, H', W')`` in (0, 1); None where there are none.
        channels: of the channel gates, ``(B, C, 1, 1)`` in (0, 2); None where there are none.
    """

    layer: str
    pixels: Tensor | None
    channels: Tensor | None

    def picture(self) -> Tensor:
        """The sigmoid gates' mean over the channels, stretched to [0, 1]: ``(3, H', W')`` in gray.

        Raises:
            ValueError: the layer has channel gates alone.
        """
        if self.pixels is None:
            raise ValueError(f"{self.layer} has no gate a pixel: look at its channels")
        plane = self.pixels[0].mean(0)
        low, high = torch.aminmax(plane)
        return ((plane - low) / (high - low).clamp_min(1e-6)).expand(3, -1, -1)


def gates_of(network: nn.Module, image: Tensor, mask: Tensor) -> list[LayerGates]:
    """Run a network on a photo and note the gates of its gated convolutions, in their order.

    Args:
        network: one of gated convolutions.
        image: ``(B, 3, H, W)`` in [0, 1].
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole, not empty.

    Raises:
        ValueError: a network without gated convolutions.
        TypeError, ValueError: the inputs break the conventions or do not fit each other.
    """
    found: list[LayerGates] = []
    with _listening(network, found):
        Direct(network)(image, mask)
    if not found:
        raise ValueError(f"{type(network).__name__} has no gated convolutions")
    return found


@contextmanager
def _listening(network: nn.Module, found: list[LayerGates]) -> Iterator[None]:
    def note(name: str, layer: GatedConvolution, _: nn.Module, __: object, output: Tensor) -> None:
        gate = output.chunk(2, dim=1)[1].float()
        found.append(
            LayerGates(
                name,
                None if layer.gate == "gct" else torch.sigmoid(gate),
                None if layer.channel_gate is None else layer.channel_gate.gate(gate),
            )
        )

    handles = [
        layer.convolution.register_forward_hook(partial(note, name, layer))
        for name, layer in network.named_modules()
        if isinstance(layer, GatedConvolution)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
