"""Square crops of photo files, for training and validation."""

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from lab.imaging.conversion import from_uint8
from lab.imaging.reading import PhotoFile, decode_photo


@dataclass(frozen=True)
class Crop:
    """A square of a photo, in shares: ``side`` of the photo's short side, in (0, 1].

    ``top`` and ``left`` in [0, 1] say where it lies in the room that is left: 0.5 is the middle.
    """

    side: float = 1.0
    top: float = 0.5
    left: float = 0.5
    mirrored: bool = False


class CropReader:
    """Reads crops of photos, shrinking large files once and keeping them while memory allows.

    Args:
        size: side of the crops it returns, in pixels.
        smallest_side: the smallest ``Crop.side`` that will be asked for, in (0, 1]: photos are
            kept just large enough that such a crop is not enlarged.
        cache_bytes: how much memory the kept photos may take; the least recently used go first.
    """

    def __init__(self, size: int, smallest_side: float, cache_bytes: int) -> None:
        self.size = size
        self.smallest_side = smallest_side
        self._kept_short_side = int(np.ceil(size / smallest_side))
        self._cache_bytes = cache_bytes
        self._cached_bytes = 0
        self._cache: OrderedDict[PhotoFile, np.ndarray] = OrderedDict()

    def read(self, file: PhotoFile, crop: Crop) -> Tensor:
        """The crop as a float32 image ``(3, size, size)`` in [0, 1].

        Raises:
            UnreadablePhotoError: the file cannot be read.
        """
        photo = self._photo(file)
        height, width = photo.shape[:2]
        side = max(1, round(crop.side * min(height, width)))
        top = round(crop.top * (height - side))
        left = round(crop.left * (width - side))
        square = _resize(photo[top : top + side, left : left + side], (self.size, self.size))
        if crop.mirrored:
            square = square[:, ::-1]
        return from_uint8(np.ascontiguousarray(square))

    def _photo(self, file: PhotoFile) -> np.ndarray:
        if file in self._cache:
            self._cache.move_to_end(file)
            return self._cache[file]
        photo = decode_photo(file)
        height, width = photo.shape[:2]
        scale = self._kept_short_side / min(height, width)
        if scale < 1.0:
            photo = _resize(photo, (round(width * scale), round(height * scale)))
        if photo.nbytes <= self._cache_bytes:
            self._cache[file] = photo
            self._cached_bytes += photo.nbytes
            while self._cached_bytes > self._cache_bytes:
                self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return photo


def _resize(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to ``(width, height)``; shrinking averages areas, so that nothing aliases."""
    shrinks = size[0] < photo.shape[1]
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
