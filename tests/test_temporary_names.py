"""What is written appears whole, whatever lies in its folder, and whatever it is called."""

from contextlib import suppress

import numpy as np
import pytest

from data_prep.pictures import write_png
from lab.files import beside, replacing, replacing_folder
from lab.imaging import read_image, write_image

LONGEST = 255  # bytes of a name, in all usual file systems


def test_names_of_temporary_files_cannot_be_guessed(tmp_path):
    names = {beside(tmp_path / "photo.png", "partial").name for _ in range(100)}
    assert len(names) == 100
    assert all(len(name) == len(".partial") + 17 for name in names), "64 random bits"


def test_a_link_that_was_put_there_is_not_written_through(tmp_path, monkeypatch):
    """Even if somebody could guess the name."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    trap = tmp_path / ".0123456789abcdef.partial"
    trap.symlink_to(victim)
    monkeypatch.setattr("lab.files.secrets.token_hex", lambda _: "0123456789abcdef")
    with suppress(FileExistsError), replacing(tmp_path / "photo.png") as temporary:
        temporary.write_text("attack")
    assert victim.read_text() == "precious"


def test_a_link_in_the_place_of_the_result_is_replaced_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    target = tmp_path / "photo.txt"
    target.symlink_to(victim)
    with replacing(target) as temporary:
        temporary.write_text("result")
    assert victim.read_text() == "precious"
    assert target.read_text() == "result"
    assert not target.is_symlink()


@pytest.mark.parametrize("letter", ["a", "ä", "浜"])
def test_names_may_be_as_long_as_the_file_system_allows(tmp_path, letter):
    longest = letter * ((LONGEST - 4) // len(letter.encode()))
    path = tmp_path / f"{longest}.png"
    (tmp_path / "b").mkdir()
    write_png(path, np.zeros((4, 4, 3), np.uint8))
    write_image(tmp_path / "b" / path.name, read_image(path))
    assert [found.name for found in (tmp_path / "b").iterdir()] == [path.name]
    with replacing_folder(tmp_path / longest) as folder:
        (folder / "a").touch()
    assert (tmp_path / longest / "a").exists()
