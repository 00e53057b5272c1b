"""Evaluation sets: exact counts in the documented bins, the same every time."""

import hashlib
import re
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from data_prep.commands import DataError
from data_prep.evaluation_sets import main
from data_prep.places2 import main as places2
from data_prep.stratified_sets import DOCUMENTED, bin_counts
from lab.data import read_evaluation_set
from lab.imaging import decode_photo, read_mask
from lab.masks.silhouettes import draw_figure, write_silhouettes
from lab.metrics.regions import hole_ratio, ratio_bin
from tests.data_prep.making import easyformat, photo_pixels, read_json, write_tar

SIZE = ("--size", "32")
BINS = ["0.0-0.3", "0.3-0.5", "0.5-0.7", "0.7-0.9"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for number in range(60):
        Image.fromarray(photo_pixels(number, 48)).save(folder / f"{number:02d}.png")
    return folder


def make(photos, dest, *options):
    assert main([str(photos), str(dest), *SIZE, *options]) == 0
    return read_json(dest / "manifest.json")


def test_the_documented_counts():
    assert bin_counts("valid") == bin_counts("test1") == (100, 400, 400, 100)
    assert bin_counts("test2") == (80, 320, 320, 80)
    assert bin_counts("valid", 1000) == (100, 400, 400, 100)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_any_total_scales_the_bins_by_the_largest_remainder(name):
    for total in range(1, 300):
        counts = bin_counts(name, total)
        assert sum(counts) == total
        exact = [Fraction(count * total, sum(DOCUMENTED[name])) for count in DOCUMENTED[name]]
        assert all(abs(c - e) < 1 for c, e in zip(counts, exact, strict=True))
        # No other whole numbers with this sum lie nearer.
        rests = [e - int(e) for e in exact]
        up = [r for c, e, r in zip(counts, exact, rests, strict=True) if c > e]
        down = [r for c, e, r in zip(counts, exact, rests, strict=True) if c < e]
        assert not up or not down or min(up) >= max(down)
    with pytest.raises(DataError, match="0 pairs"):
        bin_counts(name, 0)


def test_a_set_holds_what_it_says(photos, tmp_path):
    manifest = make(photos, tmp_path / "valid", "--set", "valid", "--total", "25")

    assert manifest["bins"] == dict(zip(BINS, (3, 10, 10, 2), strict=True))
    found = Counter()
    for pair in manifest["pairs"]:
        image = decode_photo(tmp_path / "valid" / pair["photo"]["file"])
        mask = read_mask(tmp_path / "valid" / pair["mask"]["file"], size=(32, 32)).mask
        ratio = float(hole_ratio(mask[None])[0])
        found[ratio_bin(ratio)] += 1
        assert pair["bin"] == ratio_bin(ratio)
        assert pair["hole_ratio"] == ratio
        assert image.shape == (32, 32, 3)
        for kind in ("photo", "mask"):
            data = (tmp_path / "valid" / pair[kind]["file"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == pair[kind]["sha256"]
    assert found == manifest["bins"]
    assert [pair["name"] for pair in manifest["pairs"]] == [f"{n:04d}" for n in range(25)]
    assert len({pair["photo"]["source_sha256"] for pair in manifest["pairs"]}) == 25


def test_any_first_part_has_the_same_shares(photos, tmp_path):
    pairs = make(photos, tmp_path / "set", "--set", "valid", "--total", "50")["pairs"]
    for end in range(1, 51):
        found = Counter(pair["bin"] for pair in pairs[:end])
        for name, share in zip(BINS, (0.1, 0.4, 0.4, 0.1), strict=True):
            assert abs(found[name] - share * end) <= 1.5


def test_the_same_photos_give_the_same_set_whatever_their_names(photos, tmp_path):
    first = make(photos, tmp_path / "first", "--set", "test1", "--total", "20")
    for number, path in enumerate(sorted(photos.iterdir(), reverse=True)):
        (tmp_path / "renamed").mkdir(exist_ok=True)
        (tmp_path / "renamed" / f"x{number}.png").write_bytes(path.read_bytes())
    # A copy is the same photo.
    (tmp_path / "renamed" / "copy.png").write_bytes(path.read_bytes())
    second = make(tmp_path / "renamed", tmp_path / "second", "--set", "test1", "--total", "20")
    assert [pair["photo"]["sha256"] for pair in first["pairs"]] == [
        pair["photo"]["sha256"] for pair in second["pairs"]
    ]
    assert [pair["mask"] for pair in first["pairs"]] == [pair["mask"] for pair in second["pairs"]]
    other = make(photos, tmp_path / "other", "--set", "test1", "--total", "20", "--seed", "1")
    assert [pair["mask"] for pair in first["pairs"]] != [pair["mask"] for pair in other["pairs"]]


def test_the_three_sets_have_no_photo_in_common(photos, tmp_path, capsys):
    totals = {"valid": 20, "test1": 20, "test2": 16}
    seen, masks = [], []
    for name, total in totals.items():
        manifest = make(photos, tmp_path / name, "--set", name, "--total", str(total))
        assert not manifest["shared"]
        seen += [pair["photo"]["source_sha256"] for pair in manifest["pairs"]]
        masks += [pair["mask"]["sha256"] for pair in manifest["pairs"]]
    assert len(set(seen)) == sum(totals.values())
    # Rectangles of 32 pixels are not so many.
    assert len(set(masks)) > 0.7 * len(masks)
    assert "in common" not in capsys.readouterr().out
    assert make(photos, tmp_path / "more", "--set", "test2", "--total", "30")["shared"]
    assert "in common" in capsys.readouterr().out


def test_masks_come_from_folders_libraries_and_generators(photos, tmp_path):
    (tmp_path / "masks").mkdir()
    for number in range(40):
        mask = np.zeros((40, 60), np.uint8)
        mask[:, : 2 + number] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number:02d}.png")
    generator = np.random.default_rng(0)
    write_silhouettes(tmp_path / "people.npz", [draw_figure(generator) for _ in range(3)])
    names = [str(tmp_path / "masks"), str(tmp_path / "people.npz"), "person_rectangle"]
    manifest = make(photos, tmp_path / "set", "--set", "valid", "--total", "20", "--masks", *names)

    sources = [pair["mask"]["source"] for pair in manifest["pairs"]]
    kinds = Counter(source.split(" ")[0][-4:] for source in sources)
    assert kinds.keys() == {".png", ".npz", "ngle"}
    files = [source for source in sources if source.endswith(".png")]
    assert len(files) == len(set(files))
    for pair in manifest["pairs"]:
        if pair["mask"]["source"] in files:
            wide = int(pair["mask"]["source"][:2]) + 2
            # The central square of 60 x 40 begins at column 10.
            assert pair["hole_ratio"] == pytest.approx((wide - 10) / 40, abs=0.04)


def test_shards_serve_as_photos_and_their_validation_split_is_taken(tmp_path):
    source = write_tar(tmp_path / "easy.tar", easyformat())
    assert places2([str(source), str(tmp_path / "shards"), "--shard-size", "2"]) == 0
    manifest = make(tmp_path / "shards", tmp_path / "set", "--set", "valid", "--total", "3")

    listings = [read_json(path) for path in (tmp_path / "shards").glob("val-*.json")]
    hashes = {sample[2] for listing in listings for sample in listing["samples"]}
    assert {pair["photo"]["source_sha256"] for pair in manifest["pairs"]} == hashes
    for pair in manifest["pairs"]:
        number = int(pair["photo"]["source"][-8:])
        shown = decode_photo(tmp_path / "set" / pair["photo"]["file"]).astype(float)
        truth = photo_pixels(number).reshape(32, 2, 32, 2, 3).mean((1, 3))
        assert np.abs(shown - truth).mean() < 5


def put_sides(photos, folder, sides):
    """Divide photos among folders; returns the hashes of each folder's."""
    paths, hashes = iter(sorted(photos.iterdir())), {}
    for side, count in sides.items():
        (folder / side).mkdir(parents=True)
        contents = [next(paths).read_bytes() for _ in range(count)]
        for number, content in enumerate(contents):
            (folder / side / f"{number}.png").write_bytes(content)
        hashes[side] = {hashlib.sha256(content).hexdigest() for content in contents}
    return hashes


@pytest.mark.parametrize(
    ("sides", "taken", "split"),
    [
        ({"train": 20, "val": 5, "more": 5}, ["val"], "val"),
        ({"Train": 20, "Valid": 5, "test": 5}, ["Valid"], "val"),
        ({"train": 20, "test": 5}, ["test"], "test"),
        ({"train": 5}, ["train"], None),
        ({"val": 5}, ["val"], None),
        ({"one": 3, "two": 2}, ["one", "two"], None),
    ],
)
def test_photos_that_are_trained_on_are_not_taken_where_there_are_others(
    photos, tmp_path, capsys, sides, taken, split
):
    folder = tmp_path / "photos"
    hashes = put_sides(photos, folder, sides)
    assert places2([str(folder), str(tmp_path / "shards")]) == 0
    for place in (folder, tmp_path / "shards"):
        capsys.readouterr()
        dest = tmp_path / f"set-of-{place.name}"
        manifest = make(place, dest, "--set", "valid", "--total", "5")
        used = {pair["photo"]["source_sha256"] for pair in manifest["pairs"]}
        assert used == set().union(*(hashes[side] for side in taken))
        assert manifest["split"] == split
        said = capsys.readouterr().out
        assert ("has seen most of it" in said) == (split is None)
        assert (f"the split {split}, which training on PHOTOS leaves out" in said) == bool(split)
        assert len(read_evaluation_set(dest).records) == 5


def test_too_few_photos_of_a_split_are_said_to_be_of_it(photos, tmp_path, capsys):
    put_sides(photos, tmp_path / "photos", {"train": 20, "val": 5})
    options = ["--set", "valid", "--total", "6", *SIZE]
    assert main([str(tmp_path / "photos"), str(tmp_path / "set"), *options]) == 2
    assert f"the split val of {tmp_path / 'photos'} has 5 different" in capsys.readouterr().err


def test_no_photo_of_a_damaged_shard_is_passed_over(tmp_path, capsys):
    source = write_tar(tmp_path / "easy.tar", easyformat())
    assert places2([str(source), str(tmp_path / "shards"), "--shard-size", "3"]) == 0
    options = ["--set", "valid", "--total", "3", "--size", "32"]
    assert main([str(tmp_path / "shards"), str(tmp_path / "whole"), *options]) == 0
    shard = tmp_path / "shards" / "val-000000.tar"
    content = bytearray(shard.read_bytes())
    # The second header: tarfile would take it for the end of the shard.
    second = 512 + 512 * -(-int(content[124:135], 8) // 512)
    content[second + 148 : second + 156] = b"no check"
    shard.write_bytes(content)
    assert main([str(tmp_path / "shards"), str(tmp_path / "set"), *options]) == 0
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("whole", "set")]
    assert manifests[0] == manifests[1]
    # And the second photo.
    content[second + 600] ^= 1
    shard.write_bytes(content)
    capsys.readouterr()
    assert main([str(tmp_path / "shards"), str(tmp_path / "other"), *options]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"error: cannot read {shard}: ")
    assert "it is not what the shard's listing says: pack the photos again" in said
    assert not (tmp_path / "other" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--total", "61"], "too few photos for the bin 0.7-0.9: .* has 60 different ones"),
        ([], "too few photos for the bin 0.0-0.3: .* the set needs 1000"),
        (["--total", "150"], "too few photos for the bin 0.3-0.5"),
        (["--total", "20", "--size", "64"], "has 0 different ones of at least 64 pixels"),
        (["--total", "20", "--masks", "boxes"], r"too few masks for the bin 0\.3-0\.5 \(0 of 8\)"),
        (["--total", "10", "--masks", "few"], r"0\.7-0\.9 \(0 of 1\) among 4 of few"),
        (["--total", "9", "--masks", "boxs"], "Did you mean 'boxes'"),
        (["--total", "9", "--masks", "no.npz"], "there is no library"),
        (["--total", "9", "--masks", "photos"], "is no mask|has colours"),
        (["--total", "9", "--masks", "empty"], "no masks in"),
    ],
)
def test_what_is_lacking_is_named(photos, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").symlink_to(photos)
    (tmp_path / "few").mkdir()
    for number in range(4):
        mask = np.zeros((32, 32), np.uint8)
        mask[:, : 4 + 4 * number] = 255
        Image.fromarray(mask).save(tmp_path / "few" / f"{number}.png")
    assert main([str(photos), "dest", "--set", "valid", *SIZE, *options]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--set is missing"),
        (["--set", "valid", "--total", "0"], "--total is 0"),
        (["--set", "test3"], "test2"),
        (["--set", "valid", "--totl", "5"], "--total"),
    ],
)
def test_misspelt_options(capsys, options, message):
    with pytest.raises(SystemExit):
        main(["photos", "dest", *options])
    assert message in capsys.readouterr().err


def test_a_finished_set_is_not_written_over(photos, tmp_path, capsys):
    make(photos, tmp_path / "set", "--set", "valid", "--total", "5")
    assert main([str(photos), str(tmp_path / "set"), "--set", "valid", "--total", "5", *SIZE]) == 2
    assert "is finished already" in capsys.readouterr().err
