"""Drawings of lines and maps of objects, as people save them, or a refusal that says why."""

import numpy as np
import pytest
import torch
from PIL import Image

from lab.imaging import read_instances, read_strokes

SIZE = (60, 80)


def lines():
    drawn = np.zeros(SIZE, bool)
    drawn[20, 5:70] = True
    drawn[5:50, 33] = True
    return drawn


def saved(folder, levels, name="lines.png", **options):
    Image.fromarray(levels).save(folder / name, **options)
    return folder / name


def transparent(drawn):
    """Black strokes on nothing, as drawing programs save them."""
    pixels = np.zeros((*SIZE, 4), np.uint8)
    pixels[drawn, 3] = 255
    return pixels


@pytest.mark.parametrize(
    ("levels", "noted"),
    [
        (lambda drawn: np.where(drawn, 255, 0).astype(np.uint8), None),
        (lambda drawn: np.where(drawn, 0, 255).astype(np.uint8), "dark lines on light"),
        (lambda drawn: np.where(drawn[..., None], (200, 20, 20), 255).astype(np.uint8), "dark"),
        (transparent, "dark lines on light"),
    ],
    ids=["light on dark", "dark on light", "red on white", "black on nothing"],
)
def test_lines_are_read_in_every_colour(tmp_path, levels, noted):
    reading = read_strokes(saved(tmp_path, levels(lines())), SIZE)
    assert torch.equal(reading.strokes, torch.from_numpy(lines()).float()[None])
    assert reading.note is None if noted is None else noted in reading.note


@pytest.mark.parametrize("factor", [0.25, 0.4, 2, 3.5])
def test_thin_lines_survive_another_size(tmp_path, factor):
    path = saved(tmp_path, np.where(lines(), 255, 0).astype(np.uint8))
    size = round(SIZE[0] * factor), round(SIZE[1] * factor)
    reading = read_strokes(path, size)
    assert reading.strokes.shape == (1, *size)
    assert set(reading.strokes.unique().tolist()) == {0.0, 1.0}
    row = reading.strokes[0, round(20.5 * factor - 0.5)]
    assert row[round(6 * factor) : round(69 * factor)].all()
    assert f"scaled from 80x60 to {size[1]}x{size[0]}" in reading.note


def test_what_is_no_drawing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no lines: every pixel is light"):
        read_strokes(saved(tmp_path, np.full(SIZE, 255, np.uint8)), SIZE)
    half = np.tile(np.where(np.arange(80) < 41, 0, 255).astype(np.uint8), (60, 1))
    with pytest.raises(ValueError, match=r"no drawing of lines: 48\.8 % of its pixels are light"):
        read_strokes(saved(tmp_path, half), SIZE)
    path = saved(tmp_path, np.where(lines(), 255, 0).astype(np.uint8))
    with pytest.raises(ValueError, match=r"the edges .* is 80x60 .* but the photo is 60x80"):
        read_strokes(path, (80, 60), "edges")


def test_every_value_or_colour_of_a_map_is_an_object(tmp_path):
    ids = np.random.default_rng(0).integers(0, 6, SIZE)
    expected = torch.from_numpy(ids).int()[None]
    colours = np.random.default_rng(1).permutation(256)[:18].reshape(6, 3).astype(np.uint8)
    palette = Image.fromarray(ids.astype(np.uint8), "P")
    palette.putpalette(colours.tobytes())
    palette.save(tmp_path / "palette.png")
    for path in (
        saved(tmp_path, (40 * ids).astype(np.uint8), "gray.png"),
        saved(tmp_path, (9000 * ids + 3).astype(np.uint16), "deep.png"),
        saved(tmp_path, colours[ids], "colours.png"),
        tmp_path / "palette.png",
    ):
        found = read_instances(path, SIZE)
        assert found.dtype == torch.int32
        # The same pixels are of one object, by whatever number.
        pairs = {*zip(found.flatten().tolist(), expected.flatten().tolist(), strict=True)}
        assert len(pairs) == 6


def test_what_is_no_map_is_refused(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"holds \d+ values, and at most 4096 objects"):
        read_instances(saved(tmp_path, photo, "photo.png"), (100, 100))
    with pytest.raises(ValueError, match=r"is 100x100 .* but its photo is 80x60"):
        read_instances(tmp_path / "photo.png", SIZE)
