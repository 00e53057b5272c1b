"""Stream photos from a tar archive, plain or compressed, in constant memory.

Python's ``tarfile`` reads a header of any declared size into memory, keeps a record of every
member, and takes an archive that was cut off for one that ends: not for 25 GB off the internet.
Here its parser of single headers is used, and the stream around it is read by hand. The format:
POSIX.1-2001, ``pax`` utility, "pax Interchange Format" and "ustar Interchange Format"; the GNU long
names are described in GNU tar's manual, "Basic Tar Format".
"""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

from data_prep.commands import DataError
from data_prep.photo_sources import (
    Bookmark,
    LeftOut,
    SourceFile,
    is_photo_name,
    too_large,
)
from lab.untrusted import LONGEST_PATH, MEBIBYTE, open_regular, printable, unsafe_path

_BLOCK = tarfile.BLOCKSIZE
_BUFFER = MEBIBYTE
# The highest level of xz takes 65 MiB.
_XZ_MEMORY = 128 * MEBIBYTE
# Names of a few hundred bytes are all that these headers are needed for.
_LARGEST_EXTENSION = MEBIBYTE
# Larger ones are passed over, but an offset must fit in 64 bits.
_LARGEST_MEMBER = 2**50
# The end mark of two blocks, and what fills up the last record of twenty ("Blocking Factor" in the
# manual). What has not arrived of a download may be zeros, too, and many of them.
_LONGEST_END = 2 * _BLOCK + tarfile.RECORDSIZE
_TAKEN_UP = "download it again; what is finished is kept, and the same command takes it up"
_PAX, _PAX_GLOBAL = (b"x", b"X"), b"g"
_GNU_NAME, _GNU_LINK = b"L", b"K"
_WITHOUT_DATA = {
    tarfile.SYMTYPE: "it is a link",
    tarfile.LNKTYPE: "it is a link",
    tarfile.CHRTYPE: "it is a device",
    tarfile.BLKTYPE: "it is a device",
    tarfile.FIFOTYPE: "it is a pipe",
}


class TarSource:
    """The photos of a tar archive, in its order.

    Args:
        path: a ``.tar``, or one compressed by gzip, bzip2 or xz.

    Raises:
        DataError: it is no tar archive.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw: BinaryIO | None = None
        with open_regular(path) as file:
            self._size = os.fstat(file.fileno()).st_size
            start = file.read(_BUFFER)
        # Not of the whole archive, which would take as long as reading it. A download that was
        # cut off and is now whole may be taken up.
        self.fingerprint = hashlib.sha256(start).hexdigest()
        self._magic = start[:6]
        if start.startswith(b"PK\3\4"):
            raise DataError(f"{path} is a zip archive: unpack it, and name the folder")

    def fraction(self) -> float:
        """How much of the file has been read."""
        if self._raw is None:
            return 0.0
        return 1.0 if self._raw.closed else min(1.0, self._raw.tell() / self._size)

    def entries(self, start: Bookmark) -> Iterator[SourceFile | LeftOut]:
        """Stream from ``start`` on; see ``PhotoSource``."""
        file = io.BufferedReader(open_regular(self._path), _BUFFER)
        with file as self._raw, closing(self._plain()) as stream, self._damage_named(_TAKEN_UP):
            stream.seek(start.offset)
            yield from _Reader(self._path, stream, start).entries()

    def files(
        self, most_of: Callable[[str], int | None], most_bytes: int, most_headers: int, advice: str
    ) -> Iterator[tuple[str, bytes]]:
        """Stream the regular files of some names, whatever they are.

        Args:
            most_of: the most bytes that a file of this name may have; None: it is passed over.
            most_bytes: of the archive, decompressed.
            most_headers: of the archive.
            advice: what to do about a damaged archive, to end the line of an error.

        Raises:
            DataError: the archive is damaged, ends too early, or has more than that.
        """
        file = io.BufferedReader(open_regular(self._path), _BUFFER)
        with file as self._raw, closing(self._plain()) as stream, self._damage_named(advice):
            reader = _Reader(self._path, stream, Bookmark(), most_bytes, most_headers, advice)
            yield from reader.files(most_of)

    @contextmanager
    def _damage_named(self, advice: str) -> Iterator[None]:
        """Make one error of what the decompressors say of damage."""
        try:
            yield
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            # Those of gzip and bzip2 have no number; a disk that fails is another thing.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise DataError(f"{self._path} is damaged or cut off ({error}): {advice}") from error

    def _plain(self) -> BinaryIO:
        """Return the archive's bytes, decompressed."""
        raw = cast(BinaryIO, self._raw)
        if self._magic.startswith(b"\x1f\x8b"):
            return cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        if self._magic.startswith(b"BZh"):
            return cast(BinaryIO, bz2.BZ2File(raw))
        if self._magic.startswith(b"\xfd7zXZ\0"):
            return cast(BinaryIO, _XzStream(raw))
        return raw


class _XzStream:
    """An xz file, unpacked forwards.

    Python's own keeps whatever dictionary the file asks for, up to 4 GB.

    Args:
        raw: the file.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._unpacker = self._new_unpacker()

    def read(self, size: int) -> bytes:
        """Return ``size`` bytes, fewer only at the end."""
        parts, left = list[bytes](), size
        while left:
            if self._unpacker.eof:
                packed = self._unpacker.unused_data.lstrip(b"\0") or self._raw.read(_BUFFER)
                if not packed.strip(b"\0"):
                    break
                self._unpacker = self._new_unpacker()
            else:
                packed = self._raw.read(_BUFFER) if self._unpacker.needs_input else b""
                if self._unpacker.needs_input and not packed:
                    raise EOFError("the compressed data ends too early")
            parts.append(self._unpacker.decompress(packed, left))
            left -= len(parts[-1])
        return b"".join(parts)

    def seek(self, offset: int, whence: int = io.SEEK_CUR) -> None:
        """Go forward by ``offset`` bytes; from the beginning, only once."""
        while offset and (part := self.read(min(offset, _BUFFER))):
            offset -= len(part)

    def close(self) -> None:
        """Leave the file to whoever opened it."""

    @staticmethod
    def _new_unpacker() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


class _Reader:
    """Reads the blocks of one archive.

    Args:
        path: of the archive, for errors.
        stream: its bytes, from ``start`` on.
        start: where the first member to be read begins.
        most_bytes: up to which byte it is read.
        most_headers: how many headers are read.
        advice: what to do about a damaged archive, to end the line of an error.
    """

    def __init__(
        self,
        path: Path,
        stream: BinaryIO,
        start: Bookmark,
        most_bytes: int = sys.maxsize,
        most_headers: int = sys.maxsize,
        advice: str = _TAKEN_UP,
    ) -> None:
        self._path = path
        self._stream = stream
        self._offset = start.offset
        self._position = start.position
        self._most_bytes = most_bytes
        self._most_headers = self._headers_left = most_headers
        self._advice = advice

    def entries(self) -> Iterator[SourceFile | LeftOut]:
        """Yield photos and what is refused, until the archive's end mark."""
        while True:
            # A member begins at its first header: those before the last one extend it.
            place = Bookmark(self._position, self._offset)
            member = self._next_member()
            if member is None:
                return
            self._position += 1
            # Its first part, where it is longer than any path, and refused.
            name = printable(member.name[:LONGEST_PATH])
            reason = unsafe_path(member.name) or _WITHOUT_DATA.get(member.type)
            size = _size_of_data(member)
            if member.isdir() and not reason:
                self._skip(size)
            elif reason:
                self._skip(size)
                yield LeftOut(place, name, reason)
            elif not is_photo_name(name):
                self._skip(size)
            elif reason := too_large(size):
                self._skip(size)
                yield LeftOut(place, name, reason)
            else:
                yield SourceFile(place, name, self._read(size))

    def files(self, most_of: Callable[[str], int | None]) -> Iterator[tuple[str, bytes]]:
        """Yield the regular files of which ``most_of`` gives a size, until the end mark."""
        while (member := self._next_member()) is not None:
            size = _size_of_data(member)
            most = most_of(member.name) if member.isreg() else None
            if most is None:
                self._skip(size)
                continue
            if size > most:
                name = printable(member.name[:LONGEST_PATH])
                self._fail(f"has {size} bytes of {name}, more than its {most}")
            yield member.name, self._read(size)

    def _next_member(self) -> tarfile.TarInfo | None:
        """Read the headers of the next member; None at the end mark."""
        name: str | None = None
        size: int | None = None
        while (header := self._read_header()) is not None:
            if header.type == tarfile.GNUTYPE_SPARSE:
                self._fail("holds a sparse file, which no photo is")
            extends = header.type in (*_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK)
            if not extends:
                header.name = header.name if name is None else name
                header.size = header.size if size is None else size
                return header
            if header.size > _LARGEST_EXTENSION:
                self._fail(f"has a header that claims {header.size} bytes")
            body = self._read(header.size)
            if header.type == _GNU_NAME:
                name = body.rstrip(b"\0").decode("utf-8", "surrogateescape")
            elif header.type in _PAX:
                records = self._pax_records(body)
                if any(key.startswith(b"GNU.sparse.") for key in records):
                    self._fail("holds a sparse file, which no photo is")
                if b"path" in records:
                    name = records[b"path"].decode("utf-8", "surrogateescape")
                if b"size" in records:
                    size = self._pax_size(records[b"size"])
        return None

    def _read_header(self) -> tarfile.TarInfo | None:
        """Read one header block; None at the end mark."""
        begins = self._offset
        if self._headers_left == 0:
            self._fail(f"has more than {self._most_headers} headers")
        self._headers_left -= 1
        block = self._read(_BLOCK)
        if not any(block):
            self._check_end(begins)
            return None
        try:
            # Python's own parser: checksums, octal and binary sizes, the prefix of long names.
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if begins == 0:
                raise DataError(f"{self._path} is no tar archive ({error})") from error
            self._fail(f"is damaged ({error})")
        if not 0 <= header.size < _LARGEST_MEMBER:
            self._fail(f"has a header that claims {header.size} bytes")
        return header

    def _check_end(self, begins: int) -> None:
        """Raise unless the block of zeros that was read is the archive's end mark.

        Where a download has not arrived there may be zeros up to the end, or up to what has.
        """
        rest = self._stream.read(_LONGEST_END)
        behind = rest.lstrip(b"\0")
        if behind:
            goes_on = (len(rest) - len(behind)) // _BLOCK * _BLOCK
            self._check_no_second_archive(rest[goes_on : goes_on + _BLOCK], begins)
            self._offset = begins
            self._fail("has zeros where a file should be, so it has not arrived whole")
        if _BLOCK + len(rest) > _LONGEST_END:
            raise DataError(
                f"{self._path} has nothing but zeros from byte {begins} on, more than the "
                f"{_LONGEST_END} that end a whole archive: {self._advice}; one that tar -b padded "
                "so is unpacked first, and its folder named"
            )

    def _check_no_second_archive(self, block: bytes, begins: int) -> None:
        """Raise where a block behind the end mark is a header.

        Not read on from there: zeros that have not arrived may end at a header, too.
        """
        try:
            tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return
        raise DataError(
            f"{self._path} goes on behind its end mark (at byte {begins}): if these are several "
            "archives one after the other, give them one by one, or unpack them by tar "
            "--ignore-zeros and name the folder; if it has not arrived whole, download it again"
        )

    def _pax_records(self, body: bytes) -> dict[bytes, bytes]:
        r"""Parse records of the form ``b"27 path=data_256/a/b.jpg\n"``."""
        records = {}
        while body.rstrip(b"\0"):
            length, _, _ = body.partition(b" ")
            end = int(length) if length.isdigit() and len(length) < 9 else 0
            key, equals, value = body[len(length) + 1 : end - 1].partition(b"=")
            if not equals or end > len(body) or body[end - 1 : end] != b"\n":
                self._fail("has a damaged header")
            records[key] = value
            body = body[end:]
        return records

    def _pax_size(self, value: bytes) -> int:
        if not value.isdigit() or len(value) > 15:
            self._fail("has a damaged header")
        return int(value)

    def _read(self, size: int) -> bytes:
        """Read ``size`` bytes and the rest of their last block."""
        padded = self._padded(size)
        data = self._stream.read(padded)
        if len(data) < padded:
            self._fail("ends in the middle of a file or without its end mark")
        self._offset += padded
        return data[:size]

    def _skip(self, size: int) -> None:
        """Pass over ``size`` bytes and the rest of their last block."""
        padded = self._padded(size)
        if padded == 0:
            return
        # To the byte before the last, which must be there.
        self._stream.seek(padded - 1, io.SEEK_CUR)
        if not self._stream.read(1):
            self._fail("ends in the middle of a file or without its end mark")
        self._offset += padded

    def _padded(self, size: int) -> int:
        """Return how many bytes ``size`` bytes take, where that is within the limit."""
        padded = -(-size // _BLOCK) * _BLOCK
        if self._offset + padded > self._most_bytes:
            self._fail(f"has more than {self._most_bytes} bytes, unpacked")
        return padded

    def _fail(self, what: str) -> NoReturn:
        raise DataError(f"{self._path} {what} (at byte {self._offset}): {self._advice}")


def _size_of_data(member: tarfile.TarInfo) -> int:
    """Return the bytes behind a header: what has none may still declare a size."""
    return 0 if member.type in _WITHOUT_DATA else member.size
