"""Read photos: every usual format and pixel layout, upright, or one clear refusal."""

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from PIL import Image, ImageCms
from torch import Tensor

from lab.imaging.metadata import (
    ICC_PROFILE_TAG,
    metadata_of,
    orientation_of,
    read_exif,
)
from lab.imaging.source_photo import SourcePhoto

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""The suffixes (in lower case) under which photos are looked for and written."""

# Pillow reads many more, some through programs outside (EPS through Ghostscript). "JPEG" includes
# the MPO files of phones and stereo cameras.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_TIFF_MAGIC = (b"II*\0", b"MM\0*")
_BIG_TIFF_MAGIC = (b"II+\0", b"MM\0+")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


class UnreadablePhotoError(ValueError):
    """A file that cannot be read as a photo; ``path`` is the file, ``reason`` says why."""

    def __init__(self, path: str | Path, reason: str) -> None:
        # Both go to the base class: the error must survive pickling between worker processes.
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read {self.path}: {self.reason}"


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
    return read_source(path).rgb8()


def read_source(path: str | PhotoFile) -> SourcePhoto:
    """Read a photo in its file's own depth, with its alpha and metadata, upright.

    JPEG, PNG, WebP, BMP and TIFF, told apart by content. Of several pages or views the first is
    read and a note says so; an animation is refused.

    Raises:
        UnreadablePhotoError: missing, truncated, damaged, or of a kind that is not read.
    """
    file = Path(path) if isinstance(path, str) else path
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        raise UnreadablePhotoError(str(file), "there is no such file") from None
    except IsADirectoryError:
        raise UnreadablePhotoError(str(file), "it is a folder") from None
    except OSError as error:
        raise UnreadablePhotoError(str(file), error.strerror or str(error)) from error
    try:
        return _decode(data)
    # A damaged file makes the decoders raise nearly anything: OSError, SyntaxError, KeyError,
    # struct.error, zlib.error, cv2.error.
    except Exception as error:
        raise UnreadablePhotoError(str(file), _reason(error, data)) from error


def _decode(data: bytes) -> SourcePhoto:
    """Decode a whole file."""
    if data[:4] in _BIG_TIFF_MAGIC:
        raise ValueError("BigTIFF is not read: save it as a plain TIFF or as PNG")
    if data[:4] in _TIFF_MAGIC:
        tags = Image.Exif()
        tags.load(data)
        # Pillow cuts colour of more than 8 bits to 8 and cannot open colour in floating point.
        if max(_as_tuple(tags.get(258, 1))) > 8 and tags.get(262) in (0, 1, 2):
            return _decode_deep_tiff(data, tags)
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format in ("PNG", "WEBP"):
            raise ValueError(f"it is an animation of {frames} frames: save one of them as a photo")
        notes = []
        if frames > 1:
            notes.append(f"the file holds {frames} pages or views: the first is read")
        image.load()
        # Only after loading: TIFF is turned upright by then, and PNG may keep its EXIF at the end.
        exif = read_exif(image)
        if data.startswith(_PNG_MAGIC) and data[24] == 16:
            pixels, alpha = _decode_deep_png(data, image.info.get("transparency"))
        else:
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
    elif mode in ("RGBX", "YCbCr"):
        target = "RGB"
    elif mode in ("RGBA", "RGBa", "PA"):
        target = "RGBA"
    elif mode == "CMYK":
        image, target = _from_cmyk(image), "RGB"
    else:
        raise ValueError(f"its pixels are of the kind {mode!r}, which is not read: save it as RGB")
    samples = np.array(image if image.mode == target else image.convert(target))
    if target in ("L", "RGB"):
        return samples.reshape(*samples.shape[:2], -1), None
    return np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])


def _from_cmyk(image: Image.Image) -> Image.Image:
    """Convert to sRGB by the embedded profile, or else by the plain formula.

    Pillow has already undone Adobe's inversion of CMYK in JPEG files.
    """
    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
            if converted is not None:
                return converted
        except ImageCms.PyCMSError:
            pass  # A damaged profile or one for other colours: the formula is all that is left.
    return image.convert("RGB")


def _decode_deep_png(
    data: bytes, transparent: int | tuple[int, ...] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return uint16 pixels and alpha of a 16-bit PNG that Pillow has found whole."""
    colour_type = data[25]
    samples = _decode_with_opencv(data)
    if colour_type == 0:
        gray = samples[..., None]
        # OpenCV knows a transparent colour in RGB but not in gray.
        alpha = None if transparent is None else np.where(samples == transparent, 0, 65535)
        return gray, None if alpha is None else alpha.astype(np.uint16)
    alpha = samples[..., 3].copy() if samples.shape[2] == 4 else None
    if colour_type == 4:
        return samples[..., :1].copy(), alpha
    return samples[..., 2::-1].copy(), alpha


def _decode_deep_tiff(data: bytes, tags: Image.Exif) -> SourcePhoto:
    """Decode a gray or RGB TIFF of 16-bit integers or 32-bit floats."""
    bits, samples_a_pixel = _as_tuple(tags.get(258, 1)), int(tags.get(277, 1))
    is_float = set(_as_tuple(tags.get(339, 1))) == {3}
    kind = f"{max(bits)}-bit {'floating-point' if is_float else 'integer'}"
    unsigned = set(_as_tuple(tags.get(339, 1))) == {1}
    if not (set(bits) == {16} and unsigned) and not (set(bits) == {32} and is_float):
        raise ValueError(
            f"its samples are of the kind {kind}, which is not read: "
            "save it with 8 or 16 bits (unsigned), or as 32-bit floating point in [0, 1]"
        )
    if samples_a_pixel not in (1, 3, 4) or (samples_a_pixel > 1 and tags.get(284, 1) != 1):
        raise ValueError(
            f"its layout ({samples_a_pixel} {kind} channels, planar configuration "
            f"{tags.get(284, 1)}) is not read: save it as RGB with interleaved channels, or as PNG"
        )
    expected = (int(tags[257]), int(tags[256]))
    # Pillow's own limit, which this file does not pass through.
    if expected[0] * expected[1] > 2 * (Image.MAX_IMAGE_PIXELS or math.inf):
        raise Image.DecompressionBombError(f"{expected[1]}x{expected[0]} pixels")
    _check_strips_are_whole(data, tags)
    samples = _decode_with_opencv(data)
    if orientation_of(tags) > 4:
        expected = expected[::-1]
    if samples.shape[:2] != expected:
        raise ValueError(f"it decodes to {samples.shape[:2]} instead of {expected} pixels")
    if is_float:
        samples = _checked_floats(samples)
    alpha = None
    if samples.ndim == 2:
        samples = samples[..., None]
        # Neither Pillow nor OpenCV inverts deep gray where the file says that 0 is white.
        if tags.get(262) == 0:
            samples = np.dtype(samples.dtype).type(1 if is_float else 65535) - samples
    elif samples.shape[2] == 4:
        alpha = samples[..., 3].copy()
        samples = samples[..., 2::-1].copy()
        if 1 in _as_tuple(tags.get(338, ())):
            samples = _unmultiply(samples, alpha)
    else:
        samples = samples[..., ::-1].copy()
    # OpenCV has turned TIFF upright (it does so even when told to leave pixels unchanged).
    resolution = tuple(float(tags[tag]) for tag in (282, 283) if tag in tags)
    scale = 2.54 if tags.get(296) == 3 else 1.0
    dpi = (resolution[0] * scale, resolution[1] * scale) if len(resolution) == 2 else None
    metadata = metadata_of(tags, tags.get(ICC_PROFILE_TAG), dpi)
    return SourcePhoto(samples, alpha, metadata)


def _check_strips_are_whole(data: bytes, tags: Image.Exif) -> None:
    """Refuse a TIFF whose pixels lie beyond the end of the file."""
    for offsets, counts in ((273, 279), (324, 325)):
        ends = zip(_as_tuple(tags.get(offsets, 0)), _as_tuple(tags.get(counts, 0)), strict=False)
        if any(offset + count > len(data) for offset, count in ends):
            raise ValueError("image file is truncated")


def _checked_floats(samples: np.ndarray) -> np.ndarray:
    """Return float samples in [0, 1]; there is no telling what other ranges mean."""
    low, high = float(samples.min()), float(samples.max())
    # Resampling in floating point overshoots a little; NaN fails the comparison.
    if not (low >= -0.001 and high <= 1.001):
        raise ValueError(
            f"its floating-point values lie in [{low:g}, {high:g}], but must lie in [0, 1]: "
            "scale them, or save the photo with 8 or 16 bits"
        )
    return np.clip(samples, 0.0, 1.0)


def _unmultiply(samples: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return colours that were stored multiplied by their opacity as they were before."""
    white = 1.0 if alpha.dtype == np.float32 else 65535.0
    opacity = np.maximum(alpha[..., None] / white, 1e-9)
    straight = np.clip(samples / opacity, 0.0, white)
    return (straight if white == 1.0 else np.rint(straight)).astype(samples.dtype)


def _decode_with_opencv(data: bytes) -> np.ndarray:
    """Return the file's samples in BGR(A) order, in their own depth."""
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise ValueError("its pixels are damaged or compressed in a way that is not read")
    return samples


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn ``(H, W, ...)`` as the EXIF orientation (1 to 8) asks."""
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def _as_tuple(value: object) -> tuple:
    """Return a TIFF tag's value as a tuple: single values come without one."""
    return value if isinstance(value, tuple) else (value,)


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
        return "it is no JPEG, PNG, WebP, BMP or TIFF file, or its start is damaged"
    text = " ".join(str(error).split())
    if "truncated" in text or "Truncated" in text:
        return f"the file is truncated ({text})"
    return text or type(error).__name__
