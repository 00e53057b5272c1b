"""Samples of photo and mask: drawn anew in every epoch for training, fixed for validation.

Every random choice comes from a generator seeded by what it is for (run seed, epoch, sample), so
that neither the number of loader processes nor an interruption changes what is drawn.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from lab.contracts import MaskGenerator
from lab.data.photo_sets import Photo
from lab.imaging import Crop, CropReader


class Batch(NamedTuple):
    """``image (B, 3, H, W)``, ``mask (B, 1, H, W)`` and the samples' names."""

    image: Tensor
    mask: Tensor
    name: Sequence[str]


class EpochKey(NamedTuple):
    """Which sample of which epoch a training sample is drawn for."""

    epoch: int
    sample: int


class EpochSampler(Sampler[EpochKey]):
    """Visits every sample once an epoch, in an order drawn from the seed and the epoch.

    Lightning calls `set_epoch` before each epoch, but only after loader processes have asked for
    the first samples of the first one: a resumed run says here which that is.

    Args:
        samples: an epoch.
        seed: of the run.
        epoch: the first one to be visited, counted from 0.
    """

    def __init__(self, samples: int, seed: int, epoch: int = 0) -> None:
        self._samples = samples
        self._seed = seed
        self._epoch = epoch

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is for."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[EpochKey]:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._samples)
        return (EpochKey(self._epoch, int(sample)) for sample in order)

    def __len__(self) -> int:
        return self._samples


class TrainingPhotos(Dataset[Batch]):
    """Random square crops, mirrored half of the time, under masks drawn for each.

    Args:
        photos: the files; sample ``i`` is of photo ``i % len(photos)``.
        reader: cuts and caches.
        masks: draws the holes.
        smallest_side: the smallest crop's side, as a share of the photo's short side.
        seed: of the run.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        reader: CropReader,
        masks: MaskGenerator,
        smallest_side: float,
        seed: int,
    ) -> None:
        self._photos = photos
        self._reader = reader
        self._masks = masks
        self._smallest_side = smallest_side
        self._seed = seed

    def __getitem__(self, key: EpochKey) -> Batch:
        generator = np.random.default_rng([self._seed, key.epoch, key.sample])
        photo = self._photos[key.sample % len(self._photos)]
        crop = _random_crop(generator, self._smallest_side)
        image = self._reader.read(photo.path, crop)
        mask = self._masks(self._reader.size, self._reader.size, generator)
        return Batch(image, mask, photo.name)


class ValidationPhotos(Dataset[Batch]):
    """Fixed crops under fixed masks: the same in every epoch, every trial and every variant.

    The first crop of a photo is its central square; further ones are drawn from a generator seeded
    by the photo's content, and so are the masks: adding a photo to the set changes no other sample.

    Args:
        photos: the files.
        reader: cuts and caches.
        masks: draws the holes.
        smallest_side: the smallest crop's side, as a share of the photo's short side.
        crops: how many samples each photo gives.
        seed: of the validation masks; not the run's, which may vary.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        reader: CropReader,
        masks: MaskGenerator,
        smallest_side: float,
        crops: int,
        seed: int,
    ) -> None:
        self._reader = reader
        self._masks = masks
        self._smallest_side = smallest_side
        self._seed = seed
        # Crop by crop rather than photo by photo: the first samples show different photos.
        self._samples = [(photo, crop) for crop in range(crops) for photo in photos]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Batch:
        photo, crop_index = self._samples[index]
        generator = np.random.default_rng([self._seed, int(photo.sha256[:16], 16), crop_index])
        crop = Crop() if crop_index == 0 else _random_crop(generator, self._smallest_side)
        image = self._reader.read(photo.path, crop)
        mask = self._masks(self._reader.size, self._reader.size, generator)
        name = photo.name if crop_index == 0 else f"{photo.name}-crop{crop_index}"
        return Batch(image, mask, name)


def _random_crop(generator: np.random.Generator, smallest_side: float) -> Crop:
    side, top, left, coin = generator.random(4)
    return Crop(
        side=smallest_side + (1.0 - smallest_side) * float(side),
        top=float(top),
        left=float(left),
        mirrored=bool(coin < 0.5),
    )
