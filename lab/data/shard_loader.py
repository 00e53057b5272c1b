"""Training batches streamed from WebDataset shards.

WebDataset deals out the shards to ranks and loader processes, mixes and shuffles their photos; so
the order of samples depends on how many there are. What is drawn for a sample does not: its crop
and its mask come from the run's seed, the epoch, the sample's key, and how often the epoch has met
it.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
import webdataset
from torch.utils.data import IterableDataset
from webdataset.utils import make_seed, pytorch_worker_info

from lab.checks import UserError
from lab.data.batches import Batch, join_batches
from lab.data.photo_datasets import SampleCutter
from lab.data.photo_source import Feed
from lab.data.shared_memory import SharedMemoryLoader
from lab.formats.shards import read_photos
from lab.imaging import CropReader, PhotoBytes

# Photos wait in memory as files, so that neighbours in a shard do not end up in one batch.
_WAITING_PHOTOS = 1000
_WAITING_BYTES = 64 * 2**20
# A loader process sends some tens of samples at a time: handing over one takes as long as decoding
# a photo of 256x256, however large it is.
_SENT_SAMPLES = 32
_SENT_BYTES = 16 * 2**20
# Archives are sorted by category: a stream of one shard would show one category for minutes.
_OPEN_SHARDS = 16


class _ReadPhoto(NamedTuple):
    """A photo's file that was read from its shard."""

    shard: str
    key: str
    data: bytes


class ShardStream:
    """What makes random crops of the photos in shards, under masks drawn for each.

    A photo is read when its turn comes, and is decoded and cut when what comes for it is called.

    Args:
        shards: the archives.
        photos: in all of them together, of those that are ``wanted``.
        mean_bytes: of a photo's file.
        wanted: tells from a photo's SHA-256 whether it is for training; None takes all.
        cutter: with the run's seed and masks.
        samples: an epoch, over all ranks and processes: photos come again if they are fewer.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        photos: int,
        mean_bytes: float,
        wanted: Callable[[str], bool] | None,
        cutter: SampleCutter,
        samples: int,
    ) -> None:
        # Absolute: WebDataset takes a relative path with a colon for an address.
        self._shards = [str(path.resolve()) for path in shards]
        self._waiting = int(max(1, min(_WAITING_PHOTOS, _WAITING_BYTES // mean_bytes)))
        self._passes = -(-samples // photos)
        self._wanted = wanted
        # A photo comes once an epoch: keeping it would only fill the memory.
        reader = CropReader(cutter.reader.size, cutter.reader.smallest_side, cache_bytes=0)
        self._cutter = replace(cutter, reader=reader)
        # Loader processes live through all epochs and are told here which one begins.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def shards(self) -> int:
        """How many archives there are."""
        return len(self._shards)

    @property
    def size(self) -> int:
        """Side of the crops, in pixels."""
        return self._cutter.reader.size

    @property
    def sample_bytes(self) -> int:
        """What a photo and its mask take on their way, in 8 bits; guides come on top."""
        return 4 * self.size**2

    def begin(self, epoch: int) -> None:
        """Say which epoch the next iteration is for, counted from 0."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Callable[[], Batch]]:
        epoch = int(self._epoch)
        _, ranks, _, _ = pytorch_worker_info()
        # Shards are of unequal size, but every rank needs equally many batches.
        passes = range(self._passes) if ranks == 1 else itertools.count()
        for number in passes:
            seed = make_seed(self._cutter.seed, epoch, number)
            dealt = webdataset.DataPipeline(
                webdataset.SimpleShardList(self._shards, seed=seed),
                webdataset.split_by_node,
                webdataset.split_by_worker,
            )
            shards = [shard["url"] for shard in dealt]
            if not shards:
                return  # there are more processes than shards
            for sample in self._mixed(shards, seed):
                yield partial(self._cut, sample, epoch, number)

    def _mixed(self, shards: Sequence[str], seed: int) -> webdataset.DataPipeline:
        """The training photos of some shards."""
        streams = [
            _read_in_turn(shards[start::_OPEN_SHARDS])
            for start in range(min(_OPEN_SHARDS, len(shards)))
        ]
        return webdataset.DataPipeline(
            webdataset.RoundRobin(streams, longest=True),
            webdataset.select(self._is_wanted),
            webdataset.detshuffle(self._waiting, self._waiting, seed),
        )

    def _is_wanted(self, sample: _ReadPhoto) -> bool:
        return self._wanted is None or self._wanted(sha256(sample.data).hexdigest())

    def _cut(self, sample: _ReadPhoto, epoch: int, number: int) -> Batch:
        key = sample.key
        photo = PhotoBytes(f"{sample.shard}: {key}", sample.data)
        drawn_for = int.from_bytes(sha256(key.encode()).digest()[:8])
        return self._cutter.cut(photo, key, (epoch, drawn_for, number), place=key)


class SentSamples(IterableDataset[list[Batch] | None]):
    """The samples of a stream as loader processes send them: as many at a time as are worth it.

    Samples that were all trained on before the run was interrupted are sent as None: to know which
    ones come next, their photos are read and mixed, but they are neither decoded nor cut.

    Args:
        stream: of samples.
        size: how many are sent together; a process's last ones may be fewer.
    """

    def __init__(self, stream: ShardStream, size: int) -> None:
        self._stream = stream
        self._size = size
        # Beside the epoch, loader processes are told here how much of it was trained on.
        self._trained_on = torch.zeros((), dtype=torch.int64).share_memory_()

    def begin(self, epoch: int, trained_on: int) -> None:
        """Say which epoch the next iteration is for, and how many of its samples are not wanted."""
        self._stream.begin(epoch)
        self._trained_on.fill_(trained_on)

    def __iter__(self) -> Iterator[list[Batch] | None]:
        trained_on = int(self._trained_on)
        _, _, worker, workers = pytorch_worker_info()
        samples = iter(self._stream)
        # Processes take turns: this is the last place at which what is sent may come, and where
        # others have ended, it comes earlier.
        for place in itertools.count(worker, workers):
            cuts = list(itertools.islice(samples, self._size))
            if not cuts:
                return
            # What is left over at a process's end waits for more to make a batch with.
            is_whole = len(cuts) == self._size
            if is_whole and (place + 1) * self._size <= trained_on:
                yield None
            else:
                yield [cut() for cut in cuts]


class ShardBatches:
    """The whole batches of an epoch from shards.

    Args:
        stream: of samples.
        feed: how training is fed.
        samples: an epoch, over all ranks.
        seed: of the loader processes' own generators.

    Raises:
        UserError: a rank would have no shard or no sample, and the others would wait for it.
    """

    def __init__(self, stream: ShardStream, feed: Feed, samples: int, seed: int) -> None:
        _, ranks, _, _ = pytorch_worker_info()
        # Every rank finds the same, so that none goes on alone.
        if ranks > min(stream.shards, samples):
            raise UserError(
                f"{ranks} ranks cannot share {stream.shards} shards and {samples} samples an "
                "epoch: train on fewer devices, or pack the photos with a smaller --shard-size"
            )
        share = samples // ranks
        self._batch_size = min(feed.batch_size, share)
        self._count = share // self._batch_size
        self._together = self._sent_batches(feed.workers, stream.sample_bytes)
        self._samples = SentSamples(stream, self._batch_size * self._together)
        self._epoch = feed.first_epoch
        self._feed = feed
        self._loader = SharedMemoryLoader(
            self._samples,
            feed,
            stream.size,
            self._batch_size * self._together,
            seed,
            together=True,
        )

    def _sent_batches(self, workers: int, sample_bytes: int) -> int:
        """How many batches come together from a loader process."""
        if workers == 0:
            return 1
        samples = min(_SENT_SAMPLES, _SENT_BYTES // sample_bytes)
        # Every process sends several times an epoch, or some would idle.
        return max(1, min(samples // self._batch_size, self._count // (4 * workers)))

    @property
    def sampler(self) -> "ShardBatches":
        """Where Lightning looks for ``set_epoch``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next iteration is for."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Batch]:
        count = self._feed.trained_on(self._epoch)
        self._samples.begin(self._feed.drawn_as(self._epoch), count * self._batch_size)
        batches = _whole(self._loader, self._batch_size, self._together)
        for batch in itertools.islice(batches, count, self._count):
            assert batch is not None, "it was not trained on"
            count += 1
            yield batch
        if count < self._count:
            raise ValueError(
                f"the shards gave {count} batches of the {self._count} that they are listed with: "
                "were they changed?"
            )


def _whole(sent: Iterable[Batch | None], size: int, together: int) -> Iterator[Batch | None]:
    """Cut what loader processes send to batches of ``size``; join what is left at their ends.

    None stands for as many batches as are sent ``together``.
    """
    rest: list[Batch] = []
    for part in sent:
        if part is None:
            yield from itertools.repeat(None, together)
            continue
        whole = len(part.sample) // size * size
        for start in range(0, whole, size):
            yield part.select(slice(start, start + size))
        if whole == len(part.sample):
            continue
        rest.append(part.select(slice(whole, None)))
        if sum(len(each.sample) for each in rest) >= size:
            joined = join_batches(rest)
            yield joined.select(slice(size))
            rest = [joined.select(slice(size, None))]


def _read_in_turn(shards: Sequence[str]) -> Iterator[_ReadPhoto]:
    """Yield the photos of shards, one shard after the other."""
    for shard in shards:
        for key, data in read_photos(Path(shard)):
            yield _ReadPhoto(shard, key, data)
