"""Write WebDataset shards so that a kill at any moment loses only the shard being written.

A shard is a tar archive of at most ``shard_size`` samples, one photo each, named by its key. Beside
``train-000003.tar`` lies its listing ``train-000003.json``: the hash of the shard, every sample's
key, path in the source, hash and size, what was left out on the way, and where to take the work up.
The listing is written first and the shard is moved to its name last, so a shard that has its name
is finished. The bytes of a shard depend on the source and the settings alone.
"""

import hashlib
import json
import os
import re
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from reprlib import repr as shortened

from data_prep.commands import DataError
from data_prep.photo_proof import ProvenPhoto
from data_prep.photo_sources import Bookmark, LeftOut
from data_prep.places_layout import first_folder, longer_key, marked_key
from data_prep.records import count_of, reasons_of, value_of
from lab.files import begin_new, replacing, sync_files
from lab.formats.plain import read_json
from lab.formats.shards import (
    LARGEST_LISTING,
    OTHER_SPLIT,
    SampleRecord,
    listing_name,
    padded,
    read_samples,
)

_LISTING = re.compile(r"(?P<split>[a-z]+)-(?P<number>\d{6})\.json")
_BUFFER = 2**20
_BEGIN_ANEW = "remove the folder, or name another"
_SHOWN_NAME = 200

MOST_LEFT_OUT = 100_000
"""Entries of a source that give no photo; each is kept in memory and listed. The official archives
have none."""


@dataclass(frozen=True)
class Sample:
    """A photo on its way into a shard; ``name`` is its path in the source."""

    place: Bookmark
    name: str
    split: str
    key: str
    photo: ProvenPhoto


@dataclass(frozen=True)
class ShardListing:
    """What is known of one finished shard, but for its samples, which would fill the memory.

    Attributes:
        shard: its file name.
        split: ``train``, ``val``, ``test`` or ``photos``.
        photos: how many samples it has.
        bytes: of the file.
        sha256: of the file.
        seen: the last entry of the source that had been dealt with when it was finished.
        resume: where to take up the source after it.
        left_out: names and reasons, since the listing before it.
    """

    shard: str
    split: str
    photos: int
    bytes: int
    sha256: str
    seen: Bookmark
    resume: Bookmark
    left_out: tuple[tuple[str, str], ...]

    def write(self, folder: Path, samples: Sequence[SampleRecord]) -> None:
        """Write it, with its samples, beside its shard."""
        content = asdict(self) | {"samples": [list(sample) for sample in samples]}
        with replacing(folder / listing_name(self.shard)) as temporary:
            temporary.write_text(json.dumps(content, separators=(",", ":")) + "\n")

    @classmethod
    def read(cls, path: Path) -> "ShardListing":
        """Read what ``write`` wrote.

        Raises:
            DataError: the file is damaged.
        """
        try:
            content = read_json(path, LARGEST_LISTING)
            listing = cls(
                shard=value_of(content, "shard", str),
                split=value_of(content, "split", str),
                photos=count_of(content, "photos", 1),
                bytes=count_of(content, "bytes", 1),
                sha256=value_of(content, "sha256", str),
                seen=_bookmark_of(content, "seen"),
                resume=_bookmark_of(content, "resume"),
                left_out=reasons_of(content, "left_out"),
            )
            if listing_name(listing.shard) != path.name or not path.name.startswith(
                f"{listing.split}-"
            ):
                raise ValueError(f"it is of {listing.shard} and the split {listing.split}")
            return listing
        except ValueError as error:
            raise DataError(
                f"{path} is no listing of this shard ({error}): {_BEGIN_ANEW}"
            ) from error


def _bookmark_of(content: object, name: str) -> Bookmark:
    """Return a place in the source that a listing names."""
    place = value_of(content, name, dict)
    return Bookmark(count_of(place, "position", 0), count_of(place, "offset", 0))


def finished_shards(folder: Path) -> list[ShardListing]:
    """Read the listings of the shards that are finished, and clear away what a kill left behind.

    Raises:
        DataError: a shard in the middle is missing, or one has another size than is listed.
    """
    for partial in folder.glob(".*.partial"):
        partial.unlink()
    listings, counts = [], defaultdict[str, int](int)
    for path in sorted(folder.glob("*.json")):
        match = _LISTING.fullmatch(path.name)
        if match is None:
            continue
        shard = path.with_suffix(".tar")
        if not shard.exists():
            # Killed between writing the listing and naming the shard.
            path.unlink()
            continue
        listing = ShardListing.read(path)
        if shard.stat().st_size != listing.bytes or int(match["number"]) != counts[match["split"]]:
            raise DataError(
                f"{shard} or one before it was changed or removed after it was finished: "
                f"{_BEGIN_ANEW}"
            )
        counts[match["split"]] += 1
        listings.append(listing)
    return listings


class _OpenShard:
    """The shard of one split that is being written."""

    def __init__(self, folder: Path, split: str, number: int) -> None:
        self.name = f"{split}-{number:06d}.tar"
        self.split = split
        self.records: list[SampleRecord] = []
        self.keys: set[str] = set()
        self.first: Bookmark | None = None
        self.bytes = 0
        self._path = folder / self.name
        self._partial, self._held = begin_new(self._path, is_folder=False)
        self._file = self._partial.open("r+b", buffering=_BUFFER)
        self._sha256 = hashlib.sha256()

    def add(self, sample: Sample, key: str) -> None:
        """Append one photo."""
        photo = sample.photo
        header = tarfile.TarInfo(key + photo.suffix)
        header.size = len(photo.data)
        self._write(header.tobuf(tarfile.PAX_FORMAT))
        self._write(photo.data)
        self._write(bytes(padded(header.size) - header.size))
        self.first = self.first or sample.place
        self.keys.add(key)
        self.records.append(
            SampleRecord(key, sample.name, photo.sha256, header.size, photo.height, photo.width)
        )

    def end(self) -> str:
        """Write the end mark and return the hash; the file is on disk, but has no name yet."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._sha256.hexdigest()

    def name_file(self) -> None:
        """Give the file its name, which outlasts a power cut from then on."""
        os.replace(self._partial, self._path)
        sync_files([self._path])
        os.close(self._held)

    def abandon(self) -> None:
        """Remove what was written, also from a full disk, where closing writes once more."""
        self._partial.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()
        os.close(self._held)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._sha256.update(data)
        self.bytes += len(data)


@dataclass
class ShardWriter:
    """Deals samples out into the shards of their splits; takes up where finished shards end.

    Args:
        folder: of the shards.
        shard_size: the most samples in one.
        listings: of the shards that are finished; grows.
    """

    folder: Path
    shard_size: int
    listings: list[ShardListing]
    _open: dict[str, _OpenShard] = field(default_factory=dict)
    _left_out: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Find out what is done."""
        latest = max(self.listings, key=lambda listing: listing.seen, default=None)
        self.resume = latest.resume if latest else Bookmark()
        self._seen = latest.seen if latest else Bookmark()
        self._recorded = self._seen.position if latest else -1
        self._left_out_count = sum(len(listing.left_out) for listing in self.listings)
        self._done: dict[str, int] = {}
        self._counts: dict[str, int] = defaultdict(int)
        self._root: str | None = None
        for listing in self.listings:
            seen = listing.seen.position
            # Of this split everything up to there is in its shards or was left out.
            self._done[listing.split] = max(self._done.get(listing.split, -1), seen)
            self._counts[listing.split] += 1

    @property
    def left_out(self) -> list[tuple[str, str]]:
        """Names and reasons of all that was left out so far."""
        earlier = [entry for listing in self.listings for entry in listing.left_out]
        return earlier + self._left_out

    def add(self, entry: Sample | LeftOut) -> None:
        """Take the next entry of the source; what is in finished shards is passed over."""
        self._seen = max(self._seen, entry.place)
        if isinstance(entry, LeftOut):
            self._leave_out(entry)
            return
        if entry.place.position <= self._done.get(entry.split, -1):
            return
        shard = self._open.get(entry.split)
        if shard is None:
            number = self._counts[entry.split]
            shard = self._open[entry.split] = _OpenShard(self.folder, entry.split, number)
        shard.add(entry, self._key(entry, shard.keys))
        if len(shard.records) == self.shard_size:
            self._finish(shard)

    def finish(self) -> None:
        """Finish the shards that are still open."""
        for shard in list(self._open.values()):
            self._finish(shard)

    def abandon(self) -> None:
        """Remove the shards that are still open."""
        for shard in self._open.values():
            shard.abandon()

    def _key(self, sample: Sample, taken: set[str]) -> str:
        """Return the key of a sample: no other's in its shard, or WebDataset would join the two.

        It depends on the first photo of all and on those before it in its shard, which are the
        same in a call that takes the work up.
        """
        key = sample.key
        if sample.split == OTHER_SPLIT and first_folder(sample.name) != self._first_root(sample):
            # An archive without one folder that holds all: what its key leaves out tells photos
            # apart, such as airfield/00000001.jpg and alley/00000001.jpg.
            key = longer_key(sample.name)
        if key in taken:
            key = longer_key(sample.name)
        while key in taken:
            key = marked_key(key, sample.place.position)
        return key

    def _first_root(self, sample: Sample) -> str:
        """Return the first folder of the first photo that belongs to no split.

        Args:
            sample: a photo of them, the first where no shard of them is finished.
        """
        if self._root is None:
            finished = (listing for listing in self.listings if listing.split == OTHER_SPLIT)
            first = next(finished, None)
            name = sample.name if first is None else self._first_name(first)
            self._root = first_folder(name)
        return self._root

    def _first_name(self, listing: ShardListing) -> str:
        """Return the path in the source of a finished shard's first photo."""
        path = self.folder / listing_name(listing.shard)
        try:
            name = read_samples(path)[0].name
            if not isinstance(name, str):
                raise ValueError(f"its first photo's name is {shortened(name)}")
        except (IndexError, ValueError) as error:
            raise DataError(
                f"{path} is no listing of this shard ({error}): {_BEGIN_ANEW}"
            ) from error
        return name

    def _leave_out(self, entry: LeftOut) -> None:
        # Some entries are streamed a second time after a kill: their listing has them already.
        if entry.place.position > self._recorded:
            self._left_out.append((entry.name[:_SHOWN_NAME], entry.reason))
            self._left_out_count += 1
        if self._left_out_count > MOST_LEFT_OUT:
            raise DataError(
                f"more than {MOST_LEFT_OUT} entries give no photo, such as "
                f"{entry.name[:_SHOWN_NAME]} ({entry.reason}): is this the right source?"
            )

    def _finish(self, shard: _OpenShard) -> None:
        """Write the listing, then name the shard: in this order, or a kill could part them."""
        sha256 = shard.end()
        waiting = [
            other.first
            for other in self._open.values()
            if other is not shard and other.first is not None
        ]
        listing = ShardListing(
            shard=shard.name,
            split=shard.split,
            photos=len(shard.records),
            bytes=shard.bytes,
            sha256=sha256,
            seen=self._seen,
            resume=min([self._seen, *waiting]),
            left_out=tuple(self._left_out),
        )
        listing.write(self.folder, shard.records)
        shard.name_file()
        del self._open[shard.split]  # until here, whatever fails has it abandoned
        self.listings.append(listing)
        self._recorded = self._seen.position
        self._left_out = []
        self._counts[shard.split] += 1
