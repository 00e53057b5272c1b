"""Strategies: what wraps a network, a classical method or another strategy at inference.

A strategy is called with ``(image, mask)`` and returns the completed image.
"""

from collections.abc import Callable, Mapping

from lab.contracts import Network, Strategy
from lab.strategies.cropped import Cropped
from lab.strategies.direct import Direct, answers_to
from lab.strategies.edge_drawing import EdgeDrawing
from lab.strategies.feathered import Feathered
from lab.strategies.fillers import Filler, open_method
from lab.strategies.methods import DEFAULT_METHOD, METHODS, Method, baselines, print_methods
from lab.strategies.repeated import Repeated
from lab.strategies.tiled import Tiled, TileReport
from lab.strategies.upscaled import Upscaled

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "STRATEGIES",
    "Cropped",
    "Direct",
    "EdgeDrawing",
    "Feathered",
    "Filler",
    "Method",
    "Repeated",
    "TileReport",
    "Tiled",
    "Upscaled",
    "answers_to",
    "baselines",
    "open_method",
    "print_methods",
]


def _without_network(method: Method) -> Callable[[Network], Strategy]:
    return lambda network: method.build()


STRATEGIES: Mapping[str, Callable[[Network], Strategy]] = {
    **{name: _without_network(method) for name, method in METHODS.items()},
    "direct": Direct,
    "repeated": Repeated,
    "tiled": Tiled,
    "upscaled": Upscaled,
    "cropped": Cropped,
    "feathered": Feathered,
}
"""Every strategy by name, each built for a network; the contract suite runs over them."""
