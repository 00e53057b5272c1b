"""Photos and masks that are in memory: read by the same rules as files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from lab.imaging.metadata import ORIENTATION_TAG, metadata_of, orientation_of, read_exif
from lab.imaging.reading import PhotoBytes, PhotoFile

Picture = str | Path | Image.Image | np.ndarray
"""A file, a PIL image, or an array ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``: uint8, bool, or
floating point in [0, 1]. PIL images of 16 bits keep them; those of mode F lie in [0, 1], too."""


# What is drawn in two colours.
_DRAWN = ("the mask", "the sketch", "the edges")


def photo_file(picture: Picture, name: str = "the photo") -> PhotoFile:
    """What is given as something that `read_source` and `read_mask` read.

    Args:
        picture: a path, a PIL image or an array.
        name: what errors call a picture that has no path.

    Raises:
        TypeError, ValueError: an array or an image of another type, shape or range.
    """
    if isinstance(picture, str | Path):
        return Path(picture).expanduser()
    if isinstance(picture, Image.Image):
        # TIFF is turned upright by then, and PNG may keep its EXIF at the end.
        picture.load()
        image = _without_loss(picture, name)
    elif isinstance(picture, np.ndarray):
        image = _image_of(picture, name)
    else:
        raise TypeError(
            f"{name} is {type(picture).__name__}, but must be a path, a PIL image or a NumPy array"
        )
    file = io.BytesIO()
    # Its orientation and colour profile go along, as they would in a file.
    exif = _exif_of(picture) if isinstance(picture, Image.Image) else None
    if image.mode == "CMYK":
        # PNG has no CMYK: `read_source` converts it by its profile, and says so.
        image.save(file, "TIFF", exif=exif, compression="raw")
    else:
        image.save(file, "PNG", exif=exif, compress_level=1)
    return PhotoBytes(name, file.getvalue())


def _exif_of(image: Image.Image) -> Image.Exif:
    """A loaded image's EXIF, without what describes the layout of the file that it came from."""
    found = read_exif(image)
    exif = Image.Exif()
    exif.load(metadata_of(found, None, None).exif or b"")
    if ORIENTATION_TAG in found:
        exif[ORIENTATION_TAG] = orientation_of(found)
    return exif


def _without_loss(image: Image.Image, name: str) -> Image.Image:
    """The image in a mode that a file holds with all its levels; raise where none can be told."""
    if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"):
        return image
    if image.mode == "I":
        raise ValueError(
            f"{name} is a PIL image of mode I, whose 32-bit integers do not say which is white: "
            'give its file\'s path, image.convert("I;16") where 65535 is white, or an array of '
            "floating point in [0, 1]"
        )
    if image.mode.startswith("I;16"):
        converted = Image.fromarray(np.asarray(image).astype("<u2"))
    elif image.mode == "F":
        converted = _image_of(np.asarray(image), name, "an image of mode F")
    else:
        return image.convert("RGB")
    converted.info = image.info  # its colour profile
    return converted


def _image_of(array: np.ndarray, name: str, kind: str | None = None) -> Image.Image:
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
                f"{name} has values in [{low:g}, {high:g}], but {kind or _kind_of(array)} must lie "
                "in [0, 1]: divide 8-bit values by 255"
            )
        array = np.rint(255.0 * array).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise TypeError(
            f"{name} is {_kind_of(array)}, but must be uint8, bool or floating point in [0, 1]"
        )
    elif name in _DRAWN and array.ndim == 2 and array.max(initial=0) == 1:
        # 0 and 1 would be black and nearly black.
        array = array * 255
    return Image.fromarray(np.ascontiguousarray(array))


def _kind_of(array: np.ndarray) -> str:
    return f"an array of {array.dtype}"
