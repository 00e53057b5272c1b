"""What decoders think of damaged files does not reach the terminal."""

import io
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lab.imaging import UnreadablePhotoError, read_source
from tests.imaging.test_reading import png16, png_chunk
from tests.tiny import start_command

ROOT = Path(__file__).parents[2]


def damaged() -> dict[str, bytes]:
    """Files over which OpenCV, libpng, libtiff, libjpeg and Pillow complain."""
    draws = np.random.default_rng(0)
    deep = draws.integers(0, 65536, (24, 31, 3), dtype=np.uint16)
    smooth = Image.fromarray(np.full((24, 31, 3), 99, np.uint8))
    made = {}
    for compression in ("tiff_deflate", "tiff_lzw", "jpeg"):
        file = io.BytesIO()
        smooth.save(file, "TIFF", compression=compression)
        data = bytearray(file.getvalue())
        data[len(data) // 2 if compression == "jpeg" else 12] ^= 0xFF
        data[9] ^= 0x55
        made[f"{compression}.tif"] = bytes(data)
    many = bytearray(made["tiff_deflate.tif"])
    at = many.index(struct.pack("<HHL", 277, 3, 1))
    many[at + 8 : at + 10] = struct.pack("<H", 25_000)
    made["samples.tif"] = bytes(many)
    lzw = bytearray(cv2.imencode(".tif", deep)[1].tobytes())
    lzw[200:300] = b"\xff" * 100
    made["deep.tif"] = bytes(lzw)
    plain = png16(deep, 2)
    profile = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"hello"))
    made["profile.png"] = plain[:33] + profile + png_chunk(b"tIME", b"123") + plain[33:]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep) + b"more" * 900
    end = png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    made["more.png"] = plain[:33] + end
    jpeg = io.BytesIO()
    smooth.save(jpeg, "JPEG")
    made["cut.jpg"] = jpeg.getvalue()[:-20]
    noisy = bytearray(jpeg.getvalue())
    noisy[-40:-20] = b"\xff" * 20
    made["noisy.jpg"] = bytes(noisy)
    return made


@pytest.fixture(params=damaged())
def path(request, tmp_path):
    path = tmp_path / request.param
    path.write_bytes(damaged()[request.param])
    return path


def test_nothing_is_said_but_the_error(path, capfd):
    with suppress(UnreadablePhotoError):
        read_source(path)
    assert capfd.readouterr() == ("", "")


LOUD = """
import sys, cv2, numpy as np
from PIL import Image
for path in sys.argv[1:]:
    try:
        Image.open(path).load()
    except Exception:
        pass
    cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
"""


def test_the_libraries_alone_would_say_something(tmp_path):
    """Else the test above could not fail."""
    said = {}
    for name in ("tiff_deflate.tif", "deep.tif", "profile.png", "more.png", "samples.tif"):
        (tmp_path / name).write_bytes(damaged()[name])
        loud = [sys.executable, "-c", LOUD, tmp_path / name]
        said[name] = subprocess.run(loud, capture_output=True, text=True, check=True).stderr
    assert [name for name, text in said.items() if not text] == []


def test_the_command_speaks_for_itself(tmp_path):
    photos, masks = tmp_path / "photos", tmp_path / "masks"
    photos.mkdir()
    masks.mkdir()
    for name, data in damaged().items():
        (photos / name).write_bytes(data)
        mask = Image.new("L", (31, 24))
        mask.paste(255, (5, 5, 15, 15))
        mask.save(masks / f"{Path(name).stem}.png")
    process = start_command(
        "inpaint", photos, "--mask", masks, "-o", "out", folder=tmp_path, cold=True
    )
    out, said = process.communicate(timeout=120)
    lines = said.splitlines()
    assert all(line.startswith(("failed: ", "note: ")) for line in lines), said
    assert sum(line.startswith("failed: ") for line in lines) >= 5
    assert "completed" in out


def test_standard_error_is_there_again_afterwards(tmp_path, capfd):
    path = tmp_path / "more.png"
    path.write_bytes(damaged()["more.png"])
    read_source(path)
    print("still here", file=sys.stderr)
    assert capfd.readouterr().err == "still here\n"
