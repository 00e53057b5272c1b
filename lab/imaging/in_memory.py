"""Photos and masks that are in memory: read by the same rules as files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from lab.imaging.reading import PhotoBytes, PhotoFile

Picture = str | Path | Image.Image | np.ndarray
"""A file, a PIL image, or an array ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``: uint8, bool, or
floating point in [0, 1]."""


# What is drawn in two colours.
_DRAWN = ("the mask", "the sketch", "the edges")


def photo_file(picture: Picture, name: str = "the photo") -> PhotoFile:
    """What is given as something that `read_source` and `read_mask` read.

    Args:
        picture: a path, a PIL image or an array.
        name: what errors call a picture that has no path.

    Raises:
        TypeError, ValueError: an array of another type, shape or range.
    """
    if isinstance(picture, str | Path):
        return Path(picture).expanduser()
    if isinstance(picture, Image.Image):
        image = picture
    elif isinstance(picture, np.ndarray):
        image = _image_of(picture, name)
    else:
        raise TypeError(
            f"{name} is {type(picture).__name__}, but must be a path, a PIL image or a NumPy array"
        )
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image = image.convert("RGB")
    file = io.BytesIO()
    # Its orientation and colour profile go along, as they would in a file.
    image.save(file, "PNG", exif=image.getexif(), compress_level=1)
    return PhotoBytes(name, file.getvalue())


def _image_of(array: np.ndarray, name: str) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ValueError(
            f"{name} has shape {array.shape}, but must be (H, W), (H, W, 3) or (H, W, 4): "
            "move the channels last"
        )
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0.0 and high <= 1.0):
            raise ValueError(
                f"{name} has values in [{low:g}, {high:g}], but an array of {array.dtype} must lie "
                "in [0, 1]: divide 8-bit values by 255"
            )
        array = np.rint(255.0 * array).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise TypeError(
            f"{name} is an array of {array.dtype}, but must be uint8, bool or floating point in "
            "[0, 1]"
        )
    elif name in _DRAWN and array.ndim == 2 and array.max(initial=0) == 1:
        # 0 and 1 would be black and nearly black.
        array = array * 255
    return Image.fromarray(np.ascontiguousarray(array))
