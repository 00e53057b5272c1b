"""What is written comes back: known pixels bit for bit, alpha and metadata, whole files only."""

import struct
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from lab.imaging import (
    PhotoMetadata,
    SourcePhoto,
    check_destination,
    paste_into_source,
    read_image,
    read_source,
    write_image,
    write_photo,
)

HEIGHT, WIDTH = 12, 15
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GPS, EXIF_DETAILS, LENS, ARTIST = 34853, 34665, 42036, 315


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def mask() -> torch.Tensor:
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, 3:7, 4:11] = 1
    return mask


def source_photo(depth: str, channels: int, alpha: bool, **metadata: object) -> SourcePhoto:
    generator = np.random.default_rng(5)
    shape = (HEIGHT, WIDTH, channels + alpha)
    if depth == "float32":
        samples = generator.random(shape, dtype=np.float32)
    else:
        samples = generator.integers(0, np.iinfo(depth).max + 1, shape, dtype=depth)
    return SourcePhoto(
        samples[..., :channels],
        samples[..., -1] if alpha else None,
        PhotoMetadata(**metadata),
    )


def camera_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    exif[ARTIST] = "Jane Doe"
    exif.get_ifd(EXIF_DETAILS)[LENS] = "50 mm"
    exif.get_ifd(GPS)[1] = "N"
    return exif


def known(pixels: np.ndarray, mask: torch.Tensor) -> np.ndarray:
    return pixels[~mask[0].numpy().astype(bool)]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".webp", ".bmp", ".PNG"])
def test_lossless_formats_give_the_image_back(tmp_path, image, suffix):
    path = tmp_path / f"out{suffix}"
    write_image(path, image)

    assert torch.equal(read_image(path), (image * 255).round() / 255)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("depth", "suffix"),
    [
        ("uint8", ".png"),
        ("uint8", ".tif"),
        ("uint8", ".webp"),
        ("uint16", ".png"),
        ("uint16", ".tif"),
        ("float32", ".tif"),
    ],
)
def test_every_depth_comes_back_bit_for_bit(tmp_path, depth, suffix, channels, alpha):
    photo = source_photo(depth, channels, alpha)
    write_photo(tmp_path / f"out{suffix}", photo)

    again = read_source(tmp_path / f"out{suffix}")
    # WebP knows no gray, and readers of TIFF no deep gray with alpha: three equal channels.
    assert np.array_equal(again.pixels, np.broadcast_to(photo.pixels, again.pixels.shape))
    assert again.pixels.dtype == photo.pixels.dtype
    if alpha:
        assert np.array_equal(again.alpha, photo.alpha)
    else:
        assert again.alpha is None


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_files_are_right_for_opencv_too(tmp_path, suffix, channels):
    photo = source_photo("uint16", channels, alpha=False)
    write_photo(tmp_path / f"out{suffix}", photo)

    read = cv2.imread(str(tmp_path / f"out{suffix}"), cv2.IMREAD_UNCHANGED)
    expected = photo.pixels[..., 0] if channels == 1 else photo.pixels[..., ::-1]
    assert np.array_equal(read, expected)


def test_pasting_changes_the_hole_alone(image, mask):
    for depth in ("uint8", "uint16", "float32"):
        source = source_photo(depth, 3, alpha=True)
        pasted = paste_into_source(source, image, mask)

        assert np.array_equal(known(pasted.pixels, mask), known(source.pixels, mask))
        assert np.array_equal(pasted.alpha, source.alpha)
        white = 1.0 if depth == "float32" else float(np.iinfo(depth).max)
        inside = mask[0].bool()
        # Over white, a translucent pixel shows nothing darker than its alpha leaves of the white.
        seen = pasted.opaque_pixels()[inside.numpy()].astype(np.float64) / white
        opacity = source.alpha[inside.numpy()][:, None].astype(np.float64) / white
        wanted = np.maximum(image[:, inside].T.numpy(), 1.0 - opacity)
        assert np.abs(seen - wanted).max() <= 1.01 / min(white, 65535.0)


def test_where_alpha_is_full_the_hole_holds_what_was_filled(image, mask):
    source = replace(
        source_photo("uint8", 3, alpha=True), alpha=np.full((HEIGHT, WIDTH), 255, np.uint8)
    )
    inside = mask[0].bool()
    wanted = image[:, inside].T.numpy() * 255
    pasted = paste_into_source(source, image, mask).pixels[inside.numpy()]
    assert np.abs(pasted - wanted).max() <= 0.501


def test_an_empty_mask_gives_the_source(image):
    source = source_photo("uint16", 3, alpha=False)

    pasted = paste_into_source(source, image, torch.zeros(1, HEIGHT, WIDTH))
    assert np.array_equal(pasted.pixels, source.pixels)


def test_gray_stays_gray(tmp_path, image, mask):
    source = source_photo("uint8", 1, alpha=False)
    write_photo(tmp_path / "out.png", paste_into_source(source, image, mask))

    written = Image.open(tmp_path / "out.png")
    assert written.mode == "L"
    assert np.array_equal(known(np.array(written), mask), known(source.pixels[..., 0], mask))
    luma = (image * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0) * 255
    inside = mask[0].bool()
    assert (torch.from_numpy(np.array(written))[inside] - luma[inside]).abs().max() <= 0.51


@pytest.mark.parametrize("mode", ["P", "CMYK", "1", "LA", "RGBA"])
def test_converted_layouts_keep_their_decoded_values(tmp_path, image, mask, mode):
    picture = Image.fromarray(source_photo("uint8", 3, alpha=False).pixels).convert(mode)
    before = tmp_path / ("before.tif" if mode == "CMYK" else "before.png")
    picture.save(before)
    write_photo(tmp_path / "after.png", paste_into_source(read_source(before), image, mask))

    first, second = read_source(before), read_source(tmp_path / "after.png")
    assert np.array_equal(known(first.pixels, mask), known(second.pixels, mask))
    assert first.is_gray == second.is_gray


def test_sizes_must_fit(image, mask):
    source = source_photo("uint8", 3, alpha=False)

    with pytest.raises(ValueError, match=r"15x10 .* but the photo is 15x12"):
        paste_into_source(source, image[:, :10], mask[:, :10])
    with pytest.raises(ValueError, match="does not fit the image"):
        paste_into_source(source, image, mask[:, :10])


@pytest.mark.parametrize(
    ("suffix", "depth"),
    [
        (".jpg", "uint8"),
        (".png", "uint8"),
        (".webp", "uint8"),
        (".tif", "uint8"),
        (".png", "uint16"),
        (".tif", "uint16"),
    ],
)
def test_metadata_is_kept_and_the_orientation_reset(tmp_path, image, suffix, depth):
    like = tmp_path / "like.jpg"
    Image.new("RGB", (HEIGHT, WIDTH)).save(
        like, exif=camera_exif(), icc_profile=PROFILE, dpi=(240, 240)
    )
    source = read_source(like)
    source = SourcePhoto(source.pixels.astype(depth), None, source.metadata)
    write_image(tmp_path / f"out{suffix}", image, like=source, lossy=True)

    written = Image.open(tmp_path / f"out{suffix}")
    written.load()
    exif = written.getexif()
    assert exif.get(274, 1) == 1
    assert exif[ARTIST] == "Jane Doe"
    assert exif.get_ifd(EXIF_DETAILS)[LENS] == "50 mm"
    assert exif.get_ifd(GPS)[1] == "N"
    assert written.info["icc_profile"] == PROFILE
    if suffix != ".webp":
        assert written.info["dpi"] == pytest.approx((240, 240), abs=0.1)
    assert written.size == (WIDTH, HEIGHT)


def test_the_thumbnail_does_not_keep_what_was_removed(tmp_path, image):
    like = tmp_path / "like.jpg"
    thumbnail = b"\xff\xd8 a small picture of the person \xff\xd9"
    body = bytearray(camera_exif(1).tobytes().removeprefix(b"Exif\0\0"))
    assert body[:2] == b"MM"
    # The first directory ends with a link to a second one: where a thumbnail lies, and its length.
    (start,) = struct.unpack_from(">I", body, 4)
    (entries,) = struct.unpack_from(">H", body, start)
    struct.pack_into(">I", body, start + 2 + 12 * entries, len(body))
    place = len(body) + 30
    body += struct.pack(">HHHIIHHIII", 2, 513, 4, 1, place, 514, 4, 1, len(thumbnail), 0)
    body += thumbnail
    Image.new("RGB", (WIDTH, HEIGHT)).save(like, exif=b"Exif\0\0" + bytes(body))
    assert thumbnail in like.read_bytes()

    for suffix in (".jpg", ".png", ".tif"):
        write_image(tmp_path / f"out{suffix}", image, like=like, lossy=True)
        assert thumbnail not in (tmp_path / f"out{suffix}").read_bytes()


def test_tags_about_a_tiff_files_layout_are_not_copied(tmp_path, image):
    like = tmp_path / "like.tif"
    Image.new("L", (WIDTH, HEIGHT)).save(
        like, tiffinfo={270: "a beach"}, compression="tiff_lzw", resolution=90, resolution_unit=3
    )
    write_image(tmp_path / "out.tif", image, like=like)

    written = Image.open(tmp_path / "out.tif")
    assert written.tag_v2[270] == "a beach"
    assert written.info["compression"] == "tiff_adobe_deflate"
    assert written.info["dpi"] == pytest.approx((90 * 2.54, 90 * 2.54))
    write_image(tmp_path / "out.png", image, like=like)
    assert 273 not in Image.open(tmp_path / "out.png").getexif()


@pytest.mark.parametrize(
    ("photo", "name", "message"),
    [
        (source_photo("uint8", 3, False), "a.jpg", "JPEG changes every pixel.*write a.png"),
        (source_photo("uint16", 3, False), "a.webp", "16 bits, which .webp cannot.*write a.png"),
        (source_photo("uint16", 1, False), "a.bmp", "16 bits"),
        (source_photo("float32", 3, False), "a.png", "floating point.*write a.tif"),
        (source_photo("uint8", 3, True), "a.bmp", "alpha channel"),
        (source_photo("uint8", 3, False), "a.gif", "no format is known for the suffix '.gif'"),
        (source_photo("uint8", 3, False), "a", "no format is known"),
    ],
)
def test_formats_that_lose_something_are_refused(tmp_path, photo, name, message):
    with pytest.raises(ValueError, match=message):
        check_destination(tmp_path / name, photo)
    with pytest.raises(ValueError, match=message):
        write_photo(tmp_path / name, photo)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".png"])
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_losses_that_are_allowed(tmp_path, suffix, depth):
    levels = np.full((16, 16, 3), 0.5) * (1 if depth == "float32" else np.iinfo(depth).max)
    half = np.full((16, 16), levels.max()).astype(depth)
    photo = SourcePhoto(levels.astype(depth), half)
    write_photo(tmp_path / f"out{suffix}", photo, lossy=True)

    # Half gray at half opacity, over white.
    assert read_image(tmp_path / f"out{suffix}").mean() == pytest.approx(0.75, abs=0.01)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, image, monkeypatch):
    path = tmp_path / "out.png"
    path.write_bytes(b"the old file")

    def full_disk(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_image(path, image)
    assert path.read_bytes() == b"the old file"
    assert list(tmp_path.iterdir()) == [path]


def test_values_outside_the_range_are_refused(tmp_path, image):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        write_image(tmp_path / "out.png", image * 2)
    with pytest.raises(ValueError, match=r"must be \(B, 3, H, W\)"):
        write_image(tmp_path / "out.png", image[:1])


def test_an_image_like_another_of_another_size_is_refused(tmp_path, image):
    with pytest.raises(ValueError, match="but the photo is 15x12"):
        write_image(tmp_path / "out.png", image[:, :5], like=source_photo("uint8", 3, True))
