"""Mask files become exactly 0 and 1 with 1 = hole, or are refused with what was found."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from lab.imaging import UnreadablePhotoError, read_mask

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.fixture
def hole() -> np.ndarray:
    """An ellipse, somewhat off the middle."""
    rows, columns = np.mgrid[0:60, 0:80]
    return ((rows - 25) / 15) ** 2 + ((columns - 45) / 20) ** 2 < 1


def saved(folder: Path, levels: np.ndarray, name: str = "mask.png", **options: object) -> Path:
    path = folder / name
    Image.fromarray(levels).save(path, **options)
    return path


def as_tensor(hole: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(hole.astype(np.float32))[None]


def test_white_is_hole(tmp_path, hole):
    reading = read_mask(saved(tmp_path, hole.astype(np.uint8) * 255), (60, 80))

    assert reading.mask.dtype == torch.float32
    assert torch.equal(reading.mask, as_tensor(hole))
    assert reading.note is None


def test_inverted_black_is_hole(tmp_path, hole):
    path = saved(tmp_path, (~hole).astype(np.uint8) * 255)

    assert torch.equal(read_mask(path, invert=True).mask, as_tensor(hole))


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "RGBA", "LA", "16"])
def test_every_pixel_layout(tmp_path, hole, mode):
    path = tmp_path / "mask.png"
    levels = hole.astype(np.uint8) * 255
    if mode == "16":
        cv2.imwrite(str(path), levels.astype(np.uint16) * 257)
    else:
        Image.fromarray(levels).convert(mode).save(path)

    assert torch.equal(read_mask(path).mask, as_tensor(hole))


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_fuzz_is_cut_at_half_and_reported(tmp_path, hole, quality, mode):
    path = tmp_path / "mask.jpg"
    Image.fromarray(hole.astype(np.uint8) * 255).convert(mode).save(path, quality=quality)

    reading = read_mask(path)
    assert set(reading.mask.unique().tolist()) == {0.0, 1.0}
    # Low qualities move the contour a little, and never leave specks elsewhere.
    assert (reading.mask - as_tensor(hole)).abs().sum() < 0.01 * hole.size
    assert "neither black nor white" in reading.note
    levels = np.array(Image.open(path).convert("L"))
    assert f"{((levels > 0) & (levels < 255)).sum()} pixels" in reading.note


def test_an_anti_aliased_contour_is_fine(tmp_path, hole):
    smooth = Image.fromarray(hole.astype(np.uint8) * 255).resize((640, 480))
    path = tmp_path / "mask.png"
    smooth.filter(ImageFilter.GaussianBlur(1)).resize((320, 240)).save(path)

    assert 0 < read_mask(path).mask.mean() < 0.5


@pytest.mark.parametrize(
    "levels",
    [
        np.tile(np.arange(0, 256, 2, dtype=np.uint8), (40, 1)),
        np.full((40, 40), 128, np.uint8),
        np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8),
    ],
    ids=["gradient", "flat", "noise"],
)
def test_a_gray_mask_is_refused_with_the_values_found(tmp_path, levels):
    with pytest.raises(ValueError, match=r"is gray: .*most frequent values: \d+ \("):
        read_mask(saved(tmp_path, levels))


def test_a_small_gray_hole_is_refused_too(tmp_path):
    levels = np.zeros((200, 200), np.uint8)
    levels[50:60, 50:60] = 150  # 0.25 % of the picture, but all there is

    with pytest.raises(ValueError, match=r"is gray: .* 150 \(0\.25 %\)"):
        read_mask(saved(tmp_path, levels))


def test_a_widely_feathered_mask_is_refused(tmp_path, hole):
    soft = Image.fromarray(hole.astype(np.uint8) * 255).filter(ImageFilter.GaussianBlur(8))
    soft.save(tmp_path / "soft.png")

    with pytest.raises(ValueError, match="is gray"):
        read_mask(tmp_path / "soft.png")


def test_colour_is_refused_and_shown(tmp_path, hole):
    levels = np.zeros((60, 80, 3), np.uint8)
    levels[hole] = (255, 0, 0)

    with pytest.raises(ValueError, match=r"has colours \(RGB \(255, 0, 0\)"):
        read_mask(saved(tmp_path, levels))


@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0), (0, 0, 0)])
def test_strokes_on_a_transparent_layer(tmp_path, hole, colour):
    layer = np.zeros((60, 80, 4), np.uint8)
    layer[hole] = (*colour, 255)

    reading = read_mask(saved(tmp_path, layer))
    assert torch.equal(reading.mask, as_tensor(hole))
    assert "alpha channel" in reading.note


def test_black_and_white_on_a_transparent_layer(tmp_path, hole):
    layer = np.zeros((60, 80, 4), np.uint8)
    layer[5:55] = (0, 0, 0, 255)
    layer[hole] = (255, 255, 255, 255)
    layer[:5] = (255, 255, 255, 0)

    reading = read_mask(saved(tmp_path, layer))
    assert torch.equal(reading.mask, as_tensor(hole))
    assert "transparent pixels count as black" in reading.note


def test_a_photo_with_a_transparent_hole_is_refused(tmp_path, hole):
    photo = np.random.default_rng(0).integers(0, 256, (60, 80, 4), dtype=np.uint8)
    photo[..., 3] = np.where(hole, 0, 255)

    with pytest.raises(ValueError, match="Is it a photo"):
        read_mask(saved(tmp_path, photo))


def test_a_wholly_transparent_mask_is_refused(tmp_path):
    with pytest.raises(ValueError, match="transparent all over"):
        read_mask(saved(tmp_path, np.zeros((5, 5, 4), np.uint8)))


def test_another_size_is_refused(tmp_path, hole):
    path = saved(tmp_path, hole.astype(np.uint8) * 255)

    with pytest.raises(ValueError, match=r"is 80x60 .* but the photo is 100x60"):
        read_mask(path, (60, 100))
    with pytest.raises(ValueError, match="lies on its side"):
        read_mask(path, (80, 60))


@pytest.mark.parametrize(
    ("levels", "invert", "message"),
    [
        (0, False, r"is empty: no pixel is white .*0 \(100 %\)"),
        (255, True, r"is empty: no pixel is black .*255 \(100 %\).*leave out --invert-mask"),
        (255, False, r"covers the whole photo: every pixel is white .*use --invert-mask"),
        (0, True, "covers the whole photo: every pixel is black"),
    ],
)
def test_nothing_and_everything_are_refused(tmp_path, levels, invert, message):
    path = saved(tmp_path, np.full((6, 8), levels, np.uint8))

    with pytest.raises(ValueError, match=message):
        read_mask(path, invert=invert)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_a_label_map_of_zeros_and_ones_says_how_to_scale_it(tmp_path, hole, depth):
    path = tmp_path / "labels.png"
    cv2.imwrite(str(path), hole.astype(depth))

    with pytest.raises(ValueError, match=f"values end at 1; .* scale it to {np.iinfo(depth).max}"):
        read_mask(path)


def test_mostly_white_is_noted(tmp_path, hole):
    reading = read_mask(saved(tmp_path, (~hole).astype(np.uint8) * 255))

    assert torch.equal(reading.mask, as_tensor(~hole))
    assert "--invert-mask" in reading.note


def test_orientation_is_applied_to_masks_too(tmp_path, hole):
    exif = Image.Exif()
    exif[274] = 6
    stored = np.rot90(hole).astype(np.uint8) * 255

    path = saved(tmp_path, np.ascontiguousarray(stored), exif=exif)
    assert torch.equal(read_mask(path, (60, 80)).mask, as_tensor(hole))


def test_an_unreadable_mask(tmp_path):
    with pytest.raises(UnreadablePhotoError, match="no such file"):
        read_mask(tmp_path / "mask.png")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_published_masks_are_plain_black_and_white():
    for path in sorted((SHARED / "places2").glob("mask_*.png")):
        reading = read_mask(path, (256, 256))
        assert reading.note is None
        assert 0.2 < reading.mask.mean() < 0.5
