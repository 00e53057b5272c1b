"""Strategies: what wraps a network, a classical method or another strategy at inference.

A strategy is called with ``(image, mask)`` and returns the completed image.
"""

from collections.abc import Callable, Mapping

from lab.contracts import Network, Strategy
from lab.strategies.direct import Direct
from lab.strategies.opencv_inpainting import OpenCVInpainting

__all__ = ["STRATEGIES", "Direct", "OpenCVInpainting"]

STRATEGIES: Mapping[str, Callable[[Network], Strategy]] = {
    "direct": Direct,
    "opencv_telea": lambda network: OpenCVInpainting("telea"),
    "opencv_navier_stokes": lambda network: OpenCVInpainting("navier-stokes"),
}
"""Every strategy by name, each built for a network; the contract suite runs over them."""
