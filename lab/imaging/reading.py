"""Read photos: every usual format and pixel layout, upright, or one clear refusal."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, ImageCms
from torch import Tensor

from lab.imaging.budgets import (
    LARGEST_FILE,
    OtherSizeError,
    check_before_opening,
    check_declared,
    check_pixels,
    check_scans,
    decoding_bytes,
    memory_of,
)
from lab.imaging.deep_decoding import PNG_MAGIC, as_tuple, decode_deep_png, decode_deep_tiff
from lab.imaging.metadata import metadata_of, orientation_of, read_exif
from lab.imaging.plain_jpeg import decode_plain_jpeg, decode_undamaged_jpeg
from lab.imaging.quiet import quiet_decoders
from lab.imaging.source_photo import SourcePhoto
from lab.untrusted import printable, read_bytes

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""The suffixes (in lower case) under which photos are looked for."""

# Pillow reads many more, some through programs outside (EPS through Ghostscript). "JPEG" includes
# the MPO files of phones and stereo cameras.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_TIFF_MAGIC = (b"II*\0", b"MM\0*")
_BIG_TIFF_MAGIC = (b"II+\0", b"MM\0+")
_BAND_PIXELS = 2**18
_CHANNELS: dict[str, tuple[int, ...]] = {"L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,)}

# What decoders say of large photos and of damaged metadata is decided here.
warnings.filterwarnings("ignore", module=r"PIL\.")
quiet_decoders()


class UnreadablePhotoError(ValueError):
    """A file that cannot be read as a photo; ``path`` is the file, ``reason`` says why."""

    def __init__(self, path: str | Path, reason: str) -> None:
        # Both go to the base class: the error must survive pickling between worker processes.
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read {printable(self.path)}: {self.reason}"


class PhotoFile(Protocol):
    """Where a photo's bytes lie: a path, or a place in an archive. Its ``str`` is for errors."""

    def read_bytes(self) -> bytes:
        """The whole file.

        Raises:
            OSError: it cannot be read.
        """
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class PhotoBytes:
    """A photo file that is in memory already; ``name`` says in errors where it comes from."""

    name: str
    data: bytes

    def read_bytes(self) -> bytes:
        """The whole file."""
        return self.data

    def __str__(self) -> str:
        return self.name


def read_image(path: str | PhotoFile) -> Tensor:
    """Read a photo as an image in the workbench's convention, upright.

    Gray files become three equal channels, CMYK is converted (through the embedded profile where
    there is one), 16-bit files keep their full depth, transparent pixels are composited on white.

    Returns:
        float32 RGB ``(3, H, W)`` in [0, 1].

    Raises:
        UnreadablePhotoError: missing, truncated, damaged, or of a kind that is not read.
    """
    return read_source(path).image()


def decode_photo(path: str | PhotoFile) -> np.ndarray:
    """Read a photo as 8-bit pixels, upright; as ``read_image``, 16-bit values divided by 257.

    Returns:
        uint8 RGB ``(H, W, 3)``.

    Raises:
        UnreadablePhotoError: missing, truncated, damaged, or of a kind that is not read.
    """
    file = Path(path) if isinstance(path, str) else path
    data = _bytes_of(file)
    pixels = decode_plain_jpeg(data)
    return _source(file, data).rgb8() if pixels is None else pixels


def read_source(path: str | PhotoFile, size: tuple[int, int] | None = None) -> SourcePhoto:
    """Read a photo in its file's own depth, with its alpha and metadata, upright.

    JPEG, PNG, WebP, BMP, TIFF and GIF, told apart by content. Of several pages or views, and of
    an animated GIF, the first is read and a note says so; other animations are refused. What it
    may take: ``lab.imaging.budgets``.

    Args:
        path: of the file.
        size: (height, width) that it must declare, before or after it is turned upright.

    Raises:
        UnreadablePhotoError: missing, truncated, damaged, or of a kind that is not read.
        OtherSizeError: it has another size; nothing was decoded.
    """
    file = Path(path) if isinstance(path, str) else path
    return _source(file, _bytes_of(file), size)


def _bytes_of(file: PhotoFile) -> bytes:
    try:
        return read_bytes(file, LARGEST_FILE) if isinstance(file, Path) else file.read_bytes()
    except FileNotFoundError:
        raise UnreadablePhotoError(str(file), "there is no such file") from None
    # A path with a null byte is a ValueError.
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadablePhotoError(str(file), reason) from error


def _source(file: PhotoFile, data: bytes, size: tuple[int, int] | None = None) -> SourcePhoto:
    """Decode a whole file, or say what is wrong with it."""
    try:
        return _decode(data, size)
    except OtherSizeError:
        raise
    # A damaged file makes the decoders raise nearly anything: OSError, SyntaxError, KeyError,
    # struct.error, zlib.error, cv2.error.
    except Exception as error:
        raise UnreadablePhotoError(str(file), _reason(error, data)) from error


@contextmanager
def open_header(data: bytes) -> Iterator[Image.Image]:
    """Open a photo's file as Pillow does, with its pixels not yet decoded, and within the budgets.

    Raises:
        Exception: nearly anything, where the file is damaged or declares too much.
    """
    check_before_opening(data)
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        check_pixels(image.width, image.height, decoding_bytes(is_webp=image.format == "WEBP"))
        check_scans(data, image)
        yield image


def _decode(data: bytes, size: tuple[int, int] | None) -> SourcePhoto:
    """Decode a whole file."""
    if data[:4] in _BIG_TIFF_MAGIC:
        raise ValueError("BigTIFF is not read: save it as a plain TIFF or as PNG")
    check_before_opening(data)
    if data[:4] in _TIFF_MAGIC:
        tags = Image.Exif()
        tags.load(data)
        # Pillow cuts colour of more than 8 bits to 8 and cannot open colour in floating point.
        if max(as_tuple(tags.get(258, 1))) > 8 and tags.get(262) in (0, 1, 2):
            return decode_deep_tiff(data, tags, size)
    with open_header(data) as image:
        # Pages and frames are not counted: there may be a million of them.
        has_several = getattr(image, "is_animated", False)
        if has_several and image.format in ("PNG", "WEBP"):
            raise ValueError("it is an animation: save one of its frames as a photo")
        notes = []
        if has_several:
            notes.append(
                "the GIF is animated: its first frame is read"
                if image.format == "GIF"
                else "the file holds several pages or views: the first is read"
            )
        is_deep_png = data.startswith(PNG_MAGIC) and data[24] == 16
        depth = 2 if is_deep_png else 1
        a_pixel = decoding_bytes(depth, len(image.getbands()), image.format == "WEBP")
        check_pixels(image.width, image.height, a_pixel)
        check_declared((image.height, image.width), size)
        with memory_of(image.width * image.height * a_pixel):
            alpha: np.ndarray | None = None
            pixels = decode_undamaged_jpeg(data, image)
            if pixels is None:
                image.load()
            # Only after loading: TIFF is turned upright by then, and PNG may keep its EXIF at the
            # end.
            exif = read_exif(image)
            if is_deep_png:
                transparent = image.info.get("transparency")
                # Freed before OpenCV decodes the same.
                image.im = None  # type: ignore[assignment]
                pixels, alpha = decode_deep_png(data, transparent)
            elif pixels is None:
                pixels, alpha = _split_alpha(image)
        profile = image.info.get("icc_profile")
        if image.mode == "CMYK":
            notes.append("CMYK is converted to RGB")
            profile = None
        metadata = metadata_of(exif, profile, image.info.get("dpi"))
    turn = orientation_of(exif)
    return SourcePhoto(
        _upright(pixels, turn),
        None if alpha is None else _upright(alpha, turn),
        metadata,
        tuple(notes),
    )


def _split_alpha(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return uint8 ``(H, W, 1 or 3)`` and alpha ``(H, W)`` of a loaded 8-bit image."""
    mode = image.mode
    # PNG may name one colour, or one alpha a palette entry, as transparent.
    transparent = "transparency" in image.info
    if mode in ("1", "L"):
        target = "LA" if transparent else "L"
    elif mode in ("LA", "La"):
        target = "LA"
    elif mode in ("P", "RGB"):
        target = "RGBA" if transparent else "RGB"
    elif mode in ("RGBX", "YCbCr", "CMYK"):
        target = "RGB"
    elif mode in ("RGBA", "RGBa", "PA"):
        target = "RGBA"
    else:
        raise ValueError(f"its pixels are of the kind {mode!r}, which is not read: save it as RGB")
    samples = _samples(image, target)
    if target in ("L", "RGB"):
        return samples.reshape(*samples.shape[:2], -1), None
    return np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])


def _samples(image: Image.Image, target: str) -> np.ndarray:
    """Return the samples of a loaded image in another mode, ``(H, W)`` or ``(H, W, C)``."""
    convert = _cmyk_to_rgb(image) if image.mode == "CMYK" else lambda part: part.convert(target)
    rows = max(1, _BAND_PIXELS // image.width)
    if image.height <= rows:
        return np.asarray(image if image.mode == target else convert(image))
    # A band at a time: Pillow holds what it converts and what it hands out twice.
    samples = np.empty((image.height, image.width, *_CHANNELS[target]), np.uint8)
    for top in range(0, image.height, rows):
        part = image.crop((0, top, image.width, min(image.height, top + rows)))
        samples[top : top + rows] = np.asarray(part if image.mode == target else convert(part))
    return samples


def _cmyk_to_rgb(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Return what converts parts to sRGB: by the embedded profile, or else by the plain formula.

    Pillow has already undone Adobe's inversion of CMYK in JPEG files.
    """
    profile = image.info.get("icc_profile")
    if profile:
        try:
            transform = ImageCms.buildTransform(
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                "CMYK",
                "RGB",
            )
            return lambda part: ImageCms.applyTransform(part, transform) or part.convert("RGB")
        # A damaged profile is an OSError, one for other colours a PyCMSError: the formula is all
        # that is left.
        except (ImageCms.PyCMSError, OSError):
            pass
    return lambda part: part.convert("RGB")


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn ``(H, W, ...)`` as the EXIF orientation (1 to 8) asks."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _reason(error: Exception, data: bytes) -> str:
    """Say in one line why a file was refused."""
    if not data:
        return "the file is empty"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return (
            f"it declares more pixels than are read ({error}): "
            "a decompression bomb, or a photo to be scaled down first"
        )
    if isinstance(error, Image.UnidentifiedImageError):
        if data[4:8] == b"ftyp":
            return "HEIC and AVIF are not read: export it as JPEG or PNG"
        return "it is no JPEG, PNG, WebP, BMP, TIFF or GIF file, or its start is damaged"
    text = " ".join(str(error).split())
    if "truncated" in text or "Truncated" in text:
        return f"the file is truncated ({text})"
    return text or type(error).__name__
