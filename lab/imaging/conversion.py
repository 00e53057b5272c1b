"""Between the workbench's tensors and 8-bit pixels, exactly."""

import numpy as np
import torch
from torch import Tensor


def to_uint8(image: Tensor) -> np.ndarray:
    """Round an image to 8-bit pixels.

    Args:
        image: float ``(..., 3, H, W)`` (or any number of channels) in [0, 1].

    Returns:
        uint8 ``(..., H, W, 3)``, on the CPU, contiguous; 0.5/255 rounds to the even neighbour.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: fewer than three axes, or values outside [0, 1] (NaN among them).
    """
    if not isinstance(image, Tensor) or not image.is_floating_point():
        kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(f"the image is {kind}, but must be a float tensor in [0, 1]")
    if image.ndim < 3 or image.numel() == 0:
        raise ValueError(f"the image has shape {tuple(image.shape)}, but must be (..., C, H, W)")
    low, high = (float(value) for value in torch.aminmax(image))
    # Not written as `low < 0 or high > 1`: that is false for NaN.
    if not (low >= 0.0 and high <= 1.0):
        raise ValueError(
            f"the image has values in [{low:g}, {high:g}], but must lie in [0, 1]: "
            "a wrapped or clipped picture would hide the mistake"
        )
    pixels = (image.detach().float() * 255).round().to(torch.uint8)
    return pixels.movedim(-3, -1).contiguous().cpu().numpy()


def from_uint8(pixels: np.ndarray) -> Tensor:
    """Turn 8-bit pixels into an image; ``to_uint8`` gives the same pixels back.

    Args:
        pixels: uint8 ``(..., H, W, C)``.

    Returns:
        float32 ``(..., C, H, W)`` in [0, 1], contiguous.

    Raises:
        TypeError: not a uint8 array.
        ValueError: fewer than three axes.
    """
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8:
        kind = pixels.dtype if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise TypeError(f"the pixels are {kind}, but must be a uint8 array")
    if pixels.ndim < 3:
        raise ValueError(f"the pixels have shape {pixels.shape}, but must be (..., H, W, C)")
    channels_first = np.ascontiguousarray(np.moveaxis(pixels, -1, -3))
    # A copy, so that a read-only array (a decoder's buffer) never backs a tensor.
    return as_image(torch.from_numpy(channels_first.copy()))


def as_image(planes: Tensor) -> Tensor:
    """Turn 8-bit planes into an image, with the same values on every device.

    Args:
        planes: uint8 ``(..., C, H, W)``; or float32 in [0, 1], which is returned as it is.

    Returns:
        float32 of that shape in [0, 1], on the planes' device.
    """
    if planes.dtype != torch.uint8:
        return planes
    # By a tensor: a GPU multiplies by the reciprocal of a plain number, and is off in the last bit.
    # In place: dividing bytes converts them to floats beside the result.
    return planes.float().div_(torch.full((), 255.0, device=planes.device))
