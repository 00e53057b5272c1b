"""Strategies: what wraps a network, a classical method or another strategy at inference.

A strategy is called with ``(image, mask)`` and returns the completed image.
"""

from collections.abc import Callable, Mapping

from lab.contracts import Network, Strategy
from lab.strategies.cropped import Cropped
from lab.strategies.direct import Direct, answers_to
from lab.strategies.feathered import Feathered
from lab.strategies.opencv_inpainting import OpenCVInpainting
from lab.strategies.repeated import Repeated
from lab.strategies.tiled import Tiled, TileReport
from lab.strategies.upscaled import Upscaled

__all__ = [
    "STRATEGIES",
    "Cropped",
    "Direct",
    "Feathered",
    "OpenCVInpainting",
    "Repeated",
    "TileReport",
    "Tiled",
    "Upscaled",
    "answers_to",
]

STRATEGIES: Mapping[str, Callable[[Network], Strategy]] = {
    "direct": Direct,
    "opencv_telea": lambda network: OpenCVInpainting("telea"),
    "opencv_navier_stokes": lambda network: OpenCVInpainting("navier-stokes"),
    "repeated": Repeated,
    "tiled": Tiled,
    "upscaled": Upscaled,
    "cropped": Cropped,
    "feathered": Feathered,
}
"""Every strategy by name, each built for a network; the contract suite runs over them."""
