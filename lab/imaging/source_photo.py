"""A decoded photo in its file's own depth, with all that is needed to write it back.

8-bit float arithmetic cannot promise that a 16-bit photo comes back bit for bit, so what is pasted
and written is pasted here, in the file's own integers; networks see ``SourcePhoto.image``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lab.imaging.metadata import PhotoMetadata

# Computing in floating point takes several times the memory of a photo: a band at a time.
_BAND_PIXELS = 2**18


@dataclass(frozen=True)
class SourcePhoto:
    """An upright photo in its file's own depth.

    Attributes:
        pixels: ``(H, W, C)`` with C = 1 (a gray file) or 3 (RGB); uint8, uint16, or float32 in
            [0, 1]. The colours under transparent pixels are kept.
        alpha: ``(H, W)`` of the same type, its white = opaque, or ``None``.
        metadata: EXIF, colour profile and resolution, to be written back.
        notes: what a reader should know of the decoding (a conversion, a page left out).
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    metadata: PhotoMetadata = field(default_factory=PhotoMetadata)
    notes: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """In pixels, of the upright photo."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """In pixels, of the upright photo."""
        return int(self.pixels.shape[1])

    @property
    def is_gray(self) -> bool:
        """Whether the file holds one channel of light."""
        return self.pixels.shape[2] == 1

    def opaque_pixels(self) -> np.ndarray:
        """Return ``pixels`` with transparent ones composited on white, in the same depth."""
        white = white_of(self.pixels.dtype)
        if self.alpha is None or bool((self.alpha == white).all()):
            return self.pixels
        opaque = np.empty_like(self.pixels)
        pixels, result = (array.reshape(-1, array.shape[2]) for array in (self.pixels, opaque))
        alpha = self.alpha.reshape(-1, 1)
        for band in bands(len(pixels)):
            opacity = alpha[band].astype(np.float64) / white
            blended = pixels[band] * opacity + white * (1.0 - opacity)
            result[band] = quantize(blended / white, opaque.dtype)
        return opaque

    def rgb8(self) -> np.ndarray:
        """Return uint8 ``(H, W, 3)``; deeper photos are rounded, transparency is over white."""
        pixels = change_depth(self.opaque_pixels(), np.dtype(np.uint8))
        return np.repeat(pixels, 3, axis=2) if self.is_gray else pixels

    def image(self) -> Tensor:
        """Return float32 ``(3, H, W)`` in [0, 1], in the file's full depth, over white."""
        pixels = self.opaque_pixels()
        white = np.float32(white_of(pixels.dtype))
        image = np.empty((3, self.height, self.width), np.float32)
        samples, planes = pixels.reshape(-1, pixels.shape[2]), image.reshape(3, -1)
        for band in bands(len(samples)):
            # Division in float32 is exact enough to give every one of 65536 values back.
            planes[:, band] = (samples[band].astype(np.float32) / white).T
        return torch.from_numpy(image)


def bands(count: int) -> Iterator[slice]:
    """Yield slices that cover ``count`` pixels, each of a bounded number of them."""
    for start in range(0, count, _BAND_PIXELS):
        yield slice(start, start + _BAND_PIXELS)


def white_of(depth: np.dtype) -> float:
    """Return the value of full light in uint8 (255), uint16 (65535) or float32 (1)."""
    return 1.0 if depth == np.float32 else float(np.iinfo(depth).max)


def quantize(fraction: np.ndarray, depth: np.dtype) -> np.ndarray:
    """Round values in [0, 1] to the nearest of ``depth`` (uint8, uint16 or float32)."""
    if depth == np.float32:
        return fraction.astype(np.float32)
    return np.rint(fraction.astype(np.float64) * white_of(depth)).astype(depth)


def change_depth(pixels: np.ndarray, depth: np.dtype) -> np.ndarray:
    """Return pixels of one depth in another: black stays black, white stays white."""
    if pixels.dtype == depth:
        return pixels
    changed = np.empty(pixels.shape, depth)
    samples, result = pixels.reshape(-1), changed.reshape(-1)
    for band in bands(samples.size):
        result[band] = quantize(samples[band] / white_of(pixels.dtype), depth)
    return changed
