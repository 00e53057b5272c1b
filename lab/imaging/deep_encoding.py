"""PNG of 16 bits and TIFF of any depth, with metadata: Pillow writes no colour deeper than 8 bits.

OpenCV writes the pixels but drops EXIF and resolution; both formats are simple enough to write
whole. PNG: W3C, Portable Network Graphics (third edition), sections 5 and 9. TIFF: Adobe, TIFF
revision 6.0, sections 2, 6, 8, 18 and 19.
"""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lab.imaging.metadata import PhotoMetadata
from lab.imaging.source_photo import SourcePhoto

_METRE_IN_INCHES = 1 / 0.0254


def encode_png16(photo: SourcePhoto) -> bytes:
    """Return a 16-bit PNG file of a photo whose pixels are uint16."""
    samples = _with_alpha(photo)
    channels = samples.shape[2]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", photo.width, photo.height, 16, colour_type, 0, 0, 0)
    # Each row begins with its filter: 1, "the difference to the pixel on the left".
    rows = samples.astype(">u2").view(np.uint8).reshape(photo.height, -1)
    step = 2 * channels
    filtered = np.empty((photo.height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 1
    filtered[:, 1 : step + 1] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=filtered[:, step + 1 :])
    chunks = [
        _chunk(b"IHDR", header),
        *_metadata_chunks(photo.metadata),
        _chunk(b"IDAT", zlib.compress(filtered.tobytes())),
        _chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _metadata_chunks(metadata: PhotoMetadata) -> list[bytes]:
    """Return the PNG chunks for profile, resolution and EXIF; they precede the pixels."""
    chunks = []
    if metadata.icc_profile is not None:
        chunks.append(_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(metadata.icc_profile)))
    if metadata.dpi is not None:
        dots = (round(value * _METRE_IN_INCHES) for value in metadata.dpi)
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", *dots, 1)))
    if metadata.exif is not None:
        chunks.append(_chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0")))
    return chunks


def _chunk(kind: bytes, body: bytes) -> bytes:
    """Return one PNG chunk: length, kind, body and their checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def encode_tiff(photo: SourcePhoto) -> bytes:
    """Return a TIFF file (one deflated strip) of a photo of any depth."""
    if photo.is_gray and photo.alpha is not None and photo.pixels.dtype != np.uint8:
        # Hardly a reader knows deep gray with alpha: three equal channels.
        photo = replace(photo, pixels=np.repeat(photo.pixels, 3, axis=2))
    samples = _with_alpha(photo)
    channels = samples.shape[2]
    strip = zlib.compress(samples.astype(samples.dtype.newbyteorder("<")).tobytes())
    tags = ImageFileDirectory_v2()
    exif = Image.Exif()
    if photo.metadata.exif is not None:
        exif.load(photo.metadata.exif)
    for tag, value in exif.items():
        # Pointers to inner directories: Pillow writes a dictionary as one.
        inner = tag in (34665, 34853, 40965)
        tags[tag] = dict(exif.get_ifd(tag)) if inner else value
    tags[256], tags[257] = photo.width, photo.height
    tags[258] = (8 * samples.itemsize,) * channels
    tags[259] = 8  # deflate
    tags[262] = 1 if photo.is_gray else 2  # 0 is black, or RGB
    # Strip offsets are counted from the directory's end; Pillow adds its length.
    tags[273] = 0
    tags[277] = channels
    tags[278] = photo.height
    tags[279] = len(strip)
    tags[284] = 1  # interleaved
    if photo.alpha is not None:
        tags[338] = 2  # alpha that colours are not multiplied by
    tags[339] = (3 if samples.dtype == np.float32 else 1,) * channels
    if photo.metadata.dpi is not None:
        tags[282], tags[283] = photo.metadata.dpi
        tags[296] = 2  # inches
    if photo.metadata.icc_profile is not None:
        tags[34675] = photo.metadata.icc_profile
    file = io.BytesIO()
    tags.save(file)
    file.write(strip)
    return file.getvalue()


def _with_alpha(photo: SourcePhoto) -> np.ndarray:
    """Return ``(H, W, 1 to 4)``: the pixels, then alpha where there is one."""
    if photo.alpha is None:
        return np.ascontiguousarray(photo.pixels)
    return np.concatenate((photo.pixels, photo.alpha[..., None]), axis=2)
