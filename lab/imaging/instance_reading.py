"""Read maps that say which object each pixel is of."""

import numpy as np
import torch
from torch import Tensor

from lab.imaging.reading import PhotoFile, read_source
from lab.untrusted import printable

_MOST_OBJECTS = 4096


def read_instances(path: str | PhotoFile, size: tuple[int, int]) -> Tensor:
    """Read a map of objects: every gray value or colour is one.

    Args:
        path: a PNG, TIFF or another file that keeps values as they are, of 8 or 16 bits.
        size: the photo's ``(height, width)``, which the map must have.

    Returns:
        int32 ``(1, H, W)``, numbered from 0.

    Raises:
        UnreadablePhotoError: the file cannot be read.
        ValueError: it has another size, or so many values that it is no map.
    """
    pixels = read_source(path).pixels
    if pixels.shape[:2] != tuple(size):
        raise ValueError(
            f"the instance map {printable(path)} is {pixels.shape[1]}x{pixels.shape[0]} (width x "
            f"height), but its photo is {size[1]}x{size[0]}: make it of the photo itself"
        )
    if pixels.dtype == np.float32:
        raise ValueError(
            f"the instance map {printable(path)} holds fractions: save whole numbers, as an 8-bit "
            "or 16-bit PNG"
        )
    values = pixels[..., 0].astype(np.int64)
    for channel in range(1, pixels.shape[2]):
        values = values * 65536 + pixels[..., channel]
    numbers, ids = np.unique(values, return_inverse=True)
    if len(numbers) > _MOST_OBJECTS:
        raise ValueError(
            f"the instance map {printable(path)} holds {len(numbers)} values, and at most "
            f"{_MOST_OBJECTS} objects are read: give every object one value, and save it as PNG, "
            "since JPEG changes values"
        )
    return torch.from_numpy(ids.reshape(size).astype(np.int32))[None]
