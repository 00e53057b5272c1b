"""Photos of every format, depth and layout become the same upright RGB values, or are refused."""

import io
import pickle
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import GifImagePlugin, Image, ImageCms, ImageOps

from lab.imaging import UnreadablePhotoError, decode_photo, read_image, read_mask, read_source

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)


@pytest.fixture
def rgb16() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 65536, (13, 17, 3), dtype=np.uint16)


def smooth(height: int = 40, width: int = 60) -> np.ndarray:
    """A picture that lossy formats keep nearly as it is."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.dstack([rows * 3, columns * 2, 200 - rows - columns]).astype(np.uint8)


def turned(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores so that ``orientation`` brings ``upright`` back, by Pillow's turning."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    if undo is None:
        return upright
    # One channel after another, as integers: Pillow has no colour of 16 bits.
    channels = np.moveaxis(upright.astype(np.int32), 2, 0)
    stored = [np.array(Image.fromarray(channel).transpose(undo)) for channel in channels]
    return np.dstack(stored).astype(upright.dtype)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png16(samples: np.ndarray, colour_type: int, *extra: bytes) -> bytes:
    """A 16-bit PNG made by hand: no library at hand writes gray with alpha."""
    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


def tiff(samples: np.ndarray, **tags: int) -> bytes:
    """An uncompressed TIFF made by hand, with any ``t274=6``."""
    height, width, channels = samples.shape
    data = samples.tobytes()
    bits_at = 8 + len(data)
    bits = struct.pack(f"<{channels}H", *[8 * samples.itemsize] * channels)
    entries = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, channels, bits_at if channels > 2 else 8 * samples.itemsize),
        259: (3, 1, 1),
        262: (3, 1, 2 if channels > 2 else 1),
        273: (4, 1, 8),
        277: (3, 1, channels),
        278: (4, 1, height),
        279: (4, 1, len(data)),
    }
    if samples.dtype == np.float32:
        entries[339] = (3, 1, 3)
    entries |= {int(name[1:]): (3, 1, value) for name, value in tags.items()}
    directory = struct.pack("<H", len(entries))
    for tag, (kind, count, value) in sorted(entries.items()):
        directory += struct.pack("<HHII", tag, kind, count, value)
    padding = b"\0" * ((bits_at + len(bits)) % 2)
    start = bits_at + len(bits) + len(padding)
    head = b"II*\0" + struct.pack("<I", start)
    return head + data + bits + padding + directory + b"\0\0\0\0"


def written(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp"])
def test_a_lossless_file_gives_its_pixels(tmp_path, rgb, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(rgb).save(path, **({"lossless": True} if suffix == ".webp" else {}))

    assert np.array_equal(decode_photo(path), rgb)
    image = read_image(path)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    assert torch.equal(image, torch.from_numpy(rgb).permute(2, 0, 1).float() / 255)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_a_lossy_file_gives_nearly_its_pixels(tmp_path, suffix):
    path = tmp_path / f"photo{suffix}"
    Image.fromarray(smooth()).save(path, quality=95)

    assert np.abs(decode_photo(path).astype(int) - smooth()).mean() < 2


def test_the_content_decides_not_the_suffix(tmp_path, rgb):
    path = tmp_path / "photo.jpg"
    Image.fromarray(rgb).save(path, format="PNG")

    assert np.array_equal(decode_photo(path), rgb)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_every_exif_orientation_is_applied(tmp_path, rgb, suffix, orientation):
    path = tmp_path / f"photo{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    options = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(turned(rgb, orientation)).save(path, exif=exif, **options)

    assert np.array_equal(decode_photo(path), rgb)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_orientation_agrees_with_pillow(tmp_path, orientation):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(smooth()).save(path, exif=exif)

    expected = np.array(ImageOps.exif_transpose(Image.open(path)))
    assert np.array_equal(decode_photo(path), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bit_files(tmp_path, rgb16, orientation):
    stored = turned(rgb16, orientation)
    exif = Image.Exif()
    exif[274] = orientation
    chunk = png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    as_png = written(tmp_path, "a.png", png16(stored, 2, chunk))
    as_tiff = written(tmp_path, "a.tif", tiff(stored, t274=orientation))

    assert np.array_equal(read_source(as_png).pixels, rgb16)
    assert np.array_equal(read_source(as_tiff).pixels, rgb16)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_impossible_orientation_is_upright(tmp_path, rgb, orientation):
    path = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(rgb).save(path, exif=exif)

    assert np.array_equal(decode_photo(path), rgb)


def test_damaged_exif_does_not_matter(tmp_path, rgb):
    path = tmp_path / "photo.png"
    Image.fromarray(rgb).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")

    assert np.array_equal(decode_photo(path), rgb)


def test_gray_becomes_three_equal_channels(tmp_path, rgb):
    gray = rgb[..., 0]
    Image.fromarray(gray).save(tmp_path / "gray.png")

    assert np.array_equal(decode_photo(tmp_path / "gray.png"), np.dstack([gray] * 3))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_one_bit_is_black_and_white(tmp_path, suffix):
    bits = np.random.default_rng(2).random((9, 11)) < 0.5
    Image.fromarray(bits).save(tmp_path / f"bits{suffix}")

    assert np.array_equal(decode_photo(tmp_path / f"bits{suffix}")[..., 1], bits * 255)


def test_a_palette_gives_its_colours(tmp_path):
    picture = Image.fromarray(smooth()).quantize(16)
    picture.save(tmp_path / "palette.png")

    expected = np.array(picture.convert("RGB"))
    assert np.array_equal(decode_photo(tmp_path / "palette.png"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_composited_on_white(tmp_path, mode):
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0, 3] = 255
    picture = Image.fromarray(pixels)
    if mode == "P":
        picture = picture.convert("RGB").quantize(2)
        picture.info["transparency"] = int(np.array(picture)[1, 1])
        expected = np.full((2, 2), 255)
    else:
        picture = picture.convert(mode)
        expected = np.array([[0, 255], [255, 255]])
    picture.save(tmp_path / "cut.png")

    assert np.array_equal(decode_photo(tmp_path / "cut.png")[..., 0], expected)


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (3, 3), (0, 100, 255, 128)).save(tmp_path / "half.png")

    # 255 - 128 = 127 parts of white: 0 -> 127, 100 -> 100 * 128 / 255 + 127 = 177.2
    assert decode_photo(tmp_path / "half.png")[0, 0].tolist() == [127, 177, 255]
    assert read_source(tmp_path / "half.png").pixels[0, 0].tolist() == [0, 100, 255]


def test_a_transparent_colour_of_rgb_png(tmp_path):
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 1] = (10, 20, 30)
    Image.fromarray(pixels).save(tmp_path / "key.png", transparency=(10, 20, 30))

    assert read_source(tmp_path / "key.png").alpha.tolist() == [[255, 0], [255, 255]]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_scaled_not_clipped(tmp_path, rgb16, suffix):
    path = tmp_path / f"deep{suffix}"
    cv2.imwrite(str(path), rgb16[..., ::-1])

    assert np.array_equal(decode_photo(path), np.rint(rgb16 / 257).astype(np.uint8))
    image = read_image(path)
    assert torch.equal((image * 65535).round().permute(1, 2, 0), torch.from_numpy(rgb16).float())


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_gray(tmp_path, rgb16, suffix):
    path = tmp_path / f"deep{suffix}"
    cv2.imwrite(str(path), rgb16[..., 0])

    source = read_source(path)
    assert source.is_gray
    assert np.array_equal(source.pixels[..., 0], rgb16[..., 0])
    assert np.array_equal(decode_photo(path)[..., 2], np.rint(rgb16[..., 0] / 257))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_alpha(tmp_path, rgb16, suffix):
    alpha = rgb16[..., 0] // 2
    path = tmp_path / f"deep{suffix}"
    if suffix == ".png":
        cv2.imwrite(str(path), np.dstack([rgb16[..., ::-1], alpha]))
    else:
        written(tmp_path, path.name, tiff(np.dstack([rgb16, alpha]), t338=2))

    source = read_source(path)
    assert np.array_equal(source.pixels, rgb16)
    assert np.array_equal(source.alpha, alpha)


def test_16_bit_gray_with_alpha_and_with_a_transparent_level(tmp_path, rgb16):
    with_alpha = written(tmp_path, "a.png", png16(rgb16[..., :2], 4))
    key = png_chunk(b"tRNS", struct.pack(">H", rgb16[0, 0, 0]))
    with_key = written(tmp_path, "b.png", png16(rgb16[..., :1], 0, key))

    source = read_source(with_alpha)
    assert np.array_equal(source.pixels[..., 0], rgb16[..., 0])
    assert np.array_equal(source.alpha, rgb16[..., 1])
    alpha = read_source(with_key).alpha
    assert alpha[0, 0] == 0
    assert (alpha == 65535).sum() == (rgb16[..., 0] != rgb16[0, 0, 0]).sum()


def test_deep_gray_where_zero_is_white(tmp_path, rgb16):
    path = written(tmp_path, "negative.tif", tiff(rgb16[..., :1], t262=0))

    assert np.array_equal(read_source(path).pixels, 65535 - rgb16[..., :1])


def test_colours_multiplied_by_alpha_are_restored(tmp_path):
    pixels = np.full((2, 2, 4), (10000, 20000, 32768, 32768), np.uint16)
    path = written(tmp_path, "multiplied.tif", tiff(pixels, t338=1))

    assert np.allclose(read_source(path).pixels[0, 0], [20000, 40000, 65535], atol=1)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floating_point_tiff(tmp_path, channels):
    values = np.random.default_rng(3).random((5, 7, channels), dtype=np.float32)
    path = written(tmp_path, "float.tif", tiff(values, **({"t338": 2} if channels == 4 else {})))

    source = read_source(path)
    assert source.pixels.dtype == np.float32
    assert np.array_equal(source.pixels, values[..., :3])
    if channels == 3:
        assert torch.equal(read_image(path), torch.from_numpy(values).permute(2, 0, 1))
        assert np.array_equal(decode_photo(path), np.rint(values.astype(np.float64) * 255))


@pytest.mark.parametrize("worst", [255.0, -1.0, np.nan])
def test_floats_outside_0_to_1_are_refused(tmp_path, worst):
    values = np.full((5, 7, 3), 0.5, np.float32)
    values[2, 2, 1] = worst
    path = written(tmp_path, "float.tif", tiff(values))

    with pytest.raises(UnreadablePhotoError, match=r"must lie in \[0, 1\]"):
        read_image(path)


@pytest.mark.parametrize(
    ("samples", "tags", "reason"),
    [
        (np.zeros((5, 7, 3), np.uint32), {}, "32-bit integer"),
        (np.zeros((5, 7, 3), np.uint16), {"t339": 2}, "16-bit integer"),
        (np.zeros((5, 7, 3), np.uint16), {"t284": 2}, "planar configuration 2"),
        (np.zeros((5, 7, 2), np.uint16), {"t338": 2}, "layout"),
    ],
)
def test_layouts_that_decoders_get_wrong_are_refused(tmp_path, samples, tags, reason):
    path = written(tmp_path, "odd.tif", tiff(samples, **tags))

    with pytest.raises(UnreadablePhotoError, match=reason):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb(tmp_path, suffix):
    # Pillow writes CMYK in JPEG files as Adobe does: inverted, with Adobe's marker.
    inks = {(0, 255, 255, 0): (255, 0, 0), (0, 0, 0, 0): (255, 255, 255), (0, 0, 0, 255): (0, 0, 0)}
    for ink, colour in inks.items():
        path = tmp_path / f"ink{suffix}"
        Image.new("CMYK", (16, 16), ink).save(path)

        decoded = decode_photo(path)[8, 8].astype(int)
        assert np.abs(decoded - colour).max() <= 3, (ink, decoded)
    assert any("CMYK" in note for note in read_source(path).notes)


@pytest.mark.parametrize("is_damaged", [False, True])
def test_cmyk_with_a_profile_that_will_not_do_falls_back_to_the_formula(tmp_path, is_damaged):
    of_other_colours = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = b"no profile" if is_damaged else of_other_colours
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.tif", icc_profile=profile)

    source = read_source(tmp_path / "a.tif")
    assert source.pixels[8, 8].tolist() == [255, 0, 0]
    assert source.metadata.icc_profile is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_refused(tmp_path, suffix, share):
    path = tmp_path / f"photo{suffix}"
    noise = np.random.default_rng(4).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(UnreadablePhotoError) as caught:
        decode_photo(path)
    assert caught.value.path == path
    assert caught.value.reason


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_16_bit_file_is_refused(tmp_path, rgb16, suffix, share):
    path = tmp_path / f"deep{suffix}"
    cv2.imwrite(str(path), rgb16)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(UnreadablePhotoError):
        decode_photo(path)


def test_a_16_bit_tiff_whose_pixels_lie_beyond_its_end_is_refused(tmp_path, rgb16):
    data = tiff(rgb16)
    where = struct.pack("<HHI", 273, 4, 1)
    moved = data.replace(where + struct.pack("<I", 8), where + struct.pack("<I", len(data) - 9))
    path = written(tmp_path, "deep.tif", moved)

    with pytest.raises(UnreadablePhotoError, match="truncated"):
        decode_photo(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "no JPEG, PNG, WebP, BMP, TIFF or GIF"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 50, "HEIC"),
        (b"GIF89a" + b"\0" * 50, "no JPEG"),
        (b"II*\0" + b"\xff" * 50, "."),
        (b"II+\0" + b"\0" * 50, "BigTIFF"),
    ],
)
def test_what_is_no_photo_is_refused_with_its_reason(tmp_path, data, reason):
    path = written(tmp_path, "photo.jpg", data)

    with pytest.raises(UnreadablePhotoError, match=reason):
        read_image(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(UnreadablePhotoError, match="no such file"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(UnreadablePhotoError, match="folder"):
        read_image(tmp_path)


def test_a_decompression_bomb_is_named(tmp_path):
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"")
    path = written(tmp_path, "bomb.png", bomb)

    with pytest.raises(UnreadablePhotoError, match="decompression bomb"):
        decode_photo(path)


def test_animations_are_refused_and_pages_noted(tmp_path, rgb):
    frames = [Image.fromarray(rgb), Image.fromarray(255 - rgb)]
    for suffix in (".png", ".webp"):
        frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
        with pytest.raises(UnreadablePhotoError, match="it is an animation"):
            read_image(tmp_path / f"a{suffix}")
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    source = read_source(tmp_path / "a.tif")
    assert np.array_equal(source.pixels, rgb)
    assert "several pages" in source.notes[0]


def test_a_gif_is_read_as_its_first_frame_and_a_note_says_so(tmp_path, rgb):
    frames = [Image.fromarray(pixels).quantize(64) for pixels in (rgb, 255 - rgb)]
    frames[0].save(tmp_path / "still.gif")
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=100)
    still, animated = read_source(tmp_path / "still.gif"), read_source(tmp_path / "a.gif")
    first = np.asarray(frames[0].convert("RGB"))
    assert still.notes == ()
    assert animated.notes == ("the GIF is animated: its first frame is read",)
    for source in (still, animated):
        assert np.array_equal(source.pixels, first)
        assert source.alpha is None


def test_a_gifs_transparent_colour_is_its_alpha(tmp_path):
    image = Image.new("P", (4, 3), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.gif", transparency=0)
    source = read_source(tmp_path / "a.gif")
    assert source.alpha[0, 0] == 0
    assert (np.delete(source.alpha.reshape(-1), 0) == 255).all()
    assert source.pixels[1, 1].tolist() == [40, 50, 60]


def test_a_gif_as_a_mask(tmp_path):
    mask = Image.new("L", (17, 13))
    mask.paste(255, (3, 3, 9, 9))
    mask.save(tmp_path / "mask.gif")
    assert read_mask(tmp_path / "mask.gif", (13, 17)).mask.sum() == 36


def test_a_gif_of_a_million_frames_is_not_gone_through(tmp_path, monkeypatch):
    frames = [Image.new("L", (8, 8), level) for level in range(20)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    seen = []
    seek = GifImagePlugin.GifImageFile._seek

    def counted(self, frame, update_image=True):
        seen.append(frame)
        seek(self, frame, update_image)

    monkeypatch.setattr(GifImagePlugin.GifImageFile, "_seek", counted)
    read_source(tmp_path / "a.gif")
    assert max(seen) == 1


def test_a_damaged_gif_is_refused(tmp_path, rgb):
    Image.fromarray(rgb).quantize().save(tmp_path / "a.gif")
    data = (tmp_path / "a.gif").read_bytes()
    for share in (0.1, 0.5, 0.95):
        (tmp_path / "a.gif").write_bytes(data[: int(share * len(data))])
        with pytest.raises(UnreadablePhotoError):
            read_image(tmp_path / "a.gif")


def test_the_error_survives_worker_processes():
    error = UnreadablePhotoError("a.jpg", "the file is empty")

    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.reason) == (str(error), error.reason)


def test_metadata_is_read(tmp_path, rgb):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[271] = "Maker"
    Image.fromarray(rgb).save(tmp_path / "a.jpg", exif=exif, icc_profile=profile, dpi=(300, 300))

    metadata = read_source(tmp_path / "a.jpg").metadata
    assert Image.open(io.BytesIO((tmp_path / "a.jpg").read_bytes())).getexif()[271] == "Maker"
    kept = Image.Exif()
    kept.load(metadata.exif)
    assert kept[271] == "Maker"
    assert metadata.icc_profile == profile
    assert metadata.dpi == (300, 300)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_every_shared_photo_decodes_as_pillow_decodes_it():
    paths = [
        path
        for folder in ("people", "places2", "photos/val")
        for path in sorted((SHARED / folder).iterdir())[:20]
    ]
    assert paths
    for path in paths:
        expected = np.array(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        assert np.array_equal(decode_photo(path), expected), path
