"""Photos in memory: what a file of them says, PIL images and arrays say too."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from lab.imaging import photo_file, read_source


@pytest.fixture
def deep() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (13, 17), dtype=np.uint16)


def opened_from(path: Path) -> Image.Image:
    """A file's image; of a path, Pillow maps the pixels of a lying TIFF wrongly into memory."""
    return Image.open(io.BytesIO(path.read_bytes()))


@pytest.mark.parametrize(("mode", "order"), [("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2")])
def test_images_of_16_bits_keep_them_in_any_order_of_bytes(deep, mode, order):
    image = Image.frombytes(mode, (17, 13), deep.astype(order).tobytes())

    pixels = read_source(photo_file(image)).pixels
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels[..., 0], deep)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_16_bit_file_that_is_opened_is_read_as_from_its_path(tmp_path, deep, orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    image = Image.frombytes("I;16B", (17, 13), deep.astype(">u2").tobytes())
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "a.tif", exif=exif, icc_profile=profile)

    opened = opened_from(tmp_path / "a.tif")
    assert opened.mode == "I;16B"
    expected = read_source(tmp_path / "a.tif")
    source = read_source(photo_file(opened))
    assert np.array_equal(source.pixels, expected.pixels)
    assert source.metadata.icc_profile == expected.metadata.icc_profile == profile
    kept = Image.Exif()
    kept.load(source.metadata.exif)
    assert kept[0x010F] == "Maker"


def test_floating_point_lies_in_0_to_1_as_in_arrays(deep):
    fractions = deep.astype(np.float32) / 65535
    of_array = read_source(photo_file(fractions)).pixels
    assert np.array_equal(read_source(photo_file(Image.fromarray(fractions))).pixels, of_array)
    assert of_array.max() > 250
    said = r"the mask has values in \[0, 255\], but an image of mode F must lie in \[0, 1\]: divide"
    with pytest.raises(ValueError, match=said):
        photo_file(Image.fromarray(np.float32([[0, 255]])), "the mask")
    with pytest.raises(ValueError, match="mode F"):
        photo_file(Image.fromarray(np.float32([[0, np.nan]])))


@pytest.mark.parametrize("values", [[[0, 65535]], [[0, 255]], [[-1, 2**20]]])
def test_integers_of_32_bits_do_not_say_which_is_white(values):
    with pytest.raises(ValueError, match=r"the photo is a PIL image of mode I, .*give its file's"):
        photo_file(Image.fromarray(np.int32(values)))


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("kind", ["none", "RGB", "damaged"])
def test_cmyk_is_converted_as_from_its_file(tmp_path, suffix, kind):
    path = tmp_path / f"a{suffix}"
    profile = {
        "none": None,
        "RGB": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        "damaged": b"damaged",
    }[kind]
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    inks = np.random.default_rng(0).integers(0, 256, (5, 9, 4), dtype=np.uint8)
    image = Image.frombytes("CMYK", (9, 5), inks.tobytes())
    image.save(path, exif=exif, icc_profile=profile)

    expected = read_source(path)
    opened = opened_from(path)
    # The copy of a TIFF has no EXIF any more; its pixels are upright.
    for given in (opened, opened.copy()):
        file = photo_file(given)
        # What it is converted by; no CMYK profile is free to be shipped here.
        assert Image.open(io.BytesIO(file.read_bytes())).info.get("icc_profile") == profile
        source = read_source(file)
        assert np.array_equal(source.pixels, expected.pixels)
        assert source.notes == expected.notes == ("CMYK is converted to RGB",)
        assert source.metadata.icc_profile is None
        assert given is not opened or b"Maker" in source.metadata.exif


def test_damaged_exif_of_an_image_does_not_matter():
    image = Image.new("RGB", (4, 4))
    image.info["exif"] = b"Exif\0\0damaged"
    assert read_source(photo_file(image)).metadata.exif is None
