"""Folders of WebDataset shards: what ``data_prep.places2`` writes and training reads.

``index.json`` names the finished shards of each split with their sizes and hashes. Beside
``train-000003.tar`` lies its listing ``train-000003.json`` with a record of every sample, in the
order of the shard. A shard is a tar archive of one photo a sample, each behind a header of one
block.
"""

import reprlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lab.formats.plain import read_json
from lab.untrusted import MEBIBYTE, below

INDEX = "index.json"
"""The file by which a folder is known to hold shards."""

TRAINING_SPLIT = "train"
VALIDATION_SPLIT = "val"
TEST_SPLIT = "test"
OTHER_SPLIT = "photos"
"""Of photos whose folders do not say what they are for."""

LARGEST_LISTING = 256 * MEBIBYTE
"""Bytes of a shard's listing: of a million photos in one shard."""


class DamagedShardError(ValueError):
    """A shard is not what it was when it was packed."""


class SampleRecord(NamedTuple):
    """What a listing says of one sample; ``sha256`` and ``bytes`` are of the photo's file."""

    key: str
    name: str
    sha256: str
    bytes: int
    height: int
    width: int


_SAMPLE = tuple(SampleRecord.__annotations__.values())


@dataclass(frozen=True)
class IndexedShard:
    """What the index says of one shard; ``sha256`` and ``bytes`` are of the whole archive."""

    name: str
    photos: int
    bytes: int
    sha256: str
    listing: str


@dataclass(frozen=True)
class ShardIndex:
    """The finished shards by split, and how many photos were left out when they were packed."""

    splits: dict[str, tuple[IndexedShard, ...]]
    left_out: int


def listing_name(shard: str) -> str:
    """Return the file name of a shard's listing."""
    return Path(shard).with_suffix(".json").name


def padded(size: int) -> int:
    """Return how many bytes of an archive a member of ``size`` bytes takes behind its header."""
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def read_index(folder: Path) -> ShardIndex:
    """Read the index of finished shards.

    Raises:
        ValueError: it cannot be read, is damaged, or the shards are not finished.
    """
    path = folder / INDEX
    try:
        content = read_json(path, LARGEST_LISTING)
        finished = content["complete"]
        splits = {
            name: tuple(_indexed(folder, shard) for shard in split["shards"])
            for name, split in (content["splits"] if finished else {}).items()
        }
        left_out = len(content["left_out"]) if finished else 0
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no index of shards, or damaged ({error})") from error
    if not finished:
        raise ValueError(f"the shards in {folder} are not finished: run data_prep.places2 again")
    if not any(splits.values()):
        raise ValueError(f"{path} is no index of shards, or damaged (it names no shard)")
    return ShardIndex(splits, left_out)


def read_photos(shard: Path) -> Iterator[tuple[str, bytes]]:
    """Read a shard from its beginning to its end: the key and the file of each photo.

    Not by ``tarfile`` as a whole, which takes a damaged header for the end of the archive.

    Raises:
        DamagedShardError: a header is damaged, or the shard ends too early or too late.
        OSError: it cannot be read.
    """
    whole = shard.stat().st_size
    with shard.open("rb", buffering=MEBIBYTE) as file:
        while any(header := file.read(tarfile.BLOCKSIZE)):
            try:
                member = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
            except tarfile.HeaderError as error:
                raise _damaged(shard, file.tell() - len(header), str(error)) from error
            if not (member.isreg() and 0 < member.size < whole):
                raise _damaged(shard, file.tell() - len(header), "a header that is no photo's")
            data = file.read(member.size)
            rest = padded(member.size) - member.size
            if len(data) < member.size or len(file.read(rest)) < rest:
                raise _damaged(shard, file.tell(), "it is cut off")
            yield member.name.partition(".")[0], data
        if header + file.read(tarfile.BLOCKSIZE + 1) != bytes(2 * tarfile.BLOCKSIZE):
            raise _damaged(shard, file.tell(), "not the end mark")


def _damaged(shard: Path, place: int, what: str) -> DamagedShardError:
    return DamagedShardError(
        f"the shard {shard} is damaged (at byte {place}: {what}): pack the photos again with "
        "data_prep.places2, into a new folder"
    )


def _indexed(folder: Path, record: dict) -> IndexedShard:
    """Take one shard's record.

    Raises:
        TypeError: it is no such record.
        ValueError: it names a file outside of the folder.
    """
    shard = IndexedShard(**record)
    if not all(isinstance(text, str) for text in (shard.name, shard.sha256, shard.listing)):
        raise TypeError(
            f"{shard.name!r} with the hash {shard.sha256!r}, listed in {shard.listing!r}"
        )
    for name in (shard.name, shard.listing):
        below(folder, name)
    if not all(isinstance(count, int) and count > 0 for count in (shard.photos, shard.bytes)):
        raise TypeError(f"{shard.photos!r} photos in {shard.bytes!r} bytes")
    return shard


def read_samples(listing: Path) -> list[SampleRecord]:
    """Read a listing's samples, in the order of its shard.

    Raises:
        ValueError: it is missing or damaged.
    """
    try:
        content = read_json(listing, LARGEST_LISTING)
        samples = list(map(SampleRecord._make, content["samples"]))
        for sample in samples:
            if tuple(map(type, sample)) != _SAMPLE:
                raise TypeError(f"{reprlib.repr(tuple(sample))} is no record of a sample")
        return samples
    except FileNotFoundError:
        raise ValueError(
            f"{listing} is missing: pack the photos again, into a new folder"
        ) from None
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{listing} is no listing of a shard, or damaged ({error})") from error
