"""Samples of photo and mask: drawn anew in every epoch for training, fixed for validation.

Every random choice comes from a generator seeded by what it is for (run seed, epoch, sample), so
that neither the number of loader processes nor an interruption changes what is drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from lab.contracts import MaskGenerator
from lab.data.batches import Batch
from lab.data.instance_maps import InstanceMaps
from lab.guides import GUIDES, draw_guides
from lab.imaging import Crop, CropReader, PhotoFile, as_image


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
        drawn_as: the epoch whose samples an epoch has, in an order of its own.
        trained_on: how many samples of an epoch, in its order, are left out.
    """

    def __init__(
        self,
        samples: int,
        seed: int,
        epoch: int,
        drawn_as: Callable[[int], int],
        trained_on: Callable[[int], int] = lambda epoch: 0,
    ) -> None:
        self._samples = samples
        self._seed = seed
        self._epoch = epoch
        self._drawn_as = drawn_as
        self._trained_on = trained_on

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is for."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[EpochKey]:
        return self.keys_of(self.left())

    def left(self) -> np.ndarray:
        """The numbers of the samples that the epoch has not been trained on, in its order."""
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._samples)
        return order[self._trained_on(self._epoch) :]

    def keys_of(self, samples: Iterable[int]) -> Iterator[EpochKey]:
        """What samples of the epoch are drawn from."""
        epoch = self._drawn_as(self._epoch)
        return (EpochKey(epoch, int(sample)) for sample in samples)

    def __len__(self) -> int:
        """Of a whole epoch."""
        return self._samples


class RankSampler(Sampler[EpochKey]):
    """The part of an epoch that one of several ranks trains on.

    Each step's samples are those of a process by itself with the whole batch, shared out: no photo
    comes twice in an epoch, and the mean of the ranks' losses is the whole batch's.

    Args:
        whole: visits the epoch in the order that all ranks know.
        batch_size: samples a step of this rank.
        rank: which of the ranks this is.
        ranks: how many there are.
    """

    def __init__(self, whole: EpochSampler, batch_size: int, rank: int, ranks: int) -> None:
        self._whole = whole
        self._batch_size = batch_size
        self._rank = rank
        self._together = batch_size * ranks

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is for."""
        self._whole.set_epoch(epoch)

    def __iter__(self) -> Iterator[EpochKey]:
        left = self._whole.left()
        steps = left[: len(left) // self._together * self._together].reshape(-1, self._together)
        first = self._rank * self._batch_size
        return self._whole.keys_of(steps[:, first : first + self._batch_size].ravel())

    def __len__(self) -> int:
        return len(self._whole) // self._together * self._batch_size


class KnownPhoto(Protocol):
    """A photo that was found."""

    @property
    def name(self) -> str:
        """Unique in its set and fit for file names."""
        ...

    @property
    def file(self) -> PhotoFile:
        """Its bytes, as they were when it was found."""
        ...

    @property
    def place(self) -> str:
        """Where its file lies or lay, as far as is known, without its suffix."""
        ...

    @property
    def sha256(self) -> str:
        """Of its bytes, in hexadecimal."""
        ...


@dataclass(frozen=True)
class SampleCutter:
    """Cuts a photo and draws its mask, from a generator made for that one sample.

    Attributes:
        reader: cuts, and keeps photos in memory.
        masks: draws the holes.
        seed: of the run for training; of the validation, which must not vary, for validation.
        guides: the names of those that are drawn, after crop and mask.
        instance_maps: what ``instances`` are drawn from.
    """

    reader: CropReader
    masks: MaskGenerator
    seed: int
    guides: Sequence[str] = ()
    instance_maps: InstanceMaps | None = None

    def cut(
        self,
        file: PhotoFile,
        photo: str,
        key: Sequence[int],
        crop: int = 0,
        central: bool = False,
        place: str = "",
    ) -> Batch:
        """Return one sample, without a batch axis.

        Args:
            file: the photo's.
            photo: its name.
            key: what the sample is for; together with the seed, all that its draws depend on.
            crop: which crop of the photo it is; the first is called as the photo is.
            central: take the central square in place of a random crop, mirrored half of the time.
            place: of the photo's file, without suffix, which its map of objects is found by.

        Raises:
            UnreadablePhotoError: the file, or its map of objects, cannot be read.
            ValueError: a map of objects is missing, or has another size than the photo.
        """
        generator = np.random.default_rng([self.seed, *key])
        square = Crop() if central else _random_crop(generator, self.reader.smallest_side)
        instance_ids = None
        if self.instance_maps is None:
            pixels = self.reader.read(file, square)
        else:
            its_map = self.instance_maps.file_of(place)
            pixels, instance_ids = self.reader.read_with_instances(file, its_map, square)
        size = self.reader.size
        # No photo's name has a tilde: no sample is called like another photo.
        sample = photo if crop == 0 else f"{photo}~crop{crop}"
        mask = self.masks(size, size, generator)
        planes = {}
        if self.guides:
            image = as_image(pixels)
            planes = draw_guides(self.guides, image, mask, (self.seed, *key), instance_ids)
        return Batch(
            pixels,
            # Of exactly 0 and 1: a seventh of the time that numbers take to become bytes.
            mask.bool().view(torch.uint8),
            sample,
            photo,
            {
                name: drawn.to(torch.uint8) if GUIDES[name].is_binary else drawn
                for name, drawn in planes.items()
            },
        )


class TrainingPhotos(Dataset[Batch]):
    """Random square crops under masks drawn for each; sample ``i`` is of photo ``i % count``."""

    def __init__(self, photos: Sequence[KnownPhoto], cutter: SampleCutter) -> None:
        self._photos = photos
        self._cutter = cutter

    def __getitem__(self, key: EpochKey) -> Batch:
        photo = self._photos[key.sample % len(self._photos)]
        return self._cutter.cut(photo.file, photo.name, key, place=photo.place)


class ValidationPhotos(Dataset[Batch]):
    """Fixed crops under fixed masks: the same in every epoch, every trial and every variant.

    The first crop of a photo is its central square; further ones are drawn from a generator seeded
    by the photo's content, and so are the masks: adding a photo to the set changes no other sample.

    Args:
        photos: the files.
        cutter: with the validation's seed and masks.
        crops: how many samples each photo gives.
    """

    def __init__(self, photos: Sequence[KnownPhoto], cutter: SampleCutter, crops: int) -> None:
        self._cutter = cutter
        # Crop by crop rather than photo by photo: the first samples show different photos.
        self._samples = [(photo, crop) for crop in range(crops) for photo in photos]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Batch:
        photo, crop = self._samples[index]
        content = int(photo.sha256[:16], 16)
        return self._cutter.cut(
            photo.file, photo.name, (content, crop), crop, central=crop == 0, place=photo.place
        )


def _random_crop(generator: np.random.Generator, smallest_side: float) -> Crop:
    side, top, left, coin = generator.random(4)
    return Crop(
        side=smallest_side + (1.0 - smallest_side) * float(side),
        top=float(top),
        left=float(left),
        mirrored=bool(coin < 0.5),
    )
