"""JPEG files as nearly all are: decoded by Pillow's own library, without Pillow's copies."""

import numpy as np
import simplejpeg
from PIL import Image

# Segments of a JPEG's header: baseline frame, begin of a scan, JFIF; and Huffman tables,
# quantization tables, restart interval, comment.
_JPEG_FRAME, _JPEG_SCAN, _JPEG_JFIF = 0xC0, 0xDA, 0xE0
_JPEG_TABLES = frozenset([0xC4, 0xDB, 0xDD, 0xFE])
# Memory for as many is not counted.
_PLAIN_PIXELS = 2**22


def decode_plain_jpeg(data: bytes) -> np.ndarray | None:
    """Return uint8 ``(H, W, 3)`` of an undamaged JPEG with nothing in its header but its pixels'.

    Opening a photo of 256x256 in Pillow takes a fifth of the time that decoding it does. Whatever
    else the header holds, a rotation or several views, and whatever it may take more memory for,
    is left to Pillow: None.
    """
    declared = _plain_size(data)
    if declared is None or declared[0] * declared[1] > _PLAIN_PIXELS:
        return None
    return _undamaged(data, declared)


def _plain_size(data: bytes) -> tuple[int, int] | None:
    """Return (height, width) as a baseline JPEG in three colours declares, if it is a plain one."""
    size = None
    place = 2 if data.startswith(b"\xff\xd8\xff") else len(data)
    while place + 18 <= len(data) and data[place] == 0xFF:
        kind, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if kind == _JPEG_SCAN:
            return size
        if kind == _JPEG_FRAME and size is None and data[place + 4] == 8 and data[place + 9] == 3:
            size = (
                int.from_bytes(data[place + 5 : place + 7]),
                int.from_bytes(data[place + 7 : place + 9]),
            )
        elif kind == _JPEG_JFIF:
            # A shorter one is none to libjpeg, and damaged to Pillow.
            if length < 16:
                return None
        elif kind not in _JPEG_TABLES:
            return None
        place += 2 + length
    return None


def decode_undamaged_jpeg(data: bytes, opened: Image.Image) -> np.ndarray | None:
    """Return uint8 ``(H, W, 3)`` of a JPEG in colour; None where Pillow has to say what it is.

    The library is Pillow's, and so are the pixels; Pillow copies them three times on their way.
    What libjpeg only warns of, Pillow may make a photo of.
    """
    if opened.format != "JPEG" or opened.mode != "RGB":
        return None
    return _undamaged(data, (opened.height, opened.width))


def _undamaged(data: bytes, declared: tuple[int, int]) -> np.ndarray | None:
    try:
        samples: np.ndarray = simplejpeg.decode_jpeg(data, strict=True)
    except ValueError:
        return None
    return samples if samples.shape == (*declared, 3) else None
