"""Where photos are streamed from: a folder, or an archive that is never unpacked.

What does not lie safely below the source is refused: absolute paths, ``..``, links, devices. So is
what is too large for a photo. The refused are reported, like the unreadable ones later, with a
reason; files without a photo's suffix and hidden files are passed over.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from data_prep.commands import DataError
from data_prep.places_layout import split_named
from lab.formats.shards import OTHER_SPLIT
from lab.formats.sides import split_of_folder
from lab.imaging import PHOTO_SUFFIXES
from lab.untrusted import MEBIBYTE, printable, read_bytes

LARGEST_PHOTO = 64 * MEBIBYTE
"""The largest file in bytes that is taken for a photo: a header may claim any size."""


@dataclass(frozen=True, order=True)
class Bookmark:
    """Where in a source an entry begins: its number from 0, and its byte (0 in a folder)."""

    position: int = 0
    offset: int = 0


@dataclass(frozen=True)
class SourceFile:
    """A photo's bytes, not yet decoded; ``name`` is its path in the source, with ``/``."""

    place: Bookmark
    name: str
    data: bytes


@dataclass(frozen=True)
class LeftOut:
    """An entry that gives no photo, and why."""

    place: Bookmark
    name: str
    reason: str


class PhotoSource(Protocol):
    """Streams photos in an order that is always the same.

    ``fingerprint`` tells one source from another, so that work is only taken up on the same.
    """

    fingerprint: str

    def entries(self, start: Bookmark) -> Iterator[SourceFile | LeftOut]:
        """Stream from ``start`` on.

        Raises:
            DataError: the source is damaged or ends too early.
        """
        ...

    def fraction(self) -> float:
        """How much of the source has been streamed, in [0, 1]."""
        ...


def is_photo_name(name: str) -> bool:
    """Whether a path has a photo's suffix and is not hidden."""
    path = PurePosixPath(name)
    return path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")


def too_large(size: int) -> str | None:
    """Say why a file of ``size`` bytes is no photo; None where it may be one."""
    if size <= LARGEST_PHOTO:
        return None
    return f"it claims {size} bytes, more than the {LARGEST_PHOTO} of the largest photo"


class FolderSource:
    """The photos below a folder, sorted; its own name is part of theirs, as in an archive.

    But where it names a split and holds folders of several, as ``test/train`` and ``test/val``, its
    name would hide theirs, and another stands for it.

    The fingerprint is of the names of all files, and of the sizes and times of the photos: where
    one was mended or replaced, the source is another.

    Args:
        folder: the unpacked archive; links in it are refused, not followed.

    Raises:
        DataError: it cannot be listed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = self._name_of(folder)
        self._position = 0
        known = hashlib.sha256()
        self._total = 0
        for entry, name in self._walk(folder, self._root):
            known.update(os.fsencode(name) + b"\0" + _state(entry) + b"\0")
            self._total += 1
        self.fingerprint = known.hexdigest()

    def entries(self, start: Bookmark) -> Iterator[SourceFile | LeftOut]:
        """Stream from ``start`` on; see ``PhotoSource``."""
        for position, (entry, raw_name) in enumerate(self._walk(self._folder, self._root)):
            self._position = position + 1
            if position < start.position:
                continue
            place, name = Bookmark(position), printable(raw_name)
            if entry.is_symlink():
                yield LeftOut(place, name, "it is a link")
            elif not entry.is_file(follow_symlinks=False):
                yield LeftOut(place, name, "it is no regular file")
            elif is_photo_name(name):
                try:
                    reason = too_large(entry.stat(follow_symlinks=False).st_size)
                    data = b"" if reason else read_bytes(entry.path, LARGEST_PHOTO)
                except OSError as error:
                    reason = error.strerror or str(error)
                yield LeftOut(place, name, reason) if reason else SourceFile(place, name, data)

    def fraction(self) -> float:
        """How much of the folder has been streamed."""
        return self._position / max(1, self._total)

    def _name_of(self, folder: Path) -> str:
        """Return the first part of the photos' names."""
        name = folder.resolve().name
        splits = {
            split_of_folder(entry.name)
            for entry, _ in self._listed(folder, name)
            if entry.is_dir(follow_symlinks=False)
        }
        return OTHER_SPLIT if split_named(name) and len(splits - {None}) > 1 else name

    def _walk(self, folder: Path, name: str) -> Iterator[tuple["os.DirEntry[str]", str]]:
        """Yield what lies below, links to folders among it, in the order of the names."""
        # Not by a function that calls itself: folders may be nested deeper than Python allows.
        open_ = [self._listed(folder, name)]
        while open_:
            for entry, below in open_[-1]:
                if entry.is_dir(follow_symlinks=False):
                    open_.append(self._listed(Path(entry.path), below))
                    break
                yield entry, below
            else:
                open_.pop()

    @staticmethod
    def _listed(folder: Path, name: str) -> Iterator[tuple["os.DirEntry[str]", str]]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"cannot list {printable(folder)}: {error.strerror}") from error
        return ((entry, f"{name}/{entry.name}") for entry in entries)


def _state(entry: "os.DirEntry[str]") -> bytes:
    """Return what changes when a photo's file does; nothing of files that are passed over."""
    if not is_photo_name(entry.name):
        return b""
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return b""  # why, is said when it is streamed
    return f"{found.st_size} {found.st_mtime_ns}".encode()
