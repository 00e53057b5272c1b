"""Photos from a folder or from shards, or the starter photos, as batches."""

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path

import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader

from lab.checks import UserError
from lab.contracts import MaskGenerator
from lab.data.batches import Batch
from lab.data.instance_maps import InstanceMaps
from lab.data.photo_datasets import SampleCutter, ValidationPhotos
from lab.data.photo_sets import find_photos, starter_photos
from lab.data.photo_source import Feed, PhotoSource, TrainingBatches
from lab.data.shard_set import open_shards
from lab.formats.shards import INDEX
from lab.guides import check_guide_names, check_guides_given, guides_of
from lab.imaging import CropReader
from lab.masks import PersonMixture, PersonRectangle
from lab.ranks import rank, ranks

# Each loader process keeps at most this much of decoded photos.
_CACHE_BYTES = 512 * 2**20

_LEAST_SAMPLES = 6


class PhotoDataModule(lightning.LightningDataModule):
    """Square crops of photos under masks.

    Args:
        photos: a folder of images, searched recursively, or of shards from ``data_prep.places2``;
            split by ``train`` and ``val`` if it has them, else by content. None takes the starter
            photos, which need no download.
        size: side of the crops, in pixels.
        batch_size: samples a training step, of all devices together.
        samples_per_epoch: training samples an epoch; None takes each photo once.
        distinct_epochs: after so many epochs, their crops and masks come again, so that what a
            network begins from need not be computed again; None always draws new ones.
        masks: the training's holes.
        validation_masks: the validation's holes.
        validation_photos: how many validation photos are scored; None takes all.
        validation_crops: samples each validation photo gives: its central square, then fixed crops;
            None gives one, or where all photos are fewer than six, as many as make six samples.
        validation_share: share of a set without ``train`` and ``val`` that is for validation.
        smallest_crop: side of the smallest crop, as a share of the photo's short side, in (0, 1].
        workers: loader processes; 0 loads in the training process.
        seed: of crops and training masks.
        validation_seed: of the validation's crops and masks; keep it, or runs cannot be compared.
        guides: what is drawn beside photo and mask for networks that read it, by the names of
            `lab.guides.GUIDES`; no crop and no mask changes with them. None draws what the network
            reads that trains on the photos or is scored on them (`draw_for`).
        instance_maps: for ``instances``: a folder with a map of objects for each photo, called
            like it, of its size.

    Raises:
        UserError: an unknown guide, or ``instances`` and their maps without each other.
        ValueError: a value out of its range.
    """

    SCORED_BY = frozenset(
        {
            *("photos", "size", "smallest_crop", "instance_maps", "validation_masks"),
            *("validation_photos", "validation_crops", "validation_share", "validation_seed"),
        }
    )
    """The arguments that say which samples a training is scored on: with others, its scores
    cannot be compared."""

    def __init__(
        self,
        photos: Path | None = None,
        size: int = 256,
        batch_size: int = 4,
        samples_per_epoch: int | None = None,
        distinct_epochs: int | None = None,
        masks: Callable[[], MaskGenerator] = PersonMixture,
        validation_masks: Callable[[], MaskGenerator] = PersonRectangle,
        validation_photos: int | None = None,
        validation_crops: int | None = None,
        validation_share: float = 0.2,
        smallest_crop: float = 0.5,
        workers: int = 0,
        seed: int = 0,
        validation_seed: int = 0,
        guides: Sequence[str] | None = None,
        instance_maps: Path | None = None,
    ) -> None:
        super().__init__()
        _at_least("size", size, 32)
        _at_least("batch_size", batch_size, 1)
        _at_least("workers", workers, 0)
        for name, count in (
            ("samples_per_epoch", samples_per_epoch),
            ("distinct_epochs", distinct_epochs),
            ("validation_photos", validation_photos),
            ("validation_crops", validation_crops),
        ):
            if count is not None:
                _at_least(name, count, 1)
        if not 0.0 < smallest_crop <= 1.0:
            raise ValueError(f"data.smallest_crop must lie in (0, 1], not {smallest_crop}")
        if not 0.0 < validation_share < 1.0:
            raise ValueError(f"data.validation_share must lie in (0, 1), not {validation_share}")
        if guides is not None:
            check_guide_names(guides)
            _check_maps(guides, instance_maps)
        if instance_maps is not None and not instance_maps.is_dir():
            raise UserError(f"data.instance_maps is {instance_maps}, which is no folder of maps")
        self.folder = photos
        self.size = size
        self.batch_size = batch_size
        self.samples_per_epoch = samples_per_epoch
        self.distinct_epochs = distinct_epochs
        self.masks = masks()
        self.validation_masks = validation_masks()
        self.validation_photos = validation_photos
        self.validation_crops = validation_crops
        self.validation_share = validation_share
        self.smallest_crop = smallest_crop
        self.workers = workers
        self.seed = seed
        self.validation_seed = validation_seed
        self.guides = tuple(guides or ())
        self._draws_what_is_read = guides is None
        self.instance_maps = None if instance_maps is None else InstanceMaps(instance_maps)
        self._source: PhotoSource | None = None
        self._first_epoch = 0
        self._first_batch = 0

    @property
    def source(self) -> PhotoSource:
        """The photos of training and validation; finds them on first use.

        Raises:
            ValueError: a folder with too few or too many unreadable photos; unfinished, missing or
                altered shards.
        """
        if self._source is None:
            if self.folder is None:
                self._source = starter_photos()
            elif (self.folder / INDEX).is_file():
                self._source = open_shards(self.folder, self.validation_share)
            else:
                self._source = find_photos(self.folder, self.validation_share)
        return self._source

    def draw_for(self, network: object) -> None:
        """Draw the guides that a network reads, unless ``guides`` said which are drawn.

        Raises:
            UserError: those leave out one that it reads; or it reads ``instances``, and there are
                no maps of them.
        """
        if not self._draws_what_is_read:
            check_guides_given(network, self.guides)
            return
        read = guides_of(network)
        _check_maps(read, None if self.instance_maps is None else self.instance_maps.folder)
        self.guides = read

    def state_dict(self) -> dict[str, int]:
        """For a checkpoint: how many epochs are done, and how many batches of the next one."""
        assert self.trainer is not None
        loop = self.trainer.fit_loop
        epochs, batches = (
            progress.state_dict()["current"]
            for progress in (loop.epoch_progress, loop.epoch_loop.batch_progress)
        )
        done, trained = epochs["processed"], batches["processed"]
        if epochs["started"] == done:  # between two epochs
            trained = 0
        elif trained >= self.trainer.num_training_batches:  # only its validation is left
            done, trained = done + 1, 0
        return {"epochs_done": done, "batches_done": trained}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Go on with the epoch after those that are done, after its batches that are done."""
        self._first_epoch = state_dict["epochs_done"]
        # Of a run that was begun before anything was kept within an epoch, there are none.
        self._first_batch = state_dict.get("batches_done", 0)

    def setup(self, stage: str) -> None:
        """Find the photos, before training starts."""
        _ = self.source

    def refuse_shares(self, ranks: int) -> None:
        """Refuse more ranks than can share each step's samples, or the validation's.

        Raises:
            UserError: shares that are not equal, or empty; samples of all of them were found.
        """
        devices = f"{ranks} devices"
        if self.batch_size % ranks:
            raise UserError(
                f"data.batch_size is {self.batch_size}, which {devices} cannot share equally: it "
                f"counts the samples of all, so take a multiple of {ranks}"
            )
        samples = self.samples_per_epoch or self.source.training_count
        for what, count, name in (
            ("training", samples, "data.samples_per_epoch"),
            ("validation", len(self.validation_samples), "data.validation_crops"),
        ):
            if count < ranks:
                raise UserError(
                    f"{devices} cannot share {count} samples for {what}: take fewer by "
                    f"fit.devices, or raise {name}"
                )

    def train_dataloader(self) -> TrainingBatches:
        """Batches of random crops, in an order drawn for each epoch: this rank's share."""
        feed = Feed(
            self.batch_size // ranks(),
            self.samples_per_epoch,
            self.workers,
            self._first_epoch,
            self._first_batch,
            self.distinct_epochs,
            rank(),
            ranks(),
            self._feeds_gpu,
        )
        return self.source.training_batches(self._cutter(self.masks, self.seed), feed)

    @property
    def validation_samples(self) -> ValidationPhotos:
        """The fixed validation samples, one by one."""
        photos = self.source.validation_photos(self.validation_photos)
        few = self.validation_photos is None and len(photos) < _LEAST_SAMPLES
        return ValidationPhotos(
            photos,
            self._cutter(self.validation_masks, self.validation_seed),
            self.validation_crops or (ceil(_LEAST_SAMPLES / len(photos)) if few else 1),
        )

    def val_dataloader(self) -> DataLoader[Batch]:
        """The fixed validation samples, in batches that fit in memory at any size."""
        samples = self.validation_samples
        return DataLoader(
            samples,
            # Each is scored by one rank, in an order that can be put together again.
            sampler=range(rank(), len(samples), ranks()),
            pin_memory=self._feeds_gpu,
            batch_size=min(16, max(1, 2**20 // self.size**2)),
            generator=torch.Generator().manual_seed(self.validation_seed),
        )

    @property
    def _feeds_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _cutter(self, masks: MaskGenerator, seed: int) -> SampleCutter:
        reader = CropReader(self.size, self.smallest_crop, _CACHE_BYTES)
        return SampleCutter(reader, masks, seed, self.guides, self.instance_maps)


def _check_maps(guides: Sequence[str], maps: Path | None) -> None:
    if ("instances" in guides) != (maps is not None):
        raise UserError(
            f"data.guides is [{', '.join(guides)}] and data.instance_maps {maps}, but the guide "
            "instances and a folder of maps go together: give both or neither"
        )


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"data.{name} must be at least {least}, not {value}")
