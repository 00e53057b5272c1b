"""Sets that are judged by are read as they were written, or refused."""

import json
import os
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from data_prep import clean_plate, evaluation_sets
from lab.checks import check_image, check_mask
from lab.data import read_evaluation_set
from lab.formats.manifests import PAIRS, TRIPLETS
from lab.imaging import from_uint8
from lab.metrics import hole_ratio
from tests.data.shards import pack
from tests.data_prep.making import SHARED, WalkingClip


@pytest.fixture(scope="module")
def walkers():
    return WalkingClip(frames=40, walkers=1)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Ten pairs of real photos, 64 pixels: 1, 4, 4 and 1 in the bins."""
    folder = tmp_path_factory.mktemp("pairs")
    shards = pack(folder, "val_256", count=12)
    options = ["--set", "valid", "--total", "10", "--size", "64"]
    assert evaluation_sets.main([str(shards), str(folder / "set"), *options]) == 0
    return folder / "set"


@pytest.fixture(scope="module")
def triplets(tmp_path_factory, walkers):
    """Crops, and whole frames, of figures that walk before a photo."""
    folder = tmp_path_factory.mktemp("triplets")
    clip = walkers.write(folder / "clip.avi")
    for name, crop in (("crops", ["--crop", "64"]), ("frames", [])):
        assert clean_plate.main([str(clip), str(folder / name), *crop]) == 0
    return folder


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def pixels(folder, record):
    return from_uint8(np.asarray(Image.open(folder / record["file"])))


def test_pairs_come_back_with_their_bins_and_the_photo_as_truth(pairs):
    found = read_evaluation_set(pairs)
    listed = manifest_of(pairs)["pairs"]
    assert found.kind == PAIRS
    assert len(found) == len(listed) == 10
    for sample, pair in zip(map(found.__getitem__, range(10)), listed, strict=True):
        assert sample.name == pair["name"]
        assert torch.equal(sample.image, pixels(pairs, pair["photo"]))
        assert sample.truth is sample.image
        assert float(hole_ratio(sample.mask[None])) == pytest.approx(pair["hole_ratio"])
        low, high = map(float, sample.ratio_bin.split("-"))
        assert low <= float(hole_ratio(sample.mask[None])) < high
    assert found.summary().endswith(
        "10 samples of 64x64 pixels (1 in 0.0-0.3, 4 in 0.3-0.5, 4 in 0.5-0.7, 1 in 0.7-0.9)"
    )


@pytest.mark.parametrize(("name", "size"), [("crops", (64, 64)), ("frames", (160, 240))])
def test_triplets_come_back_with_what_was_behind_the_people(triplets, walkers, name, size):
    found = read_evaluation_set(str(triplets / name))
    listed = manifest_of(triplets / name)["triplets"]
    behind = from_uint8(walkers.background(0))
    assert (found.kind, found.size) == (TRIPLETS, size)
    assert len(found) == len(listed) > 3
    for index, triplet in enumerate(listed):
        sample = found[index]
        assert (sample.name, sample.ratio_bin) == (triplet["name"], None)
        assert torch.equal(sample.image, pixels(triplets / name, triplet["frame"]))
        assert torch.equal(sample.truth, pixels(triplets / name, triplet["background"]))
        known = sample.mask == 0
        assert torch.equal(sample.image * known, sample.truth * known)
        if name == "frames":
            hole = sample.mask[0] == 1
            seen, restored = (
                (part - behind)[:, hole].abs().mean() for part in (sample.image, sample.truth)
            )
            # The video's compression and its noise are in both.
            assert 2 * restored < 0.06 < 2 * seen


def test_batches_hold_every_sample_in_order_and_keep_the_conventions(pairs, triplets):
    for folder in (pairs, triplets / "crops", triplets / "frames"):
        found = read_evaluation_set(folder)
        for workers in (0, 1):
            batches = list(found.batches(4, workers))
            assert [name for batch in batches for name in batch.name] == [
                record.name for record in found.records
            ]
        for batch in batches:
            check_image(batch.image)
            check_image(batch.truth)
            check_mask(batch.mask, batch.image)
            assert batch.image.shape[2:] == found.size
            assert len(batch.ratio_bin) == len(batch.image)


def paint(path):
    with Image.open(path) as image:
        image.convert("RGB").rotate(180).save(path)


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("pairs", "photos/0003.png"),
        ("pairs", "masks/0009.png"),
        ("triplets", "frames"),
        ("triplets", "masks"),
        ("triplets", "backgrounds"),
    ],
)
@pytest.mark.parametrize("harm", [paint, os.remove])
def test_an_altered_set_is_refused_before_it_is_scored(pairs, triplets, tmp_path, kind, file, harm):
    folder = shutil.copytree(pairs if kind == "pairs" else triplets / "crops", tmp_path / "set")
    path = folder / file if kind == "pairs" else sorted((folder / file).iterdir())[2]
    harm(path)
    said = "was altered" if harm is paint else "cannot be read (No such file"
    with pytest.raises(ValueError, match=re.escape(f"{path}") + ".*" + re.escape(said)):
        read_evaluation_set(folder)


def rewrite(folder, **changes):
    (folder / "manifest.json").write_text(json.dumps(manifest_of(folder) | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"kind": "silhouettes"},
            "is of the kind 'silhouettes', not of evaluation set or",
        ),
        ({"pairs": []}, "lists no samples"),
        ({"pairs": [{"name": "0000"}]}, "is damaged (KeyError: 'bin')"),
        ({"pairs": None}, "is damaged (TypeError"),
    ],
)
def test_a_manifest_that_does_not_fit_is_named(pairs, tmp_path, changes, said):
    folder = shutil.copytree(pairs, tmp_path / "set")
    rewrite(folder, **changes)
    with pytest.raises(ValueError, match=re.escape(said)):
        read_evaluation_set(folder)


def test_a_sample_of_another_size_than_the_manifest_says_is_refused(pairs, tmp_path):
    folder = shutil.copytree(pairs, tmp_path / "set")
    rewrite(folder, size=48)
    with pytest.raises(ValueError, match=r"0000.png has 64x64 pixels .* says 48x48"):
        _ = read_evaluation_set(folder)[0]


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match=r"has no manifest\.json"):
            read_evaluation_set(folder)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        read_evaluation_set(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_the_shared_photos_as_a_set(tmp_path):
    options = ["--set", "test1", "--total", "20", "--size", "256"]
    photos = SHARED / "photos" / "val"
    assert evaluation_sets.main([str(photos), str(tmp_path / "set"), *options]) == 0
    (batch,) = read_evaluation_set(tmp_path / "set").batches(20)
    assert batch.image.shape == (20, 3, 256, 256)
    assert len(set(batch.name)) == 20
    assert len(set(batch.ratio_bin)) == 4


def test_the_sets_of_several_clips_are_one_and_each_clip_counts_once(triplets, tmp_path):
    for name in ("first", "second"):
        shutil.copytree(triplets / "crops", tmp_path / name)
    one, joined = read_evaluation_set(triplets / "crops"), read_evaluation_set(tmp_path)
    assert len(joined) == 2 * len(one)
    assert len({sample.name for sample in joined}) == len(joined)
    assert {sample.photo for sample in one} == {"clip.avi"}
    assert {sample.photo for sample in joined} == {"first-clip.avi", "second-clip.avi"}
    assert joined.digest != one.digest
    shutil.copytree(triplets / "frames", tmp_path / "third")
    with pytest.raises(ValueError, match="cannot be one set: make them of one kind and size"):
        read_evaluation_set(tmp_path)
