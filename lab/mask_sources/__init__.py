"""Where a real mask comes from: what finds the person in a photo.

A mask source is called with one photo ``(1, 3, H, W)`` and returns its mask ``(1, 1, H, W)``.
"""

from collections.abc import Callable, Mapping

from lab.checks import UserError, unknown_name_message
from lab.mask_sources.grab_cut import Box, GrabCut, cut_by_box
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
    "cut_by_box",
    "open_mask_source",
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


def open_mask_source(
    name: str, box: Box | None = None, threshold: float | None = None
) -> MaskSource:
    """Build a mask source with the options that were given.

    Args:
        name: of `MASK_SOURCES`.
        box: around the person, which GrabCut needs and nothing else takes.
        threshold: of U²-Net's answer; None is its own.

    Raises:
        UserError: an unknown name, or options that do not go with it.
    """
    if name not in MASK_SOURCES:
        raise UserError(unknown_name_message("mask source", name, MASK_SOURCES))
    if (box is None) == (name == "grabcut"):
        raise UserError("grabcut and a box X,Y,W,H go together: cut out whom, and where")
    if threshold is not None and name == "grabcut":
        raise UserError("a threshold goes with u2net or u2net-small")
    if threshold is not None and not 0.0 < threshold < 1.0:
        raise UserError(f"the threshold is {threshold:g}, but must lie between 0 and 1")
    chosen = {"box": box, "threshold": threshold}
    return MASK_SOURCES[name](**{key: value for key, value in chosen.items() if value is not None})
