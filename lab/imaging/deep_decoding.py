"""Pixels of more than 8 bits: PNG and TIFF of 16-bit integers, TIFF of 32-bit floats."""

from contextlib import nullcontext

import cv2
import numpy as np
from PIL import Image

from lab.imaging.budgets import check_declared, check_pixels, decoding_bytes, memory_of
from lab.imaging.metadata import ICC_PROFILE_TAG, metadata_of, orientation_of
from lab.imaging.quiet import quiet_libpng
from lab.imaging.source_photo import SourcePhoto, bands

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
"""What a PNG begins with."""


def decode_deep_png(
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


def decode_deep_tiff(data: bytes, tags: Image.Exif, size: tuple[int, int] | None) -> SourcePhoto:
    """Decode a gray or RGB TIFF of 16-bit integers or 32-bit floats."""
    bits, samples_a_pixel = as_tuple(tags.get(258, 1)), int(tags.get(277, 1))
    is_float = set(as_tuple(tags.get(339, 1))) == {3}
    kind = f"{max(bits)}-bit {'floating-point' if is_float else 'integer'}"
    unsigned = set(as_tuple(tags.get(339, 1))) == {1}
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
    check_declared(expected, size)
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
        if 1 in as_tuple(tags.get(338, ())):
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
        ends = zip(as_tuple(tags.get(offsets, 0)), as_tuple(tags.get(counts, 0)), strict=False)
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
    with quiet_libpng() if data.startswith(PNG_MAGIC) else nullcontext():
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise ValueError("its pixels are damaged or compressed in a way that is not read")
    return samples


def as_tuple(value: object) -> tuple:
    """Return a TIFF tag's value as a tuple: single values come without one."""
    return value if isinstance(value, tuple) else (value,)
