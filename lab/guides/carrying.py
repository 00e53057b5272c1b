"""What strategies do to guides beside photo and mask, and how a network is given them."""

from collections.abc import Collection
from typing import Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.checks import UserError
from lab.contracts import Guides, Network, Stages
from lab.guides.guide import Guide
from lab.guides.table import GUIDES, check_guide_names


class GuidedNetwork(Protocol):
    """``(image, mask, guides) -> stages``: a network with a class attribute ``guides``."""

    def __call__(self, image: Tensor, mask: Tensor, guides: Guides) -> Stages:
        """Answer for ``image (B, 3, H, W)`` in [0, 1], ``mask (B, 1, H, W)`` and its guides."""
        ...


def guides_of(network: object) -> tuple[str, ...]:
    """The names of the guides that a network reads; none for most.

    Raises:
        UserError: it names one that there is not.
    """
    names = tuple(getattr(network, "guides", ()))
    check_guide_names(names)
    return names


def check_guides_given(network: object, given: Collection[str], otherwise: str = "") -> None:
    """Raise unless every guide that a network reads is among those ``given`` by name.

    Args:
        network: any.
        given: the names.
        otherwise: what can be done besides, at the end of the message.

    Raises:
        UserError: one is missing; says how photos are given it.
    """
    missing = [name for name in guides_of(network) if name not in given]
    if missing:
        names = " and ".join(map(repr, missing))
        options = " ".join(f"--data.guides+={name}" for name in missing)
        raise UserError(
            f"{type(network).__name__} reads the guide{'s' if len(missing) > 1 else ''} {names}: "
            f"add {options}, or lab.photos(..., guides={[*given, *missing]}){otherwise}"
        )


def check_guides(guides: Guides | None, image: Tensor) -> None:
    """Raise unless every guide is one of the table's, and fits ``image (B, 3, H, W)``.

    Raises:
        UserError: an unknown guide; names the nearest.
        TypeError: not a floating-point tensor.
        ValueError: another shape, or values besides 0 and 1 in a guide of lines.
    """
    if not guides:
        return
    check_guide_names(guides)
    for name, planes in guides.items():
        if not planes.is_floating_point():
            raise TypeError(f"the guide {name!r} is {planes.dtype}, but must be a float32 tensor")
        wanted = (image.shape[0], GUIDES[name].channels, *image.shape[2:])
        if tuple(planes.shape) != wanted:
            raise ValueError(
                f"the guide {name!r} of shape {tuple(planes.shape)} does not fit the image of "
                f"shape {tuple(image.shape)}: it must be {wanted}"
            )
        if GUIDES[name].is_binary and not bool(((planes == 0) | (planes == 1)).all()):
            raise ValueError(
                f"the guide {name!r} has values besides 0 and 1, from {float(planes.min()):g} to "
                f"{float(planes.max()):g}: threshold it, ({name} > 0.5).float()"
            )


def ask_network(
    network: Network, image: Tensor, mask: Tensor, guides: Guides | None = None
) -> Stages:
    """Call a network with photo and mask, and with the guides that it reads, if it reads any.

    It sees of each guide what may be shown, whatever the guide holds elsewhere.

    Args:
        network: any; one without an attribute ``guides`` is called with two arguments.
        image: ``(B, 3, H, W)``.
        mask: ``(B, 1, H, W)``.
        guides: at least those that the network reads.

    Raises:
        UserError: a guide that it reads is not given.
    """
    names = guides_of(network)
    if not names:
        return network(image, mask)
    given = guides or {}
    check_guides_given(network, given, ", or give it to the strategy in guides={…}")
    shown = show_guides({name: given[name] for name in names}, mask)
    assert shown is not None
    return cast(GuidedNetwork, network)(image, mask, shown)


def show(guide: Guide, planes: Tensor, mask: Tensor) -> Tensor:
    """What a network may see of a guide's ``planes (B, C, H, W)``; 0 elsewhere."""
    if guide.shown == "everywhere":
        return planes
    hidden = mask > 0 if guide.shown == "known" else mask == 0
    return torch.where(hidden, 0.0, planes)


def show_guides(guides: Guides | None, mask: Tensor) -> Guides | None:
    """What a network may see of each guide ``(B, C, H, W)``; 0 elsewhere."""
    if guides is None:
        return None
    return {name: show(GUIDES[name], planes, mask) for name, planes in guides.items()}


def crop_guides(
    guides: Guides | None,
    samples: slice,
    rows: slice = slice(None),
    columns: slice = slice(None),
) -> Guides | None:
    """The same samples, rows and columns of every guide."""
    if guides is None:
        return None
    return {name: planes[samples, :, rows, columns] for name, planes in guides.items()}


def shrink_guides(guides: Guides | None, mask: Tensor, factor: int) -> Guides | None:
    """Let one pixel stand for a block of ``factor`` x ``factor``, as each guide's rule says.

    Of a guide that is shown on one side of the hole's border only, what lies on the other side is
    left out first: a block that the border crosses is known.

    Args:
        guides: ``(B, C, H, W)`` each.
        mask: ``(B, 1, H, W)`` of the same size, before it is shrunk.
        factor: how many times smaller, at least 1.

    Returns:
        Each with ``ceil(H / factor)`` rows and ``ceil(W / factor)`` columns, as
        `lab.fills.shrinking.shrink` makes of photo and mask.
    """
    shown = show_guides(guides, mask)
    if shown is None:
        return None
    return {name: _shrunk(GUIDES[name], planes, factor) for name, planes in shown.items()}


def _shrunk(guide: Guide, planes: Tensor, factor: int) -> Tensor:
    if guide.shrinking == "nearest":
        return planes[..., ::factor, ::factor]
    return F.max_pool2d(planes, factor, ceil_mode=True)


def blank_guides(names: tuple[str, ...], image: Tensor) -> Guides | None:
    """Guides that say nothing, 0 everywhere, for ``image (B, 3, H, W)``; None for no names."""
    if not names:
        return None
    batch, _, height, width = image.shape
    return {name: image.new_zeros(batch, GUIDES[name].channels, height, width) for name in names}
