"""A loader whose processes hand over samples in memory that is used again and again.

A ``DataLoader`` makes new shared memory for whatever its processes send. The system clears it, maps
it into two processes and takes it away page by page, which takes longer than decoding the photos.
"""

import math
import mmap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate, get_worker_info

from lab.contracts import Guides
from lab.data.batches import Batch
from lab.data.photo_source import Feed

# What a process has sent ahead, two as PyTorch has it, and what is being copied.
_SLOTS = 3


class SharedMemoryLoader(DataLoader[Batch]):
    """A ``DataLoader`` of samples without a batch axis, of which it makes batches.

    What the dataset gives as None comes as None.

    Args:
        dataset: of the samples.
        feed: how training is fed.
        size: side of the samples, in pixels.
        batch_size: samples that are sent together, at most.
        seed: of the loader processes' own generators.
        sampler: what is asked of the dataset, and in which order.
        drop_last: leave out a last batch that is smaller.
        together: the dataset gives lists of samples that are sent together, and not single ones.
    """

    def __init__(
        self,
        dataset: Dataset,
        feed: Feed,
        size: int,
        batch_size: int,
        seed: int,
        sampler: Iterable | None = None,
        drop_last: bool = False,
        together: bool = False,
    ) -> None:
        self._slots = _Slots(feed.workers, batch_size, size)
        self._pinned = feed.pinned
        super().__init__(
            dataset,
            batch_size=None if together else batch_size,
            sampler=sampler,
            num_workers=feed.workers,
            collate_fn=self._slots.collate,
            persistent_workers=feed.workers > 0,
            # Leaves the network's generator alone.
            generator=torch.Generator().manual_seed(seed),
            drop_last=drop_last,
        )

    def __iter__(self) -> Iterator:  # type: ignore[override]
        if self._iterator is None:
            self._slots.begin()
        return (self._slots.receive(sent, self._pinned) for sent in super().__iter__())


@dataclass(frozen=True)
class _InSlot:
    """What travels from a loader process in place of a batch, whose pixels and holes are shared.

    Attributes:
        worker: the process.
        number: how many it sent before.
        sample: as in ``Batch``, and so are ``photo`` and ``planes``.
        beside: pixels and holes where no slot was free.
    """

    worker: int
    number: int
    sample: Sequence[str]
    photo: Sequence[str]
    planes: Guides
    beside: tuple[Tensor, Tensor] | None


class _Slots:
    """Some slots for each loader process, which are made before the processes.

    Args:
        workers: loader processes.
        samples: that fit into a slot.
        size: of a sample, in pixels.
    """

    def __init__(self, workers: int, samples: int, size: int) -> None:
        self._pixels = _shared(workers, _SLOTS, samples, 3, size, size)
        self._holes = _shared(workers, _SLOTS, samples, 1, size, size)
        # By process: the last number that was received, counted from 1.
        self._received = _shared(workers, 8).view(torch.int64)
        self._sent = 0

    def begin(self) -> None:
        """Know that processes are started that have sent nothing yet."""
        self._received.zero_()

    def collate(self, samples: list[Batch] | None) -> Batch | _InSlot | None:
        """Put a batch axis before single samples: in a loader process, in its next slot."""
        process = get_worker_info()
        if samples is None:
            return None
        if process is None:
            return default_collate(samples)
        self._sent += 1
        pixels, holes = [each.pixels for each in samples], [each.holes for each in samples]
        beside = None
        # When other processes are at their end, PyTorch asks for more in advance.
        if self._sent - _SLOTS <= int(self._received[process.id]):
            slot = process.id, self._sent % _SLOTS, slice(len(samples))
            torch.stack(pixels, out=self._pixels[slot])
            torch.stack(holes, out=self._holes[slot])
        else:
            beside = default_collate(pixels), default_collate(holes)
        return _InSlot(
            process.id,
            self._sent,
            [str(each.sample) for each in samples],
            [str(each.photo) for each in samples],
            {
                name: default_collate([each.planes[name] for each in samples])
                for name in samples[0].planes
            },
            beside,
        )

    def receive(self, sent: Batch | _InSlot | None, pinned: bool) -> Batch | None:
        """Copy a batch out of its slot, which is free then, and so are those that were sent before.

        Args:
            sent: by ``collate``.
            pinned: copy to where a GPU can fetch it while it computes.
        """
        if sent is None:
            return None
        if isinstance(sent, Batch):
            return sent.pin_memory() if pinned else sent
        slot = sent.worker, sent.number % _SLOTS, slice(len(sent.sample))
        batch = Batch(
            *(sent.beside or (self._pixels[slot], self._holes[slot])),
            sent.sample,
            sent.photo,
            sent.planes,
        )
        if pinned:
            batch = batch.pin_memory()
        elif sent.beside is None:
            batch = batch.copied()
        self._received[sent.worker] = sent.number
        return batch


def _shared(*shape: int) -> Tensor:
    """Make bytes that this process and those that it will start see alike.

    Not in the files of ``/dev/shm``, of which a container has 64 MB.
    """
    return torch.frombuffer(mmap.mmap(-1, max(1, math.prod(shape))), dtype=torch.uint8)[
        : math.prod(shape)
    ].view(shape)
