"""How a network takes the guides that it reads beside image and mask."""

from torch import Tensor

from lab.contracts import Guides


def read_guide(guides: Guides | None, name: str, mask: Tensor) -> Tensor:
    """Return the guide of one channel that a network cannot do without.

    Args:
        guides: what the network was given.
        name: of the guide, such as ``"edges"``.
        mask: ``(B, 1, H, W)``, whose shape the guide has.

    Returns:
        Tensor: ``(B, 1, H, W)``, as it was given.

    Raises:
        ValueError: it is not there, or has another shape.
    """
    if guides is None or name not in guides:
        given = ", ".join(sorted(guides or {})) or "none"
        raise ValueError(
            f"the network reads the guide {name!r}, but the guides given are: {given}. Pass "
            f"guides={{{name!r}: ...}}, a tensor {tuple(mask.shape)}"
        )
    guide = guides[name]
    if guide.shape != mask.shape:
        raise ValueError(
            f"the guide {name!r} has shape {tuple(guide.shape)}, but must have the mask's, "
            f"{tuple(mask.shape)}: make it from the same photos"
        )
    return guide
