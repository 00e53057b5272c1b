"""What reading a photo may take: counted from what the file declares, before any is taken.

A file of a few kilobytes may declare pixels that take gigabytes. So memory is counted in bytes a
declared pixel (`decoding_bytes`), and what would take more than `MOST_BYTES` is refused by its
header; ``tests/imaging/test_budgets.py`` measures that no more is taken. Photos that are decoded at
the same time, by threads of one process, share `MOST_BYTES_AT_ONCE`.
"""

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from PIL import Image

from lab.untrusted import MEBIBYTE

MOST_BYTES = 2048 * MEBIBYTE
"""Memory for decoding one photo. In 8 bits that are 178 million pixels, Pillow's own limit: the
largest cameras have 151 million. In 16 bits with alpha they are 134 million."""

MOST_BYTES_AT_ONCE = 2 * MOST_BYTES
"""Memory for all the photos that the threads of one process decode at the same time."""

LARGEST_FILE = 1024 * MEBIBYTE
"""Bytes of a photo's file, which is held in memory besides."""

LARGEST_EXIF = MEBIBYTE
"""Bytes of an EXIF block; JPEG has room for 64 KB. Each may take 20 in memory."""

MOST_TIFF_VALUES = 2**18
"""Numbers in the directories of a TIFF file; each takes up to 300 bytes. Strips of a row each are
two numbers a row."""

MOST_SCANS = 100
"""Scans of a progressive JPEG; encoders write 10. A scan of a few bytes takes as long as one of
megabytes."""

_FREELY = 64 * MEBIBYTE
_SCAN = re.compile(rb"\xff\xda\0[\x08\x0a\x0c\x0e]")
_EXIF = re.compile(rb"Exif\0\0")
_EXIF_SEGMENT = 65_533
# Segments with a length, up to the first scan: frames and tables, application data, comments.
_SEGMENTS = frozenset([*range(0xC0, 0xD0), 0xDB, 0xDD, *range(0xE0, 0xF0), 0xFE])
_APP1, _SOS = 0xE1, 0xDA
# Pillow reads those with the two bytes exchanged, too.
_TIFF_ORDERS = {b"II*\0": "<", b"II\0*": "<", b"MM\0*": ">", b"MM*\0": ">"}
# Bytes, texts and undefined data stay as they are; other types become a number each.
_TIFF_BYTES = (1, 2, 6, 7)
_TIFF_SHORT, _TIFF_LONG, _TIFF_POINTER = 3, 4, 13
_TIFF_DIRECTORIES = (34665, 34853, 40965)
# Width and height, of the photo and of its tiles.
_TIFF_SIZES = (256, 257, 322, 323)


def decoding_bytes(sample_bytes: int = 1, channels: int = 3, is_webp: bool = False) -> int:
    """Bytes a declared pixel that decoding takes at its peak, the file itself not counted.

    In 8 bits: 4 in Pillow, which keeps three channels as four, and the samples twice; or 4, and as
    much in a decoder or a conversion. Deeper: the samples, and a copy that is turned or split.
    WebP's decoder keeps two frames of 4, as for an animation, and hands a copy to Pillow.

    Args:
        sample_bytes: of one sample, as decoded.
        channels: of a pixel.
        is_webp: whether the file is WebP.
    """
    return 16 if is_webp else max(12, 2 * sample_bytes * channels)


def check_pixels(width: int, height: int, a_pixel: int) -> None:
    """Raise where decoding would take more than `MOST_BYTES`.

    Args:
        width: as declared.
        height: as declared.
        a_pixel: bytes, from `decoding_bytes`.

    Raises:
        DecompressionBombError: it declares too much.
    """
    if width * height * a_pixel > MOST_BYTES:
        raise Image.DecompressionBombError(
            f"{width}x{height} pixels (width x height) at {a_pixel} bytes each take more than "
            f"{MOST_BYTES // MEBIBYTE} MiB"
        )


def check_before_opening(data: bytes) -> None:
    """Raise where even Pillow's look at the header would take long or much.

    Raises:
        ValueError: more EXIF than a photo has, or a TIFF directory that holds too much.
        DecompressionBombError: tiles or pixels of a TIFF file that are too large.
    """
    if data[:3] == b"\xff\xd8\xff":
        if len(data) > LARGEST_EXIF and _exif_segments(data) * _EXIF_SEGMENT > LARGEST_EXIF:
            raise ValueError(f"it carries more EXIF than {LARGEST_EXIF} bytes, as no camera writes")
    elif data[:4] in _TIFF_ORDERS:
        _check_tiff(data)


def check_scans(data: bytes, opened: Image.Image) -> None:
    """Raise where a progressive JPEG would be gone through too often.

    Raises:
        ValueError: more than `MOST_SCANS`.
    """
    if not opened.info.get("progressive"):
        return
    scans = len(_SCAN.findall(data))
    if scans > MOST_SCANS:
        raise ValueError(f"it has {scans} scans, more than the {MOST_SCANS} that are decoded")


@contextmanager
def memory_of(count: int) -> Iterator[None]:
    """Wait until ``count`` bytes are left of `MOST_BYTES_AT_ONCE`, and take them; a few at once.

    What is larger than the whole waits until it is alone.
    """
    if count <= _FREELY:
        yield
        return
    with _condition:
        _condition.wait_for(lambda: _taken[0] == 0 or _taken[0] + count <= MOST_BYTES_AT_ONCE)
        _taken[0] += count
    try:
        yield
    finally:
        with _condition:
            _taken[0] -= count
            _condition.notify_all()


_condition, _taken = Condition(), [0]


def _forget_other_threads() -> None:
    """In a loader process just forked, the threads that decoded are not there."""
    global _condition
    _condition, _taken[0] = Condition(), 0


os.register_at_fork(after_in_child=_forget_other_threads)


def _exif_segments(data: bytes) -> int:
    """Count the segments of a JPEG that may be EXIF, no fewer than there are."""
    count, place = 0, 2
    while data[place : place + 1] == b"\xff" and len(data) >= place + 4:
        kind = data[place + 1]
        if kind == _SOS:
            return count
        if kind not in _SEGMENTS:
            break
        count += kind == _APP1 and data[place + 4 : place + 10] == b"Exif\0\0"
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    # Out of step: whatever could be one counts.
    return len(_EXIF.findall(data))


def _check_tiff(data: bytes) -> None:
    """Go through the first page's directories without reading what they point to."""
    order = _TIFF_ORDERS[data[:4]]
    entry = struct.Struct(f"{order}HHL4s")
    values, sizes = 0, dict[int, int]()
    waiting, visited = [struct.unpack_from(f"{order}L", data, 4)[0]], set[int]()
    while waiting:
        place = waiting.pop()
        if place in visited or place + 2 > len(data):
            continue
        visited.add(place)
        (count,) = struct.unpack_from(f"{order}H", data, place)
        count = min(count, (len(data) - place - 2) // entry.size)
        entries = data[place + 2 : place + 2 + count * entry.size]
        for tag, kind, length, value in entry.iter_unpack(entries):
            if kind not in _TIFF_BYTES:
                values += length
            (number,) = struct.unpack_from(order + ("H" if kind == _TIFF_SHORT else "L"), value)
            if tag in _TIFF_DIRECTORIES and kind in (_TIFF_SHORT, _TIFF_LONG, _TIFF_POINTER):
                waiting.append(number)
            elif tag in _TIFF_SIZES and len(visited) == 1:
                if kind not in (_TIFF_SHORT, _TIFF_LONG):
                    raise ValueError(f"its tag {tag} is of the type {kind}, but must be a number")
                sizes[tag] = max(number, sizes.get(tag, 0))
    if values > MOST_TIFF_VALUES:
        raise ValueError(
            f"its directories hold {values} numbers, more than the {MOST_TIFF_VALUES} that are read"
        )
    # A tile is decoded whole, however few of its pixels belong to the photo.
    for width, height in (_TIFF_SIZES[:2], _TIFF_SIZES[2:]):
        check_pixels(sizes.get(width, 0), sizes.get(height, 0), decoding_bytes())


class OtherSizeError(ValueError):
    """A file declares another size than it must have; ``size`` is (height, width) as it lies."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(size)
        self.size = size


def check_declared(declared: tuple[int, int], size: tuple[int, int] | None) -> None:
    """Raise unless a file declares ``size`` or, since it may be turned, the sides exchanged."""
    if size is not None and sorted(declared) != sorted(size):
        raise OtherSizeError(declared)
