"""Photos in WebDataset shards, known by their index: checked and split without decoding any."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from tarfile import BLOCKSIZE

from lab.data.content_split import check_share, content_fraction, validation_bound
from lab.data.photo_datasets import SampleCutter
from lab.data.photo_sets import unique_names
from lab.data.photo_source import Feed
from lab.data.shard_loader import ShardBatches, ShardStream
from lab.files import file_sha256, file_state, replacing
from lab.formats.plain import read_json
from lab.formats.shards import (
    OTHER_SPLIT,
    TEST_SPLIT,
    TRAINING_SPLIT,
    VALIDATION_SPLIT,
    IndexedShard,
    SampleRecord,
    padded,
    read_index,
    read_samples,
)
from lab.imaging.budgets import LARGEST_FILE
from lab.processors import usable_processors
from lab.untrusted import printable

_PROOF = ".verified.json"
_LISTED = 10
_PACK_AGAIN = "pack the photos again with data_prep.places2, into a new folder"


@dataclass(frozen=True, slots=True)
class ShardMember:
    """A photo's place in a shard, in bytes, and the SHA-256 that it must have."""

    shard: Path
    key: str
    start: int
    size: int
    sha256: str

    def read_bytes(self) -> bytes:
        """The photo's file.

        Raises:
            OSError: the shard cannot be read, or holds something else in that place.
        """
        if not 0 < self.size <= LARGEST_FILE:
            raise OSError(f"its listing says {self.size} bytes: {_PACK_AGAIN}")
        with self.shard.open("rb") as file:
            file.seek(self.start)
            data = file.read(self.size)
        if sha256(data).hexdigest() != self.sha256:
            raise OSError(f"it is not what the shard's listing says: {_PACK_AGAIN}")
        return data

    def __str__(self) -> str:
        return f"{self.shard}: {self.key}"


@dataclass(frozen=True, slots=True)
class ShardPhoto:
    """A photo in a shard; ``name`` is unique among the validation photos and fit for files."""

    name: str
    path: ShardMember

    @property
    def file(self) -> ShardMember:
        """Its bytes, as they were when it was packed."""
        return self.path

    @property
    def sha256(self) -> str:
        """Of the photo's file, in hexadecimal."""
        return self.path.sha256

    @property
    def place(self) -> str:
        """Where its file lay below the folder of its split, without suffix."""
        return self.path.key


@dataclass(frozen=True)
class ShardSet:
    """The photos of a folder of shards, split: a ``PhotoSource``.

    Attributes:
        folder: of the shards.
        training: the shards that are trained on.
        training_count: the photos in them that are for training.
        judged: the validation photos, in the order of their hashes, which is as good as drawn:
            archives are sorted by category, and any first part should show many.
        bound: what validates among the training shards, as in ``lab.data.content_split``; 0 where
            validation has shards of its own.
        rule: how they were told apart, for people.
        digest: of the shards' hashes and the bound.
        left_out: photos that could not be read when the shards were packed.
    """

    folder: Path
    training: tuple[IndexedShard, ...]
    training_count: int
    judged: tuple[ShardMember, ...]
    bound: float
    rule: str
    digest: str
    left_out: int

    @property
    def validation_count(self) -> int:
        """Photos for validation."""
        return len(self.judged)

    @cached_property
    def leaks(self) -> tuple[tuple[ShardMember, ShardMember], ...]:
        """Pairs (training photo, validation photo) of identical files.

        Found when first asked for: the listings of 1.8 million photos take seconds. Only splits
        can leak, and their photos stay where the user put them, but validation then flatters.

        Raises:
            ValueError: a listing is missing, damaged, or not as long as the index says.
        """
        if self.bound:
            return ()
        judged = {member.sha256 for member in self.judged}
        first_seen: dict[str, ShardMember] = {}
        for shard in self.training:
            for sample, start in placed_samples(self.folder, shard):
                if sample.sha256 in judged and sample.sha256 not in first_seen:
                    first_seen[sample.sha256] = _member(self.folder / shard.name, sample, start)
        return tuple(
            (first_seen[member.sha256], member)
            for member in self.judged
            if member.sha256 in first_seen
        )

    def summary(self) -> str:
        """Return one line with the counts and how they were split, then what leaks."""
        lines = [
            f"{self.training_count} photos for training in {len(self.training)} shards, "
            f"{self.validation_count} for validation ({self.rule}); "
            f"{self.left_out} unreadable when they were packed"
        ]
        lines += [
            f"leak: {printable(seen)} and {printable(judged)} are the same file, and "
            "validation flatters"
            for seen, judged in self.leaks[:_LISTED]
        ]
        if len(self.leaks) > _LISTED:
            lines.append(f"leak: and {len(self.leaks) - _LISTED} more")
        return "\n".join(lines)

    def validation_photos(self, most: int | None) -> tuple[ShardPhoto, ...]:
        """The first validation photos; None takes all."""
        chosen = self.judged[:most]
        # With the shard: two splits, or a .jpg and a .png, may have a key in common.
        names = unique_names(Path(member.shard.stem, member.key) for member in chosen)
        return tuple(map(ShardPhoto, names, chosen))

    def training_batches(self, cutter: SampleCutter, feed: Feed) -> ShardBatches:
        """Stream the training shards."""
        samples = feed.samples or self.training_count
        # Where validation has shards of its own, they take none from these.
        judged = Counter(member.shard for member in self.judged)
        photos = {self.folder / shard.name: shard.photos for shard in self.training}
        stream = ShardStream(
            {path: count - judged[path] for path, count in photos.items()},
            sum(shard.bytes for shard in self.training) / _photos(self.training),
            self._trains if self.bound else None,
            cutter,
            samples,
            feed.rank,
            feed.ranks,
        )
        return ShardBatches(stream, feed, samples, cutter.seed)

    def _trains(self, sha256: str) -> bool:
        return content_fraction(sha256) >= self.bound


def open_shards(folder: Path, validation_share: float) -> ShardSet:
    """Open the shards that ``data_prep.places2`` wrote, and prove that they are what it wrote.

    A shard's hash is computed once and remembered in the folder, until the file changes; later
    calls look at sizes and times. The validation split is for validation, if there is one beside
    one for training, and photos of neither are left alone. Else content splits the photos, as it
    does in a folder. The test split is kept out of both, unless there is nothing else.

    Args:
        folder: with an index.
        validation_share: of shards without a validation split, in (0, 1).

    Raises:
        ValueError: the shards are not finished; one is missing, truncated or altered; a side would
            have no photos.
    """
    check_share(validation_share)
    index = read_index(folder)
    every = [shard for shards in index.splits.values() for shard in shards]
    _prove(folder, every)
    splits = dict(index.splits)
    test = splits.pop(TEST_SPLIT, ()) if len(splits) > 1 else ()
    validation = splits.get(VALIDATION_SPLIT, ())
    elsewhere = splits.get(OTHER_SPLIT, ())
    training = splits.get(TRAINING_SPLIT, ())
    if not training:
        training, elsewhere = elsewhere, ()
    if training and validation:
        judged = [
            _member(folder / shard.name, sample, start)
            for shard in validation
            for sample, start in placed_samples(folder, shard)
        ]
        training_count, bound = _photos(training), 0.0
        rule = "by their splits"
        if elsewhere:
            rule += f"; {_photos(elsewhere)} elsewhere are not used"
    else:
        training = tuple(shard for shards in splits.values() for shard in shards)
        judged, bound = _judged(folder, training, validation_share)
        training_count = _photos(training) - len(judged)
        rule = f"by content, about {100 * validation_share:g} % for validation"
    if test:
        rule += f"; {_photos(test)} for tests are not used"
    if not training_count or not judged:
        raise ValueError(
            f"{training_count} photos for training and {len(judged)} for validation in {folder} "
            f"({rule}), but each needs one at least: pack more photos that differ"
        )
    known = " ".join([*(shard.sha256 for shard in every), repr(bound)])
    return ShardSet(
        folder,
        training,
        training_count,
        tuple(sorted(judged, key=lambda member: (member.sha256, member.key))),
        bound,
        rule,
        sha256(known.encode()).hexdigest()[:12],
        index.left_out,
    )


def _photos(shards: Sequence[IndexedShard]) -> int:
    """Return how many photos are in shards."""
    return sum(shard.photos for shard in shards)


def _judged(
    folder: Path, shards: Sequence[IndexedShard], share: float
) -> tuple[list[ShardMember], float]:
    """Return the photos that validate by their content, and the bound of their fractions."""
    judged, lowest, highest = _below(folder, shards, share)
    bound = validation_bound((lowest, highest), share)
    # Moved only in small sets; in large ones going through the listings takes seconds.
    if bound != share:
        judged, _, _ = _below(folder, shards, bound)
    return judged, bound


def _below(
    folder: Path, shards: Sequence[IndexedShard], bound: float
) -> tuple[list[ShardMember], float, float]:
    """Return the photos whose fraction is below a bound, and the range of all fractions."""
    found, lowest, highest = [], math.inf, 0.0
    for shard in shards:
        path = folder / shard.name
        for sample, start in placed_samples(folder, shard):
            fraction = content_fraction(sample.sha256)
            lowest, highest = min(lowest, fraction), max(highest, fraction)
            if fraction < bound:
                found.append(_member(path, sample, start))
    return found, lowest, highest


def placed_samples(folder: Path, shard: IndexedShard) -> Iterator[tuple[SampleRecord, int]]:
    """Yield the samples of a shard, and where in it their photos begin, in bytes.

    Raises:
        ValueError: its listing is missing, damaged, or not as long as the index says.
    """
    samples = read_samples(folder / shard.listing)
    if len(samples) != shard.photos:
        raise ValueError(
            f"{folder / shard.listing} lists {len(samples)} photos, but the index says "
            f"{shard.photos}: {_PACK_AGAIN}"
        )
    start = BLOCKSIZE
    for sample in samples:
        if not (type(sample.key) is type(sample.sha256) is str and type(sample.bytes) is int):
            raise ValueError(f"{folder / shard.listing} is damaged: {_PACK_AGAIN}")
        yield sample, start
        start += padded(sample.bytes) + BLOCKSIZE


def _member(shard: Path, sample: SampleRecord, start: int) -> ShardMember:
    return ShardMember(shard, sample.key, start, sample.bytes, sample.sha256)


def _prove(folder: Path, shards: Sequence[IndexedShard]) -> None:
    """Raise unless every shard is there with the size and the hash that the index gives."""
    states = {}
    for shard in shards:
        path = folder / shard.name
        try:
            states[shard.name] = file_state(path)
        except FileNotFoundError:
            raise ValueError(f"the shard {path} is missing: {_PACK_AGAIN}") from None
        size = states[shard.name][0]
        if size != shard.bytes:
            what = "truncated" if size < shard.bytes else "altered"
            raise ValueError(
                f"the shard {path} is {what}: it has {size} bytes, but the index says "
                f"{shard.bytes}: {_PACK_AGAIN}"
            )
    proven = _read_proof(folder)
    now = {shard.name: [shard.sha256, *states[shard.name]] for shard in shards}
    doubtful = [shard for shard in shards if proven.get(shard.name) != now[shard.name]]
    if not doubtful:
        return
    # Hashing runs outside Python's lock.
    with ThreadPoolExecutor(max_workers=min(8, usable_processors())) as pool:
        hashes = pool.map(lambda shard: _sha256(folder / shard.name, states[shard.name]), doubtful)
        for shard, found in zip(doubtful, hashes, strict=True):
            if found != shard.sha256:
                raise ValueError(
                    f"the shard {folder / shard.name} is altered: its SHA-256 is {found[:12]}…, "
                    f"but the index says {shard.sha256[:12]}…: {_PACK_AGAIN}"
                )
    # A folder that cannot be written to is proven again by every process.
    with suppress(OSError), replacing(folder / _PROOF) as temporary:
        temporary.write_text(json.dumps(now) + "\n")


@cache
def _sha256(path: Path, state: tuple[int, int, int]) -> str:
    """Return a file's hash; a file that has changed has another state."""
    return file_sha256(path)


def _read_proof(folder: Path) -> dict[str, list]:
    """Return what was proven before; nothing where it cannot be read."""
    try:
        return dict(read_json(folder / _PROOF))
    except (OSError, ValueError, TypeError):
        return {}
