"""A decoded photo in its file's own depth, with all that is needed to write it back.

8-bit float arithmetic cannot promise that a 16-bit photo comes back bit for bit, so what is pasted
and written is pasted here, in the file's own integers; networks see ``SourcePhoto.image``.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lab.imaging.metadata import PhotoMetadata


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
        opacity = self.alpha[..., None].astype(np.float64) / white
        blended = self.pixels * opacity + white * (1.0 - opacity)
        return quantize(blended / white, self.pixels.dtype)

    def rgb8(self) -> np.ndarray:
        """Return uint8 ``(H, W, 3)``; deeper photos are rounded, transparency is over white."""
        pixels = change_depth(self.opaque_pixels(), np.dtype(np.uint8))
        return np.repeat(pixels, 3, axis=2) if self.is_gray else pixels

    def image(self) -> Tensor:
        """Return float32 ``(3, H, W)`` in [0, 1], in the file's full depth, over white."""
        pixels = self.opaque_pixels()
        # Division in float32 is exact enough to give every one of 65536 values back.
        fraction = pixels.astype(np.float32) / np.float32(white_of(pixels.dtype))
        tensor = torch.from_numpy(np.ascontiguousarray(np.moveaxis(fraction, 2, 0)))
        return tensor.expand(3, -1, -1).contiguous()


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
    return quantize(pixels / white_of(pixels.dtype), depth)
