"""What the data module knows of a set of photos, whether it lies in a folder or in shards."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from lab.data.batches import Batch
from lab.data.photo_datasets import KnownPhoto, SampleCutter


@dataclass(frozen=True)
class Feed:
    """How training is fed.

    Attributes:
        batch_size: samples a step, of this rank.
        samples: an epoch; None takes each photo once.
        workers: loader processes; 0 loads in the training process.
        first_epoch: the first one to be visited, counted from 0.
        first_batch: how many batches of that epoch were trained on before.
        distinct_epochs: after so many, their crops and masks come again; None draws on.
        rank: which of the ranks is fed.
        ranks: how many train together.
        pinned: batches lie where a GPU can fetch them while it computes.
    """

    batch_size: int
    samples: int | None
    workers: int
    first_epoch: int
    first_batch: int = 0
    distinct_epochs: int | None = None
    rank: int = 0
    ranks: int = 1
    pinned: bool = False

    def drawn_as(self, epoch: int) -> int:
        """The epoch whose crops and masks an epoch has."""
        return epoch if self.distinct_epochs is None else epoch % self.distinct_epochs

    def trained_on(self, epoch: int) -> int:
        """How many batches of an epoch were trained on before, and are not given again."""
        return self.first_batch if epoch == self.first_epoch else 0


class TrainingBatches(Protocol):
    """The whole batches of an epoch; ``sampler.set_epoch`` says of which, as Lightning does."""

    def __iter__(self) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


class PhotoSource(Protocol):
    """Photos that were found and split; what is said of them is the same at every start."""

    @property
    def training_count(self) -> int:
        """Photos for training."""
        ...

    @property
    def validation_count(self) -> int:
        """Photos for validation."""
        ...

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that tell sets of different content or split apart."""
        ...

    def summary(self) -> str:
        """Say in one line what was found and how it was split, then what was left out."""
        ...

    def training_batches(self, cutter: SampleCutter, feed: Feed) -> TrainingBatches:
        """Return random crops under drawn masks, in an order drawn for each epoch.

        What is drawn for a sample depends on the run's seed, the epoch and the sample alone.
        """
        ...

    def validation_photos(self, most: int | None) -> Sequence[KnownPhoto]:
        """Return at most so many validation photos, always the same ones first."""
        ...
