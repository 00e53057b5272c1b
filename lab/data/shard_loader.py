"""Training batches streamed from WebDataset shards.

Shards are dealt out to loader processes whole, and to ranks by their photos: where a rank's share
ends within a shard, the next one's begins. WebDataset mixes and shuffles them; so the order of
samples depends on how many ranks and processes there are. What is drawn for a sample does not: its
crop and its mask come from the run's seed, the epoch, the sample's key, and how often the epoch has
met it.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
import webdataset
from torch.utils.data import IterableDataset, get_worker_info
from webdataset.utils import make_seed

from lab.checks import UserError
from lab.data.batches import Batch, join_batches
from lab.data.photo_datasets import SampleCutter
from lab.data.photo_source import Feed
from lab.data.shared_memory import SharedMemoryLoader
from lab.formats.shards import DamagedShardError, read_photos
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
        shards: the archives, and how many of each one's photos are ``wanted``.
        mean_bytes: of a photo's file.
        wanted: tells from a photo's SHA-256 whether it is for training; None takes all.
        cutter: with the run's seed and masks.
        samples: an epoch, over all ranks and processes: photos come again if they are fewer.
        rank: whose share of the photos comes.
        ranks: how many share them.
    """

    def __init__(
        self,
        shards: Mapping[Path, int],
        mean_bytes: float,
        wanted: Callable[[str], bool] | None,
        cutter: SampleCutter,
        samples: int,
        rank: int,
        ranks: int,
    ) -> None:
        # Absolute: WebDataset takes a relative path with a colon for an address.
        self._shards = {str(path.resolve()): photos for path, photos in shards.items()}
        self._photos = sum(shards.values())
        self._waiting = int(max(1, min(_WAITING_PHOTOS, _WAITING_BYTES // mean_bytes)))
        self._passes = -(-samples // self._photos)
        self._wanted = wanted
        self._rank = rank
        self._ranks = ranks
        # A photo comes once an epoch: keeping it would only fill the memory.
        reader = CropReader(cutter.reader.size, cutter.reader.smallest_side, cache_bytes=0)
        self._cutter = replace(cutter, reader=reader)
        # Loader processes live through all epochs and are told here which one begins.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

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
        worker, workers = _loader_process()
        for number in range(self._passes):
            seed = make_seed(self._cutter.seed, epoch, number)
            own = self._own_share(number, seed)
            # With more processes than shards, some have nothing to read.
            dealt = dict(itertools.islice(own.items(), worker, None, workers))
            for sample in self._mixed(dealt, seed):
                yield partial(self._cut, sample, epoch, number)

    def _own_share(self, number: int, seed: int) -> dict[str, range]:
        """This rank's shards in a pass, in its order, each with the places of the rank's photos.

        Places count the training photos of a shard. A shard in which the rank's share begins or
        ends is other ranks' too.
        """
        # Passes go on counting where the one before ended, so that what is left over when photos
        # are no multiple of the ranks falls to all ranks in turn.
        first, end = number * self._photos, (number + 1) * self._photos
        counts = [
            len(range(first + (rank - first) % self._ranks, end, self._ranks))
            for rank in range(self._ranks)
        ]
        start = sum(counts[: self._rank])
        stop = start + counts[self._rank]
        own = {}
        before = 0
        for shard in webdataset.SimpleShardList(list(self._shards), seed=seed):
            photos = self._shards[shard["url"]]
            places = range(max(0, start - before), min(photos, stop - before))
            # One without training photos is dealt out all the same, and read.
            if places or (not photos and start <= before <= stop):
                own[shard["url"]] = places
            before += photos
        return own

    def _mixed(self, own: Mapping[str, range], seed: int) -> webdataset.DataPipeline:
        """The training photos in their places of some shards."""
        shards = list(own)
        streams = [
            _read_in_turn(shards[start::_OPEN_SHARDS])
            for start in range(min(_OPEN_SHARDS, len(shards)))
        ]
        return webdataset.DataPipeline(
            webdataset.RoundRobin(streams, longest=True),
            partial(self._chosen, own),
            webdataset.detshuffle(self._waiting, self._waiting, seed),
        )

    def _chosen(
        self, own: Mapping[str, range], photos: Iterable[_ReadPhoto]
    ) -> Iterator[_ReadPhoto]:
        """Those of the photos that are for training, and in whose places the rank's are."""
        passed = Counter[str]()
        for photo in photos:
            if self._wanted is None or self._wanted(sha256(photo.data).hexdigest()):
                if passed[photo.shard] in own[photo.shard]:
                    yield photo
                passed[photo.shard] += 1

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
        worker, workers = _loader_process()
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
        UserError: a rank would have no sample, and the others would wait for it.
    """

    def __init__(self, stream: ShardStream, feed: Feed, samples: int, seed: int) -> None:
        share = samples // feed.ranks
        # Every rank finds the same, so that none goes on alone.
        if not share:
            raise UserError(
                f"{feed.ranks} ranks cannot share {samples} samples an epoch: train on fewer "
                "devices, or raise data.samples_per_epoch"
            )
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
            raise DamagedShardError(
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


def _loader_process() -> tuple[int, int]:
    """Which of a rank's loader processes this is, and how many there are.

    Not as WebDataset finds it, which believes the environment (``RANK``, ``WORKER``) before it asks
    PyTorch: containers and launchers set it for purposes of their own.
    """
    process = get_worker_info()
    return (0, 1) if process is None else (process.id, process.num_workers)


def _read_in_turn(shards: Sequence[str]) -> Iterator[_ReadPhoto]:
    """Yield the photos of shards, one shard after the other."""
    for shard in shards:
        for key, data in read_photos(Path(shard)):
            yield _ReadPhoto(shard, key, data)
