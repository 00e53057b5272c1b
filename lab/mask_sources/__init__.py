"""Where a real mask comes from: what finds the person in a photo.

A mask source is called with one photo ``(1, 3, H, W)`` and returns its mask ``(1, 1, H, W)``.
"""

from collections.abc import Callable, Mapping

from lab.mask_sources.grab_cut import Box, GrabCut
from lab.mask_sources.mask_source import DILATION, MaskSource, NoPersonError
from lab.mask_sources.person_segmentation import PersonSegmentation
from lab.networks import load_u2net

__all__ = [
    "DILATION",
    "MASK_SOURCES",
    "Box",
    "GrabCut",
    "MaskSource",
    "NoPersonError",
    "PersonSegmentation",
]


def _u2net(weights: str) -> Callable[..., MaskSource]:
    return lambda **options: PersonSegmentation(load_u2net(weights, stretch=False), **options)


MASK_SOURCES: Mapping[str, Callable[..., MaskSource]] = {
    "u2net": _u2net("u2net"),
    "u2net-small": _u2net("u2netp"),
    "grabcut": GrabCut,
}
"""Every mask source by name, built with the options of its class: ``threshold`` or ``box``.

The two of U²-Net find their weights in the cache folder or download them, and raise what
``load_u2net`` raises where they cannot.
"""
