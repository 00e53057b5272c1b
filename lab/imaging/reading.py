"""Read photos: every usual format and pixel layout, upright, or one clear refusal."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageCms
from torch import Tensor

from lab.imaging.budgets import (
    LARGEST_FILE,
    check_before_opening,
    check_pixels,
    check_scans,
    decoding_bytes,
    memory_of,
)
from lab.imaging.metadata import (
    ICC_PROFILE_TAG,
    metadata_of,
    orientation_of,
    read_exif,
)
from lab.imaging.quiet import quiet_decoders, quiet_libpng
from lab.imaging.source_photo import SourcePhoto, bands
from lab.untrusted import printable, read_bytes

PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""The suffixes (in lower case) under which photos are looked for."""

# Pillow reads many more, some through programs outside (EPS through Ghostscript). "JPEG" includes
# the MPO files of phones and stereo cameras.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_TIFF_MAGIC = (b"II*\0", b"MM\0*")
_BIG_TIFF_MAGIC = (b"II+\0", b"MM\0+")
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Segments of a JPEG's header: baseline frame, begin of a scan, JFIF; and Huffman tables,
# quantization tables, restart interval, comment.
_JPEG_FRAME, _JPEG_SCAN, _JPEG_JFIF = 0xC0, 0xDA, 0xE0
_JPEG_TABLES = frozenset([0xC4, 0xDB, 0xDD, 0xFE])
# Memory for as many is not counted.
_PLAIN_PIXELS = 2**22
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


class OtherSizeError(ValueError):
    """A file declares another size than it must have; ``size`` is (height, width) as it lies."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(size)
        self.size = size


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
        if max(_as_tuple(tags.get(258, 1))) > 8 and tags.get(262) in (0, 1, 2):
            return _decode_deep_tiff(data, tags, size)
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
        is_deep_png = data.startswith(_PNG_MAGIC) and data[24] == 16
        depth = 2 if is_deep_png else 1
        a_pixel = decoding_bytes(depth, len(image.getbands()), image.format == "WEBP")
        check_pixels(image.width, image.height, a_pixel)
        _check_size((image.height, image.width), size)
        with memory_of(image.width * image.height * a_pixel):
            alpha: np.ndarray | None = None
            pixels = _undamaged_jpeg(data, image)
            if pixels is None:
                image.load()
            # Only after loading: TIFF is turned upright by then, and PNG may keep its EXIF at the
            # end.
            exif = read_exif(image)
            if is_deep_png:
                transparent = image.info.get("transparency")
                # Freed before OpenCV decodes the same.
                image.im = None  # type: ignore[assignment]
                pixels, alpha = _decode_deep_png(data, transparent)
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


def decode_plain_jpeg(data: bytes) -> np.ndarray | None:
    """Return uint8 ``(H, W, 3)`` of an undamaged JPEG with nothing in its header but its pixels'.

    Opening a photo of 256x256 in Pillow takes a fifth of the time that decoding it does. Whatever
    else the header holds, a rotation or several views, and whatever it may take more memory for,
    is left to Pillow: None.
    """
    declared = _plain_size(data)
    if declared is None or declared[0] * declared[1] > _PLAIN_PIXELS:
        return None
    return _undamaged(data, declared)


def _plain_size(data: bytes) -> tuple[int, int] | None:
    """Return (height, width) as a baseline JPEG in three colours declares, if it is a plain one."""
    size = None
    place = 2 if data.startswith(b"\xff\xd8\xff") else len(data)
    while place + 18 <= len(data) and data[place] == 0xFF:
        kind, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if kind == _JPEG_SCAN:
            return size
        if kind == _JPEG_FRAME and size is None and data[place + 4] == 8 and data[place + 9] == 3:
            size = (
                int.from_bytes(data[place + 5 : place + 7]),
                int.from_bytes(data[place + 7 : place + 9]),
            )
        elif kind == _JPEG_JFIF:
            # A shorter one is none to libjpeg, and damaged to Pillow.
            if length < 16:
                return None
        elif kind not in _JPEG_TABLES:
            return None
        place += 2 + length
    return None


def _undamaged_jpeg(data: bytes, opened: Image.Image) -> np.ndarray | None:
    """Return uint8 ``(H, W, 3)`` of a JPEG in colour; None where Pillow has to say what it is.

    The library is Pillow's, and so are the pixels; Pillow copies them three times on their way.
    What libjpeg only warns of, Pillow may make a photo of.
    """
    if opened.format != "JPEG" or opened.mode != "RGB":
        return None
    return _undamaged(data, (opened.height, opened.width))


def _undamaged(data: bytes, declared: tuple[int, int]) -> np.ndarray | None:
    try:
        samples: np.ndarray = simplejpeg.decode_jpeg(data, strict=True)
    except ValueError:
        return None
    return samples if samples.shape == (*declared, 3) else None


def _check_size(declared: tuple[int, int], size: tuple[int, int] | None) -> None:
    """Raise unless a file declares ``size`` or, since it may be turned, the sides exchanged."""
    if size is not None and sorted(declared) != sorted(size):
        raise OtherSizeError(declared)


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
        except ImageCms.PyCMSError:
            pass  # A damaged profile or one for other colours: the formula is all that is left.
    return lambda part: part.convert("RGB")


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
    return _rgb_of(samples), alpha


def _decode_deep_tiff(data: bytes, tags: Image.Exif, size: tuple[int, int] | None) -> SourcePhoto:
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
    a_pixel = decoding_bytes(max(bits) // 8, samples_a_pixel)
    check_pixels(expected[1], expected[0], a_pixel)
    _check_size(expected, size)
    _check_strips_are_whole(data, tags)
    with memory_of(expected[0] * expected[1] * a_pixel):
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
        samples = _rgb_of(samples)
        if 1 in _as_tuple(tags.get(338, ())):
            samples = _unmultiply(samples, alpha)
    else:
        samples = _rgb_of(samples)
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
    return np.clip(samples, 0.0, 1.0, out=samples)


def _unmultiply(samples: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return colours that were stored multiplied by their opacity as they were before."""
    white = 1.0 if alpha.dtype == np.float32 else 65535.0
    colours, opacities = samples.reshape(-1, 3), alpha.reshape(-1, 1)
    for band in bands(len(colours)):
        opacity = np.maximum(opacities[band] / white, 1e-9)
        straight = np.clip(colours[band] / opacity, 0.0, white)
        colours[band] = straight if white == 1.0 else np.rint(straight)
    return samples


def _rgb_of(samples: np.ndarray) -> np.ndarray:
    """Return the colours of BGR(A) samples, as RGB."""
    if samples.shape[2] == 3:
        return cv2.cvtColor(samples, cv2.COLOR_BGR2RGB, dst=samples)
    return cv2.cvtColor(samples, cv2.COLOR_BGRA2RGB)


def _decode_with_opencv(data: bytes) -> np.ndarray:
    """Return the file's samples in BGR(A) order, in their own depth."""
    with quiet_libpng() if data.startswith(_PNG_MAGIC) else nullcontext():
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
        return "it is no JPEG, PNG, WebP, BMP, TIFF or GIF file, or its start is damaged"
    text = " ".join(str(error).split())
    if "truncated" in text or "Truncated" in text:
        return f"the file is truncated ({text})"
    return text or type(error).__name__
