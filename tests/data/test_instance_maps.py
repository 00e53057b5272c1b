"""Whose map of objects a file is, by name and folders."""

import pytest

from lab.checks import UserError
from lab.data.instance_maps import InstanceMaps


@pytest.fixture
def maps(tmp_path):
    def put(*names):
        for name in names:
            path = tmp_path / "maps" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return InstanceMaps(tmp_path / "maps")

    return put


def found(maps, place):
    return maps.file_of(place).relative_to(maps.folder).as_posix()


@pytest.mark.parametrize("where", ["beach.png", "some/where/beach.png"])
def test_a_name_that_one_photo_has_is_enough(maps, where):
    there = maps(where, "pier.png")
    assert found(there, "/photos/train/beach") == where
    assert found(there, "/photos/train/beach") == where, "asked for once more"


def test_photos_of_one_name_have_maps_in_folders_like_their_own(maps):
    there = maps("train/a/1.png", "train/b/1.png", "val/a/1.png", "b/1.png", "1.png")
    for place in ("train/a/1", "train/b/1", "val/a/1"):
        assert found(there, f"/photos/{place}") == f"{place}.png"
    # As far as its folders are known: of a shard's photo, those below its split.
    assert found(there, "b/1") == "b/1.png"
    assert found(there, "c/1") == "1.png"


def test_one_map_is_not_of_two_photos(maps):
    there = maps("train/b/1.png")
    assert found(there, "val/a/1") == "train/b/1.png"
    with pytest.raises(UserError, match=r"map of two photos, val/a/1 and val/b/1: put each"):
        there.file_of("val/b/1")


def test_what_cannot_be_told_or_is_missing_is_said_in_a_line(maps):
    there = maps("x/1.png", "y/1.jpg", "notes.txt", ".hidden.png")
    with pytest.raises(UserError, match=r"several instance maps could be of the photo 1: x/1\.png"):
        there.file_of("z/1")
    for place in ("z/2", "notes", ".hidden"):
        with pytest.raises(UserError, match="has no instance map in"):
            there.file_of(place)
