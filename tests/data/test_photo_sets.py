"""Photos are found, verified and split in a way that lasts."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.data.photo_sets import find_photos, list_photos, sides_in, starter_photos

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


def put_photo(path: Path, seed: int, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def put_photos(folder: Path, count: int, first_seed: int = 0) -> list[Path]:
    return [put_photo(folder / f"p{seed:03d}.png", seed) for seed in range(first_seed, count)]


def names(photos: object) -> list[str]:
    return [photo.name for photo in photos]


def test_photos_are_found_in_any_subfolder_by_any_suffix(tmp_path):
    for index, name in enumerate(["b.JPG", "a/x.png", "a/c/y.webp", "z.TIFF", "w.bmp", "v.jpeg"]):
        put_photo(tmp_path / name, index)
    (tmp_path / "notes.txt").write_text("no photo")
    put_photo(tmp_path / ".hidden/x.png", 1)
    put_photo(tmp_path / "a/.x.png", 1)
    put_photo(tmp_path / "__MACOSX/._b.jpg", 1)

    found = list_photos(tmp_path).photos
    assert names(found) == ["a-c-y", "a-x", "b", "v", "w", "z"]
    assert {(photo.height, photo.width) for photo in found} == {(10, 12)}
    assert found[0].path == tmp_path / "a/c/y.webp"


def test_the_size_is_that_of_the_upright_photo(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    put_photo(tmp_path / "a.png", 0, exif=exif)

    photo = list_photos(tmp_path).photos[0]
    assert (photo.height, photo.width) == (12, 10)


def test_links_are_followed_once_and_loops_end(tmp_path):
    put_photos(tmp_path / "photos", 2)
    elsewhere = tmp_path / "elsewhere"
    put_photo(elsewhere / "far.png", 9)
    (tmp_path / "photos" / "loop").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "far").symlink_to(elsewhere)
    (tmp_path / "photos" / "far-again").symlink_to(elsewhere)

    found = names(list_photos(tmp_path / "photos").photos)
    assert len(found) == 3
    assert {"p000", "p001"} < set(found)


def test_names_are_unique_readable_and_fit_for_files(tmp_path):
    for index, name in enumerate(
        ["a.png", "a.jpg", "A.bmp", "x y?.png", "x_y_.png", "Strand-Tür.png", "-rf.png", "b.c.png"]
    ):
        put_photo(tmp_path / name, index)
    put_photo(tmp_path / ("long" * 50 + ".png"), 20)

    found = names(list_photos(tmp_path).photos)
    assert len({name.casefold() for name in found}) == len(found)
    assert "Strand-Tür" in found
    assert "rf" in found
    assert "b.c" in found
    assert all("/" not in name and len(name.encode()) < 200 for name in found)
    assert sum(name.lower().startswith("a-") for name in found) == 3


def test_adding_a_photo_renames_no_other(tmp_path):
    put_photos(tmp_path, 5)
    before = {photo.path: photo.name for photo in list_photos(tmp_path).photos}
    put_photo(tmp_path / "new/p000.png", 50)

    after = {photo.path: photo.name for photo in list_photos(tmp_path).photos}
    assert before.items() <= after.items()


def test_the_split_is_by_content_and_stable(tmp_path):
    put_photos(tmp_path / "one", 60)
    first = find_photos(tmp_path / "one")
    assert len(first.training) + len(first.validation) == 60
    assert 3 <= len(first.validation) <= 24

    # More photos, other names, another folder: every photo stays on its side.
    put_photos(tmp_path / "one", 90, first_seed=60)
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "two/p003.png").rename(tmp_path / "two/renamed.png")
    second = find_photos(tmp_path / "two")
    assert {photo.sha256 for photo in first.training} < {p.sha256 for p in second.training}
    assert {photo.sha256 for photo in first.validation} < {p.sha256 for p in second.validation}


def test_copies_stay_together(tmp_path):
    for seed in range(20):
        path = put_photo(tmp_path / f"{seed}.png", seed)
        (tmp_path / f"{seed}-copy.png").write_bytes(path.read_bytes())

    split = find_photos(tmp_path)
    hashes = [{photo.sha256 for photo in side} for side in (split.training, split.validation)]
    assert not hashes[0] & hashes[1]
    assert len(split.training) == 2 * len(hashes[0])


@pytest.mark.parametrize("share", [0.001, 0.2, 0.999])
@pytest.mark.parametrize("count", [2, 3, 7])
def test_neither_side_is_ever_empty(tmp_path, share, count):
    put_photos(tmp_path, count)

    split = find_photos(tmp_path, validation_share=share)
    assert split.training
    assert split.validation
    assert len(split.training) + len(split.validation) == count


@pytest.mark.parametrize("name", ["val", "validation", "valid", "Val"])
def test_folders_are_the_split_where_there_are_both(tmp_path, name):
    put_photos(tmp_path / "train", 3)
    put_photo(tmp_path / name / "deep" / "v.png", 10)
    put_photo(tmp_path / "test" / "t.png", 11)

    split = find_photos(tmp_path)
    assert names(split.training) == ["train-p000", "train-p001", "train-p002"]
    assert names(split.validation) == [f"{name}-deep-v"]
    assert "1 elsewhere" in split.summary()


def test_one_of_the_two_folders_is_no_split(tmp_path):
    put_photos(tmp_path / "train", 6)

    assert "by content" in find_photos(tmp_path).rule


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Train", "TEST"), ("val", "test")])
def test_photos_for_tests_beside_one_side_are_not_trained_on(tmp_path, train, test):
    put_photos(tmp_path / train, 6)
    put_photo(tmp_path / "more.png", 9)
    put_photo(tmp_path / test / "t.png", 11)

    split = find_photos(tmp_path)
    used = {*names(split.training), *names(split.validation)}
    assert used == {"more", *(f"{train}-p{number:03d}" for number in range(6))}
    assert "by content, about 20 % for validation; 1 for tests are not used)" in split.summary()


def test_a_folder_of_tests_alone_is_a_folder_of_photos(tmp_path):
    put_photos(tmp_path / "test", 6)

    split = find_photos(tmp_path)
    assert split.training_count + split.validation_count == 6
    assert "not used" not in split.summary()


def test_photos_of_one_side_alone_are_listed(tmp_path):
    put_photos(tmp_path / "train", 2)
    put_photo(tmp_path / "Valid" / "v.png", 10)
    (tmp_path / "test").mkdir()

    assert sides_in(tmp_path) == {"train", "val", "test"}
    assert names(list_photos(tmp_path, "val").photos) == ["Valid-v"]
    with pytest.raises(ValueError, match=f"no photos for test in {tmp_path}: fill"):
        list_photos(tmp_path, "test")


def test_a_photo_on_both_sides_is_reported(tmp_path):
    put_photos(tmp_path / "train", 3)
    put_photos(tmp_path / "val", 5, first_seed=3)
    copy = tmp_path / "val" / "seen.png"
    copy.write_bytes((tmp_path / "train" / "p001.png").read_bytes())

    split = find_photos(tmp_path)
    assert [(seen.name, judged.name) for seen, judged in split.leaks] == [
        ("train-p001", "val-seen")
    ]
    assert "leak:" in split.summary()
    assert copy in [photo.path for photo in split.validation]


def test_unreadable_photos_are_listed_and_never_replaced(tmp_path):
    put_photos(tmp_path, 20)
    whole = (tmp_path / "p000.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])

    split = find_photos(tmp_path)
    assert len(split.training) + len(split.validation) == 20
    assert [photo.path.name for photo in split.unreadable] == ["cut.png"]
    assert "1 unreadable" in split.summary()
    assert "cut.png: " in split.summary()


def test_too_many_unreadable_photos_are_an_error_with_the_first_ten_reasons(tmp_path):
    put_photos(tmp_path, 20)
    for index in range(12):
        (tmp_path / f"bad{index:02d}.jpg").write_bytes(b"")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")

    with pytest.raises(ValueError, match=r"13 of 33 photos .* more than 10 %") as caught:
        find_photos(tmp_path)
    assert str(caught.value).count("the file is empty") == 10
    assert "and 3 more" in str(caught.value)


def test_a_broken_link_is_unreadable(tmp_path):
    put_photos(tmp_path, 20)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")

    assert find_photos(tmp_path).unreadable[0].reason == "there is no such file"


def test_too_few_photos(tmp_path):
    with pytest.raises(ValueError, match=r"no photos in .*\.jpg"):
        find_photos(tmp_path)
    put_photos(tmp_path, 1)
    with pytest.raises(ValueError, match="1 readable photos"):
        find_photos(tmp_path)
    (tmp_path / "copy.png").write_bytes((tmp_path / "p000.png").read_bytes())
    with pytest.raises(ValueError, match="add photos that differ"):
        find_photos(tmp_path)


def test_an_empty_side_of_folders_is_an_error(tmp_path):
    put_photos(tmp_path / "train", 3)
    (tmp_path / "val").mkdir()

    with pytest.raises(ValueError, match="no photos for validation"):
        find_photos(tmp_path)


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_out_of_range(tmp_path, share):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\)"):
        find_photos(tmp_path, validation_share=share)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        find_photos(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is a file"):
        find_photos(put_photo(tmp_path / "a.png", 0))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_reported(tmp_path):
    put_photos(tmp_path, 20)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)

    assert find_photos(tmp_path).unreadable[0].path == closed


def test_starter_photos_need_no_download(monkeypatch):
    def no_network(*_: object) -> None:
        raise AssertionError("starter photos must not use the network")

    monkeypatch.setattr("socket.socket.connect", no_network)
    split = starter_photos()
    assert (len(split.training), len(split.validation)) == (19, 13)
    assert {"astronaut", "kodim02", "kodim12"} <= set(names(split.training))
    assert {"chelsea", "kodim01", "kodim24"} <= set(names(split.validation))
    # The same scenes.
    sides = [set(names(side)) for side in (split.training, split.validation)]
    for pair in ({"kodim09", "kodim10"}, {"kodim06", "kodim11"}):
        assert any(pair <= side for side in sides)
    assert not split.unreadable
    assert not {p.sha256 for p in split.training} & {p.sha256 for p in split.validation}
    assert min(min(p.height, p.width) for p in split.training + split.validation) >= 256


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_the_shared_photos_are_split_by_their_folders():
    split = find_photos(SHARED / "photos")

    assert (len(split.training), len(split.validation)) == (200, 100)
    assert not split.unreadable
    assert not split.leaks
