"""Photos to choose from, in a folder or in WebDataset shards, known by their content."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from data_prep.commands import DataError
from lab.data.photo_sets import list_photos, sides_in
from lab.data.shard_set import ShardMember, placed_samples
from lab.formats.shards import INDEX, IndexedShard, read_index
from lab.formats.sides import never_trained_on
from lab.imaging import Crop, CropReader, as_image


@dataclass(frozen=True)
class PoolPhoto:
    """A photo that reads; ``sha256`` is of its file, ``name`` says where in the pool it is."""

    name: str
    sha256: str
    height: int
    width: int


class PhotoPool(Protocol):
    """Photos to choose from.

    ``split`` is the one that they are of, which training on the folder leaves alone; None where
    there is no such split, and they are all photos of the folder.
    """

    split: str | None
    photos: list[PoolPhoto]

    def read(self, chosen: Iterable[PoolPhoto], size: int) -> Iterator[tuple[PoolPhoto, Tensor]]:
        """Yield the central square of each, ``(3, size, size)`` in [0, 1], in any order.

        Raises:
            UnreadablePhotoError: one cannot be read any more, or is another by now.
        """
        ...


def open_pool(folder: Path) -> PhotoPool:
    """Open a folder of photos, or of shards that ``data_prep.places2`` has finished.

    The validation photos are taken if training on the folder leaves them alone, else the test
    photos if it does, else all: what was trained on is filled too well.

    Raises:
        DataError: no such folder, unfinished shards, no photos, or too many that cannot be read.
    """
    if (folder / INDEX).exists():
        return _ShardPool(folder)
    return _FolderPool(folder)


class _FolderPool:
    def __init__(self, folder: Path) -> None:
        self.split = never_trained_on(sides_in(folder))
        try:
            found = list_photos(folder, self.split)
        except ValueError as error:
            raise DataError(str(error)) from error
        self._paths = {photo.name: photo.path for photo in found.photos}
        self.photos = [
            PoolPhoto(photo.name, photo.sha256, photo.height, photo.width) for photo in found.photos
        ]

    def read(self, chosen: Iterable[PoolPhoto], size: int) -> Iterator[tuple[PoolPhoto, Tensor]]:
        reader = _reader(size)
        for photo in chosen:
            yield photo, as_image(reader.read(self._paths[photo.name], Crop()))


class _ShardPool:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            splits = read_index(folder).splits
            self.split = never_trained_on(splits)
            chosen = list(splits) if self.split is None else [self.split]
            self._open([shard for split in chosen for shard in splits[split]])
        except ValueError as error:
            raise DataError(str(error)) from error

    def _open(self, shards: list[IndexedShard]) -> None:
        self.photos = []
        self._members: dict[str, ShardMember] = {}
        for shard in shards:
            path = self._folder / shard.name
            for sample, start in placed_samples(self._folder, shard):
                name = f"{path.stem}/{sample.key}"
                self._members[name] = ShardMember(
                    path, sample.key, start, sample.bytes, sample.sha256
                )
                self.photos.append(PoolPhoto(name, sample.sha256, sample.height, sample.width))

    def read(self, chosen: Iterable[PoolPhoto], size: int) -> Iterator[tuple[PoolPhoto, Tensor]]:
        reader = _reader(size)
        members = [(self._members[photo.name], photo) for photo in chosen]
        # Each shard from its beginning to its end.
        for member, photo in sorted(members, key=lambda each: (each[0].shard, each[0].start)):
            yield photo, as_image(reader.read(member, Crop()))


def _reader(size: int) -> CropReader:
    # Nothing is read twice.
    return CropReader(size, 1.0, cache_bytes=0)
