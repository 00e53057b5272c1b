"""People's shapes from masks into a library, and out of it as holes."""

import hashlib
import pickle

import cv2
import jsonargparse
import numpy as np
import pytest
import torch
from PIL import Image

import lab.settings  # noqa: F401 (tells jsonargparse how to read the protocols)
from data_prep.clean_plate import main as clean_plate
from data_prep.silhouettes import main
from lab.contracts import MaskGenerator
from lab.masks import Silhouettes
from lab.masks.silhouettes import draw_figure, read_silhouettes, write_silhouettes
from tests.data_prep.making import WalkingClip, read_json


def put_mask(path, *shapes, size=(120, 160)):
    """Shapes at (top, left) on a black mask."""
    mask = np.zeros(size, np.uint8)
    for shape, top, left in shapes:
        mask[top : top + shape.shape[0], left : left + shape.shape[1]][shape] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def small_figure(seed, height=80):
    figure = draw_figure(np.random.default_rng(seed)).astype(np.uint8)
    width = max(1, round(figure.shape[1] * height / figure.shape[0]))
    figure = cv2.resize(figure, (width, height), interpolation=cv2.INTER_AREA)
    outlines, _ = cv2.findContours(figure, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(figure, outlines, -1, 1, cv2.FILLED).astype(bool)


def test_shapes_come_back_as_they_were(tmp_path):
    shapes = [small_figure(seed, height) for seed, height in ((0, 80), (1, 61), (2, 33))]
    write_silhouettes(tmp_path / "people.npz", shapes)

    for before, after in zip(shapes, read_silhouettes(tmp_path / "people.npz"), strict=True):
        assert np.array_equal(before, after)
    first = (tmp_path / "people.npz").read_bytes()
    write_silhouettes(tmp_path / "again.npz", shapes)
    assert (tmp_path / "again.npz").read_bytes() == first


def test_a_folder_of_masks_becomes_a_library(tmp_path, capsys):
    tall, other = small_figure(0), small_figure(1)
    ring = tall.copy()
    ring[30:34, ring.shape[1] // 2] = False
    wide = small_figure(2, 60).T
    put_mask(tmp_path / "masks/a.png", (tall, 10, 10), (other, 20, 90))
    put_mask(tmp_path / "masks/b.png", (ring, 5, 30))
    put_mask(tmp_path / "masks/deep/c.png", (wide, 40, 20), (tall, 50, 110), size=(130, 170))
    put_mask(tmp_path / "masks/cut.png", (other, 40, 40))
    put_mask(tmp_path / "masks/speck.png", (np.ones((4, 4), bool), 40, 40))
    (tmp_path / "masks/bad.png").write_bytes(b"")

    assert main([str(tmp_path / "masks"), str(tmp_path / "people.npz")]) == 0
    shapes = read_silhouettes(tmp_path / "people.npz")
    index = read_json(tmp_path / "people.json")
    # The ring is filled, and then equal to the first; `cut` ends at the mask's border.
    assert [shape.shape for shape in shapes] == [tall.shape, other.shape]
    assert np.array_equal(shapes[0], tall)
    assert [entry["mask"] for entry in index["shapes"]] == ["a.png", "a.png"]
    assert index["sha256"] == hashlib.sha256((tmp_path / "people.npz").read_bytes()).hexdigest()
    assert index["left_out"] == {
        "masks that cannot be read or are empty": 1,
        "shapes equal to others": 1,
        "shapes cut off by the mask's border": 2,
        "specks and scattered parts": 1,
        "shapes that are wider than high": 1,
    }
    assert "2 shapes" in capsys.readouterr().out

    options = ["--any-shape", "--cut-off"]
    assert main([str(tmp_path / "masks"), str(tmp_path / "more.npz"), *options]) == 0
    assert len(read_silhouettes(tmp_path / "more.npz")) > 2


def test_large_shapes_are_shrunk(tmp_path):
    put_mask(tmp_path / "masks/a.png", (small_figure(0, 600), 10, 10), size=(700, 700))
    assert main([str(tmp_path / "masks"), str(tmp_path / "people.npz")]) == 0
    assert read_silhouettes(tmp_path / "people.npz")[0].shape[0] == 192


def test_triplets_become_a_library(tmp_path):
    clip = WalkingClip().write(tmp_path / "walking.avi")
    assert clean_plate([str(clip), str(tmp_path / "triplets"), "--crop", "128"]) == 0
    assert main([str(tmp_path / "triplets"), str(tmp_path / "people.npz")]) == 0
    shapes = read_silhouettes(tmp_path / "people.npz")
    assert len(shapes) > 5
    assert all(height > width for height, width in (shape.shape for shape in shapes))


@pytest.mark.parametrize(
    ("source", "dest", "message"),
    [
        ("masks", "people.png", "name it people.npz"),
        ("nothing", "people.npz", "is no folder"),
        ("empty", "people.npz", "no masks in"),
        ("cut", "people.npz", "no person's shape in the 1 masks"),
    ],
)
def test_mistakes_are_answered_in_words(tmp_path, capsys, source, dest, message):
    put_mask(tmp_path / "masks/a.png", (small_figure(0), 10, 10))
    put_mask(tmp_path / "cut/a.png", (small_figure(0), 40, 10))
    (tmp_path / "empty").mkdir()

    assert main([str(tmp_path / source), str(tmp_path / dest)]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def library(tmp_path):
    write_silhouettes(tmp_path / "people.npz", [small_figure(seed) for seed in range(4)])
    return tmp_path / "people.npz"


def test_the_generator_keeps_its_contract_with_a_library(library):
    masks, generator = Silhouettes(library), np.random.default_rng(0)
    for height, width in [(256, 256), (32, 32), (33, 47), (32, 256), (256, 32)]:
        for _ in range(50):
            mask = masks(height, width, generator)
            assert mask.shape == (1, height, width)
            assert mask.dtype == torch.float32
            assert mask.unique().tolist() == [0.0, 1.0]
    again = Silhouettes(library)(64, 64, np.random.default_rng(3))
    assert torch.equal(masks(64, 64, np.random.default_rng(3)), again)


def test_people_have_the_height_asked_for_and_lie_anywhere(library):
    masks, generator = Silhouettes(library, height=(0.5, 0.6)), np.random.default_rng(1)
    tops, lefts = [], []
    for _ in range(200):
        mask = masks(128, 200, generator)[0]
        rows, columns = (mask.any(axis).nonzero()[:, 0] for axis in (1, 0))
        assert 0.5 * 128 - 2 <= rows[-1] - rows[0] + 1 <= 0.6 * 128 + 2
        tops.append(int(rows[0]))
        lefts.append(int(columns[0]))
    assert min(tops) < 6
    assert max(tops) > 50
    assert min(lefts) < 20
    assert max(lefts) > 140


def test_several_people_and_no_mirror(library):
    one = Silhouettes(library, mirror=False)
    drawn = one(80, 200, np.random.default_rng(0))
    assert drawn.sum() > 0
    crowd = Silhouettes(library, count=(5, 5))
    generator = np.random.default_rng(0)
    assert np.mean([float(crowd(64, 64, generator).mean()) for _ in range(20)]) > 0.2


def test_the_generator_travels_to_worker_processes(library):
    masks = pickle.loads(pickle.dumps(Silhouettes(library)))
    first, second = (np.random.default_rng(5) for _ in range(2))
    assert torch.equal(masks(64, 64, first), Silhouettes(library)(64, 64, second))


def test_a_settings_file_names_the_library(library):
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--masks", type=MaskGenerator)
    settings = f"masks:\n  class_path: lab.masks.Silhouettes\n  init_args:\n    library: {library}"
    masks = parser.instantiate(parser.parse_string(settings)).masks
    first, second = (np.random.default_rng(5) for _ in range(2))
    assert torch.equal(masks(64, 64, first), Silhouettes(library)(64, 64, second))


@pytest.mark.parametrize("content", [b"", b"PK\3\4 no zip", None])
def test_a_file_that_is_no_library(tmp_path, content):
    path = tmp_path / "people.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="library of silhouettes"):
        Silhouettes(path)


@pytest.mark.parametrize(
    "arrays",
    [
        {"sizes": np.zeros((0, 2), np.int32), "bits": np.zeros(0, np.uint8)},
        {"sizes": np.array([[9, 9]], np.int32), "bits": np.zeros(3, np.uint8)},
        {"sizes": np.array([9, 9], np.int32), "bits": np.zeros(11, np.uint8)},
        {"bits": np.zeros(3, np.uint8)},
        {"sizes": np.array([{"a": 1}]), "bits": np.zeros(3, np.uint8)},
    ],
)
def test_arrays_that_are_no_library(tmp_path, arrays):
    np.savez(tmp_path / "people.npz", **arrays)
    with pytest.raises(ValueError, match="library of silhouettes"):
        Silhouettes(tmp_path / "people.npz")
