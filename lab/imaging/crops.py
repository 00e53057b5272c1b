"""Square crops of photo files, for training and validation."""

from collections import OrderedDict
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from lab.imaging.instance_reading import read_instances
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
        self._cache: OrderedDict[tuple[PhotoFile, bool], _Kept] = OrderedDict()

    def read(self, file: PhotoFile, crop: Crop) -> Tensor:
        """The crop in 8 bits, uint8 ``(3, size, size)``, of which `as_image` makes an image.

        Raises:
            UnreadablePhotoError: the file cannot be read.
        """
        return self._pixels(self._photo(file), crop)

    def read_with_instances(
        self, file: PhotoFile, instances: PhotoFile, crop: Crop
    ) -> tuple[Tensor, Tensor]:
        """The crop of a photo, and the same pixels of its map of objects.

        Returns:
            The pixels as of `read`, and int32 ``(1, size, size)``, equal on one object.

        Raises:
            UnreadablePhotoError: one of the files cannot be read.
            ValueError: the map has another size than the photo, or is no map.
        """
        photo = self._photo(file)
        ids = self._instances(instances, photo)
        square = _cut(ids, crop, (self.size, self.size), cv2.INTER_NEAREST_EXACT)
        return self._pixels(photo, crop), torch.from_numpy(square)[None]

    def _pixels(self, photo: "_Kept", crop: Crop) -> Tensor:
        square = _cut(photo.pixels, crop, (self.size, self.size))
        planes = np.empty((3, self.size, self.size), np.uint8)
        # Twenty times as fast as NumPy's copy of the axes in another order.
        cv2.split(square, list(planes))
        return torch.from_numpy(planes)

    def _photo(self, file: PhotoFile) -> "_Kept":
        # Bytes in memory are hashed to be looked up: not where nothing is kept.
        if self._cache and (file, False) in self._cache:
            self._cache.move_to_end((file, False))
            return self._cache[file, False]
        photo = decode_photo(file)
        height, width = photo.shape[:2]
        scale = self._kept_short_side / min(height, width)
        if scale < 1.0:
            photo = _resize(photo, (round(width * scale), round(height * scale)))
        return self._keep((file, False), _Kept(photo, height, width))

    def _instances(self, file: PhotoFile, photo: "_Kept") -> np.ndarray:
        """The map of objects, as large as the photo is kept."""
        if (file, True) in self._cache:
            self._cache.move_to_end((file, True))
            return self._cache[file, True].pixels
        ids = read_instances(file, (photo.height, photo.width))[0].numpy()
        height, width = photo.pixels.shape[:2]
        if ids.shape != (height, width):
            ids = cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return self._keep((file, True), _Kept(ids, photo.height, photo.width)).pixels

    def _keep(self, key: tuple[PhotoFile, bool], kept: "_Kept") -> "_Kept":
        if kept.pixels.nbytes <= self._cache_bytes:
            self._cache[key] = kept
            self._cached_bytes += kept.pixels.nbytes
            while self._cached_bytes > self._cache_bytes:
                self._cached_bytes -= self._cache.popitem(last=False)[1].pixels.nbytes
        return kept


@dataclass(frozen=True)
class _Kept:
    """A photo or its map, shrunk once; ``height`` and ``width`` are those of its file."""

    pixels: np.ndarray
    height: int
    width: int


def _cut(
    pixels: np.ndarray, crop: Crop, size: tuple[int, int], interpolation: int | None = None
) -> np.ndarray:
    height, width = pixels.shape[:2]
    side = max(1, round(crop.side * min(height, width)))
    top = round(crop.top * (height - side))
    left = round(crop.left * (width - side))
    square = pixels[top : top + side, left : left + side]
    if interpolation is None:
        square = _resize(square, size)
    else:
        square = cv2.resize(square, size, interpolation=interpolation)
    return cv2.flip(square, 1) if crop.mirrored else square


def _resize(photo: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to ``(width, height)``; shrinking averages areas, so that nothing aliases."""
    shrinks = size[0] < photo.shape[1]
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
