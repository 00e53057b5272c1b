"""The guards of every public entry. Each error shows the value found, the rule, and what to do."""

import difflib
from collections.abc import Iterable

import torch
from torch import Tensor


class UserError(ValueError):
    """Something that a person can mend: the message says what was found, the rule, what to do."""


def check_image(image: Tensor, name: str = "image") -> None:
    """Raise unless ``image`` is float ``(B, 3, H, W)`` with finite values in [0, 1].

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: another shape, or values outside the range.
    """
    if not isinstance(image, Tensor) or not image.is_floating_point():
        kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(
            f"{name} is {kind}, but must be a float32 tensor in [0, 1]: "
            "read files with lab.imaging.read_image"
        )
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape) == 0:
        raise ValueError(
            f"{name} has shape {tuple(image.shape)}, but must be (B, 3, H, W): "
            "add the batch axis with image[None], or move channels first"
        )
    low, high = (float(value) for value in torch.aminmax(image))
    # Not written as `low < 0 or high > 1`: that is false for NaN.
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(
            f"{name} has values in [{low:g}, {high:g}], but must lie in [0, 1]: "
            "divide 8-bit values by 255; map [-1, 1] by (x + 1) / 2"
        )


def check_mask(mask: Tensor, image: Tensor | None = None, name: str = "mask") -> None:
    """Raise unless ``mask`` is float ``(B, 1, H, W)`` of exactly 0 and 1, fitting ``image``.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: another shape than the rule's or the image's, or another value than 0 and 1.
    """
    if not isinstance(mask, Tensor) or not mask.is_floating_point():
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(
            f"{name} is {kind}, but must be a float32 tensor of 0 and 1 (1 = hole): "
            "convert with mask.float()"
        )
    if mask.ndim != 4 or mask.shape[1] != 1 or min(mask.shape) == 0:
        raise ValueError(f"{name} has shape {tuple(mask.shape)}, but must be (B, 1, H, W)")
    if image is not None and (mask.shape[0] != image.shape[0] or mask.shape[2:] != image.shape[2:]):
        raise ValueError(
            f"{name} of shape {tuple(mask.shape)} does not fit the image of shape "
            f"{tuple(image.shape)}: batch, height and width must be equal"
        )
    if not bool(((mask == 0) | (mask == 1)).all()):
        odd = mask[(mask != 0) & (mask != 1)]
        raise ValueError(
            f"{name} has {odd.numel()} values besides 0 and 1 (the first is {float(odd[0]):g}), "
            "but must be exactly 0 (known) or 1 (hole): threshold it, (mask > 0.5).float()"
        )


def check_image_and_mask(image: Tensor, mask: Tensor) -> None:
    """Raise unless both keep the conventions and fit each other."""
    check_image(image)
    check_mask(mask, image)


def check_comparable(completed: Tensor, truth: Tensor, mask: Tensor) -> None:
    """Raise unless a completed image, the truth and the mask keep the conventions and fit."""
    check_image(completed, "completed")
    check_image(truth, "truth")
    if completed.shape != truth.shape:
        raise ValueError(
            f"completed has shape {tuple(completed.shape)} and truth {tuple(truth.shape)}, "
            "but both must be the same photos"
        )
    check_mask(mask, truth)


def unknown_name_message(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that ``name`` is not a known ``kind``, with the nearest right one first."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"no {kind} is called {name!r}.{hint} Known: {', '.join(names)}"
