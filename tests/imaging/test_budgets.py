"""What reading a photo may take is counted from its header, and no more is taken."""

import io
import json
import os
import resource
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lab.imaging import UnreadablePhotoError, read_image, read_mask, read_source
from lab.imaging.budgets import (
    LARGEST_EXIF,
    MOST_BYTES,
    MOST_BYTES_AT_ONCE,
    MOST_SCANS,
    check_pixels,
    decoding_bytes,
    memory_of,
)
from lab.untrusted import MEBIBYTE
from tests.imaging.test_reading import png_chunk

ROOT = Path(__file__).parents[2]
SIDE = 2000
# What a decoder takes besides, whatever the photo: buffers, tables, its own code.
_SLACK = 24 * MEBIBYTE

# Reads each file in a process of its own, and says what it took at its peak, beyond what the
# process had. The child of a small process: the peak of a large one's would be its parent's.
MEASURE = """
import gc, json, os, resource, sys
from lab.imaging import read_source
read_source(sys.argv[1])  # loads what is loaded only once
gc.collect()
for path in sys.argv[2:]:
    reading, writing = os.pipe()
    if not os.fork():
        before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
        open("/proc/self/clear_refs", "w").write("5")
        error = None
        try:
            read_source(path)
        except ValueError as refused:
            error = str(refused)
        peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0]
        taken = int(peak.split()[1]) * 1024 - before
        os.write(writing, json.dumps([taken, error]).encode())
        os._exit(0)
    os.wait()
    print(os.read(reading, 10000).decode(), flush=True)
"""


def measured(*paths: Path) -> list[tuple[int, str | None]]:
    """Bytes that reading each file took at its peak, and why it was refused."""
    small = paths[0].with_name("small.png")
    Image.new("RGB", (8, 8)).save(small)
    said = subprocess.run(
        [sys.executable, "-c", MEASURE, small, *paths],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in said.stdout.splitlines()]


def files(folder: Path) -> dict[str, tuple[Path, int]]:
    """A photo of every kind of decoding, and the bytes a pixel that it is said to take."""
    made: dict[str, tuple[Path, int]] = {}
    # Not one colour: what is never written to takes no memory.
    gray = np.tile(np.arange(SIDE, dtype=np.uint32) % 251, (SIDE, 1)).astype(np.uint8)
    rgb = np.dstack([gray, gray[::-1], gray.T])
    deep = gray.astype(np.uint16) * 257
    plain = {
        "gray.jpg": Image.fromarray(gray),
        "rgb.jpg": Image.fromarray(rgb),
        "cmyk.jpg": Image.fromarray(rgb).convert("CMYK"),
        "bit.png": Image.fromarray(gray > 100),
        "palette.png": Image.fromarray(gray).convert("P"),
        "rgb.png": Image.fromarray(rgb),
        "rgba.png": Image.fromarray(np.dstack([rgb, gray])),
        "rgb.bmp": Image.fromarray(rgb),
        "rgb.tif": Image.fromarray(rgb),
        "rgb.gif": Image.fromarray(gray).convert("P"),
        "rgb.webp": Image.fromarray(rgb),
    }
    for name, image in plain.items():
        options = {"method": 0, "quality": 20} if name.endswith("webp") else {}
        options |= {"compress_level": 1} if name.endswith("png") else {}
        image.save(folder / name, **options)
        made[name] = folder / name, decoding_bytes(is_webp=name.endswith("webp"))
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(rgb).save(folder / "turned.jpg", exif=turned)
    made["turned.jpg"] = folder / "turned.jpg", decoding_bytes()
    for name, samples in {
        "gray16.png": deep,
        "rgb16.png": np.dstack([deep] * 3),
        "rgba16.png": np.dstack([deep] * 4),
        "rgb16.tif": np.dstack([deep] * 3),
        "rgb32.tif": np.dstack([gray.astype(np.float32) / 255] * 3),
    }.items():
        cv2.imwrite(str(folder / name), samples)
        channels = 1 if samples.ndim == 2 else samples.shape[2]
        made[name] = folder / name, decoding_bytes(samples.itemsize, channels)
    return made


def test_no_photo_takes_more_than_its_pixels_are_said_to_take(tmp_path):
    made = files(tmp_path)
    results = measured(*(path for path, _ in made.values()))
    for (name, (path, a_pixel)), (taken, error) in zip(made.items(), results, strict=True):
        assert error is None, name
        limit = SIDE * SIDE * a_pixel + path.stat().st_size + _SLACK
        assert taken <= limit, f"{name} took {taken / SIDE**2:.1f} bytes a pixel, not {a_pixel}"
    assert max(taken for taken, _ in results) > 10 * SIDE * SIDE, "else nothing was measured"


def png_of(width: int, height: int, depth: int, colour: int) -> bytes:
    """A PNG of few bytes that holds all that it declares: zeros."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    row = b"\0" * (1 + -(-width * depth * channels // 8))
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            png_chunk(b"IHDR", header),
            png_chunk(b"IDAT", packed),
            png_chunk(b"IEND", b""),
        ]
    )


def test_bombs_are_refused_by_their_header(tmp_path):
    bombs = {
        "deep.png": png_of(13_000, 13_000, 16, 6),
        "bit.png": png_of(40_000, 40_000, 1, 0),
        "wide.png": png_of(2**31 - 1, 1, 1, 0)[:500],
        "a.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + b"\0\0\0\xff\xff\xff"
        b",\0\0\0\0" + struct.pack("<HH", 65535, 65535) + b"\0\x02\x02L\x01\0;",
        "a.bmp": b"BM"
        + struct.pack("<IHHI", 60, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 99_999, 99_999, 1, 24, 0, 0, 0, 0, 0, 0),
    }
    for name, data in bombs.items():
        (tmp_path / name).write_bytes(data)
    assert len(bombs["deep.png"]) < 1_400_000
    assert len(bombs["bit.png"]) < 250_000
    for name, (taken, error) in zip(
        bombs, measured(*(tmp_path / name for name in bombs)), strict=True
    ):
        assert "decompression bomb" in error, name
        assert taken < 8 * MEBIBYTE + 4 * len(bombs[name]), name


def test_a_mask_of_another_size_is_not_decoded(tmp_path):
    (tmp_path / "mask.png").write_bytes(png_of(13_000, 13_000, 1, 0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"13000x13000 .* but the photo is 40x30"):
        read_mask(tmp_path / "mask.png", (30, 40))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000, "kilobytes"


def test_cameras_fit():
    check_pixels(14204, 10652, decoding_bytes())  # 151 million, the largest on sale
    check_pixels(11648, 8736, decoding_bytes(2, 4))  # 102 million in 16 bits
    assert 178_000_000 * decoding_bytes() < MOST_BYTES


def jpeg(**options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(file, "JPEG", **options)
    return file.getvalue()


def test_more_exif_than_any_camera_writes_is_refused(tmp_path):
    segment = b"\xff\xe1\xff\xffExif\0\0" + b"\0" * 65527
    data = jpeg()
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment * (LARGEST_EXIF // 65533 + 2) + data[2:])
    with pytest.raises(UnreadablePhotoError, match="more EXIF than"):
        read_image(tmp_path / "a.jpg")


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    data = jpeg(progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xda", first + 2)
    (tmp_path / "a.jpg").write_bytes(
        data[:second] + data[first:second] * MOST_SCANS + data[second:]
    )
    with pytest.raises(UnreadablePhotoError, match=f"scans, more than the {MOST_SCANS}"):
        read_image(tmp_path / "a.jpg")


def directory(*entries: tuple[int, int, int, int]) -> bytes:
    packed = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0"


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([(256, 4, 1, 99_999), (257, 4, 1, 99_999)], "more pixels than are read"),
        ([(256, 4, 1, 10), (257, 4, 1, 10), (322, 4, 1, 2**20), (323, 4, 1, 2**20)], "more pixels"),
        ([(273, 4, 2**31, 8)], "numbers, more than"),
        ([(256, 2, 1, 10)], "type 2, but must be a number"),
    ],
)
def test_a_tiff_directory_that_claims_too_much_is_refused(tmp_path, entries, reason):
    (tmp_path / "a.tif").write_bytes(directory(*entries))
    with pytest.raises(UnreadablePhotoError, match=reason):
        read_source(tmp_path / "a.tif")


def test_a_tiff_of_directories_in_a_circle_ends(tmp_path):
    circle = directory((34665, 4, 1, 8), (256, 4, 1, 4), (257, 4, 1, 4))
    (tmp_path / "a.tif").write_bytes(circle)
    with pytest.raises(UnreadablePhotoError):
        read_source(tmp_path / "a.tif")


def test_photos_decoded_at_the_same_time_share_a_budget():
    held, running, most = MOST_BYTES_AT_ONCE // 2, [0], [0]
    lock = threading.Lock()

    def decode():
        with memory_of(held):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.02)
            with lock:
                running[0] -= 1

    threads = [threading.Thread(target=decode) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)
    assert most[0] == 2


def test_a_process_forked_meanwhile_begins_with_the_whole_budget():
    with memory_of(MOST_BYTES_AT_ONCE):
        child = os.fork()
        if not child:
            with memory_of(MOST_BYTES_AT_ONCE):
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
