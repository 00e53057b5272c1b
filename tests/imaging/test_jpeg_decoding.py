"""A JPEG's pixels are those that Pillow decodes, whichever way they are decoded."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from lab.data.photo_sets import starter_photos
from lab.imaging import PhotoBytes, UnreadablePhotoError, decode_photo, read_source
from lab.imaging.plain_jpeg import decode_plain_jpeg

HEIGHT, WIDTH = 123, 211


@pytest.fixture(scope="module")
def photo():
    with Image.open(starter_photos().training[0].path) as image:
        return image.convert("RGB").resize((WIDTH, HEIGHT))


def saved(photo, **options):
    file = io.BytesIO()
    photo.save(file, "JPEG", **options)
    return file.getvalue()


def by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def turned(orientation):
    exif = Image.Exif()
    exif[274] = orientation
    return exif


@pytest.mark.parametrize("quality", [30, 85, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}, {"keep_rgb": True}],
)
def test_the_pixels_are_pillows(photo, quality, subsampling, options):
    if "keep_rgb" in options and subsampling != "4:4:4":
        subsampling = "4:4:4"  # there is no other
    data = saved(photo, quality=quality, subsampling=subsampling, **options)
    assert np.array_equal(decode_photo(PhotoBytes("a.jpg", data)), by_pillow(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_so_they_are_in_other_colours(photo, mode):
    data = saved(photo.convert(mode), quality=85)
    assert np.array_equal(decode_photo(PhotoBytes("a.jpg", data)), by_pillow(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_so_they_are_turned(photo, orientation):
    data = saved(photo, exif=turned(orientation))
    assert np.array_equal(decode_photo(PhotoBytes("a.jpg", data)), by_pillow(data))


def test_a_damaged_file_is_what_it_was_to_pillow(photo):
    """Overwritten bytes give gray blocks in Pillow or an error, and so they do here."""
    whole = saved(photo, quality=85)
    generator = np.random.default_rng(0)
    read = 0
    for _ in range(60):
        data = bytearray(whole)
        for place in generator.integers(len(data) // 4, len(data), 3):
            data[place] = generator.integers(256)
        damaged = bytes(data)
        try:
            expected = by_pillow(damaged)
        except (OSError, SyntaxError):
            with pytest.raises(UnreadablePhotoError):
                decode_photo(PhotoBytes("a.jpg", damaged))
            continue
        read += 1
        assert np.array_equal(decode_photo(PhotoBytes("a.jpg", damaged)), expected)
    assert read > 30
    for length in (len(whole) // 2, len(whole) - 300):
        with pytest.raises(UnreadablePhotoError, match="truncated"):
            decode_photo(PhotoBytes("a.jpg", whole[:length]))


def test_a_damaged_header_is_read_or_refused_as_by_pillow(photo):
    """The few headers that are not shown to Pillow would have been read by it, to these pixels."""
    small = photo.resize((48, 32))
    generator = np.random.default_rng(0)
    whole = [saved(small, **options) for options in ({}, {"comment": "a"}, {"exif": turned(6)})]
    plain = 0
    for number in range(300):
        data = bytearray(whole[number % 3])
        place = generator.integers(2, data.index(b"\xff\xda") + 14)
        data[place] = generator.choice([0, 1, 3, 0xC0, 0xC2, 0xDA, 0xE1, 0xFF])
        file = PhotoBytes("a.jpg", bytes(data))
        plain += decode_plain_jpeg(file.data) is not None
        try:
            expected = read_source(file).rgb8()
        except UnreadablePhotoError:
            with pytest.raises(UnreadablePhotoError):
                decode_photo(file)
        else:
            assert np.array_equal(decode_photo(file), expected)
    assert 50 < plain < 200
