"""What is written appears whole, whatever lies in its folder, and whatever it is called."""

import errno
import fcntl
import os
import time
from contextlib import suppress

import numpy as np
import pytest

from data_prep.pictures import write_png
from lab.files import begin_new, beside, replacing, replacing_folder
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


def test_a_folder_that_nobody_may_write_to_is_said_by_the_name_that_was_asked_for(
    tmp_path, monkeypatch
):
    def refuse(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("lab.files.Path.touch", refuse)
    with pytest.raises(PermissionError) as error, replacing(tmp_path / "out.png"):
        pass
    assert error.value.filename == str(tmp_path / "out.png")


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


@pytest.fixture
def as_on_nfs(monkeypatch):
    """Locks as NFS 4 gives them: of files to who may write, of folders to one machine alone."""
    locked = fcntl.flock

    def flock(file, operation):
        number = file if isinstance(file, int) else file.fileno()
        may_write = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        if os.path.isdir(f"/proc/self/fd/{number}"):
            return  # another machine knows nothing of it
        if operation & fcntl.LOCK_EX and not may_write:
            raise OSError(errno.EBADF, "Bad file descriptor")
        locked(number, operation)

    monkeypatch.setattr("lab.files.fcntl.flock", flock)
    monkeypatch.setattr("lab.files.network_file_system", lambda path: "nfs4")


def test_on_nfs_half_written_files_are_cleared_away_and_held_ones_are_not(tmp_path, as_on_nfs):
    left, held = begin_new(tmp_path / "a.txt", is_folder=False)
    os.close(held)  # as by a kill
    written, held = begin_new(tmp_path / "b.txt", is_folder=False)
    with replacing(tmp_path / "c.txt") as temporary:
        temporary.write_text("c")
    assert written.exists()
    assert not left.exists()
    os.close(held)


def test_on_nfs_a_folder_that_another_machine_writes_is_left_alone(tmp_path, as_on_nfs):
    written, held = begin_new(tmp_path / "page", is_folder=True)
    long_ago, other = begin_new(tmp_path / "old page", is_folder=True)
    os.utime(long_ago, (time.time() - 3 * 24 * 3600,) * 2)
    with replacing_folder(tmp_path / "other page") as folder:
        (folder / "a").touch()
    assert written.exists()
    assert not long_ago.exists()
    for one in (held, other):
        os.close(one)
