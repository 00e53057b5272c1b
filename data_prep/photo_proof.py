"""Prove that a photo reads, by decoding all of it; shrink it where that is asked for.

A JPEG decoder that meets damage goes on with what it has: OpenCV and Pillow return gray or shifted
blocks for overwritten bytes, and no error. libjpeg does count warnings, and ``simplejpeg`` in its
strict mode makes them errors. A decoder that reads at reduced size or without colour leaves
something out, so the whole photo is decoded.
"""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath

import cv2
import numpy as np
import simplejpeg

from lab.imaging import PhotoBytes, UnreadablePhotoError, decode_photo
from lab.imaging.budgets import decoding_bytes, memory_of
from lab.imaging.metadata import orientation_of, read_exif
from lab.imaging.plain_jpeg import decode_plain_jpeg
from lab.imaging.reading import open_header

JPEG_QUALITY = 95
"""Of photos that were shrunk; others keep their bytes."""

_JPEG = b"\xff\xd8\xff"
# Bytes that belong to nothing between two markers: many cameras leave some, and no pixel suffers.
_HARMLESS = "extraneous bytes before marker"


@dataclass(frozen=True)
class ProvenPhoto:
    """A photo that decodes: its bytes, their suffix and hash, its upright size in pixels."""

    data: bytes
    suffix: str
    sha256: str
    height: int
    width: int


def prove_photo(data: bytes, name: str, size: int | None = None) -> ProvenPhoto:
    """Decode a photo, and shrink it if asked.

    Args:
        data: the file.
        name: its path, for its suffix and for errors.
        size: of the shorter side in pixels; a photo that is larger is shrunk to it and becomes a
            JPEG of quality 95, upright. None, and smaller photos, keep their bytes.

    Raises:
        UnreadablePhotoError: truncated, damaged, or of a kind that is not read.
    """
    pixels: np.ndarray | None = None
    suffix = PurePosixPath(name).suffix.lower()
    if data.startswith(_JPEG):
        suffix = ".jpg"
        height, width, pixels = _decode_jpeg(data, name)
    else:
        pixels = _decode_any(data, name)
        height, width = pixels.shape[:2]
    if size is not None and min(height, width) > size:
        if pixels is None:
            pixels = _decode_any(data, name)
        data, height, width = _shrink(pixels, size)
        suffix = ".jpg"
    return ProvenPhoto(data, suffix, hashlib.sha256(data).hexdigest(), height, width)


def _decode_jpeg(data: bytes, name: str) -> tuple[int, int, np.ndarray | None]:
    """Return the upright size, and the RGB pixels where they are upright as they lie."""
    pixels = decode_plain_jpeg(data)
    if pixels is not None:
        height, width = pixels.shape[:2]
        return height, width, pixels
    try:
        # Headers only; as training opens it, which refuses decompression bombs.
        with open_header(data) as header:
            width, height = header.size
            # By the same functions as training, which take it from XMP where EXIF has none.
            turn = orientation_of(read_exif(header))
            plain = header.mode in ("RGB", "L") and turn == 1
        with memory_of(width * height * decoding_bytes()):
            pixels = simplejpeg.decode_jpeg(data, strict=True)
    except Exception as error:  # a damaged file makes parsers raise nearly anything
        if _HARMLESS not in str(error):
            raise UnreadablePhotoError(name, str(error) or type(error).__name__) from error
        pixels = _decode_any(data, name)
        return (*pixels.shape[:2], pixels)
    if turn in (5, 6, 7, 8):
        height, width = width, height
    return height, width, pixels if plain else None


def _decode_any(data: bytes, name: str) -> np.ndarray:
    """Return upright RGB pixels of any kind of file, read as training reads them."""
    return decode_photo(PhotoBytes(name, data))


def _shrink(pixels: np.ndarray, size: int) -> tuple[bytes, int, int]:
    """Return a JPEG whose shorter side is ``size``, and its height and width."""
    scale = size / min(pixels.shape[:2])
    height, width = (max(size, round(side * scale)) for side in pixels.shape[:2])
    shrunk = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(shrunk), quality=JPEG_QUALITY, colorsubsampling="444"
    )
    return data, height, width
