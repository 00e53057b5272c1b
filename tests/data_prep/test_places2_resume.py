"""Killed at any moment, the command goes on, and leaves finished shards alone."""

import os
import resource
import signal
import subprocess
import sys
import tarfile
import time

import pytest

import data_prep.shards
import lab.files
from data_prep.packing import pack_photos
from data_prep.photo_sources import FolderSource
from data_prep.places2 import main
from data_prep.tar_source import TarSource
from tests.data_prep.making import jpeg, member, read_json, write_tar

OPTIONS = ("--shard-size", "3", "--workers", "2")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Two splits that take turns, with what is left out between them."""
    members = []
    for number in range(20):
        split = "val" if number % 5 == 4 else "train"
        name = f"places365_standard/{split}/airfield/{number:08d}.jpg"
        members.append(member(name, jpeg(number)))
        if number % 3 == 0:
            members.append(member(name.replace(".jpg", "x.jpg"), b"damaged"))
        if number % 6 == 1:
            members.append(member(name.replace(".jpg", ".jpeg"), jpeg(number + 50)))
        if number % 7 == 0:
            members.append(member(f"../{number}.jpg", jpeg(number)))
    return write_tar(tmp_path_factory.mktemp("archive") / "easy.tar", members)


@pytest.fixture(scope="module")
def expected(source, tmp_path_factory):
    dest = tmp_path_factory.mktemp("expected") / "shards"
    assert main([str(source), str(dest), *OPTIONS]) == 0
    return contents(dest)


def contents(dest):
    return {path.name: path.read_bytes() for path in dest.glob("[a-z]*")}


def stamps(dest):
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in dest.glob("*.tar")}


def run_and_kill(source, dest, moment):
    """Run the command in a process that is killed with -9 just before it moves a file.

    Returns whether it got so far.
    """
    child = os.fork()
    if child == 0:
        moves = 0
        replace = os.replace

        def replace_or_die(*paths):
            nonlocal moves
            moves += 1
            if moves == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*paths)

        data_prep.shards.os.replace = lab.files.os.replace = replace_or_die
        os._exit(main([str(source), str(dest), *OPTIONS]))
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_kill_at_any_moment_loses_only_the_shard_being_written(source, expected, tmp_path):
    # Each shard moves two files, its listing and itself; the index is moved first and last.
    moves = 2 * sum(name.endswith(".tar") for name in expected) + 2
    for moment in range(1, moves + 1):
        dest = tmp_path / f"killed-{moment}"
        assert run_and_kill(source, dest, moment)
        finished = stamps(dest)
        assert len(finished) == max(0, (moment - 2) // 2)
        assert main([str(source), str(dest), *OPTIONS]) == 0
        assert contents(dest) == expected
        assert finished.items() <= stamps(dest).items()
        assert not list(dest.glob(".*.partial"))
    assert not run_and_kill(source, tmp_path / "whole", moves + 1)


def test_a_folder_is_gone_on_with_unless_its_photos_changed(source, tmp_path, capsys):
    with tarfile.open(source) as archive:
        for info in archive:
            if not info.name.startswith(".."):
                archive.extract(info, tmp_path, filter="data")
    folder = tmp_path / "places365_standard"
    (folder / "notes.txt").write_text("of no photo")
    assert main([str(folder), str(tmp_path / "whole"), *OPTIONS]) == 0
    for dest in (tmp_path / "resumed", tmp_path / "mended"):
        assert run_and_kill(folder, dest, 6)
    finished = stamps(tmp_path / "resumed")
    assert finished
    (folder / "notes.txt").write_text("what is no photo may change")
    assert main([str(folder), str(tmp_path / "resumed"), *OPTIONS]) == 0
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")
    assert finished.items() <= stamps(tmp_path / "resumed").items()

    damaged = sorted(folder.rglob("*x.jpg"))[0]
    for mend in (
        lambda: damaged.write_bytes(jpeg(99)),
        # As many bytes as before.
        lambda: os.utime(damaged, ns=(0, damaged.stat().st_mtime_ns + 1)),
    ):
        before = FolderSource(folder).fingerprint
        mend()
        assert FolderSource(folder).fingerprint != before
        for dest in ("whole", "mended"):
            assert main([str(folder), str(tmp_path / dest), *OPTIONS]) == 2
            assert "holds the shards of another source: name a new" in capsys.readouterr().err
    assert main([str(folder), str(tmp_path / "new"), *OPTIONS]) == 0
    left_out = [
        {name for name, _ in read_json(tmp_path / dest / "index.json")["left_out"]}
        for dest in ("whole", "new")
    ]
    assert left_out[0] - left_out[1] >= {damaged.relative_to(tmp_path).as_posix()}


def test_keys_are_the_same_after_a_kill(tmp_path):
    """Also those that depend on the photos before: of folders without one that holds them all."""
    members = [
        *(member(f"{town}/{n}.jpg", jpeg(n)) for town in ("oslo", "rome") for n in range(4)),
        *(member("rome/1.jpg", jpeg(n)) for n in range(8, 12)),
    ]
    source = write_tar(tmp_path / "towns.tar", members)
    assert main([str(source), str(tmp_path / "whole"), *OPTIONS]) == 0
    for moment in range(2, 10):
        dest = tmp_path / f"killed-{moment}"
        assert run_and_kill(source, dest, moment)
        assert main([str(source), str(dest), *OPTIONS]) == 0
        assert contents(dest) == contents(tmp_path / "whole")


def test_a_shard_is_on_the_disk_before_it_has_its_name(source, tmp_path, monkeypatch):
    """So that not even a power cut leaves a name without its bytes, or loses it afterwards."""
    done = []
    sync, replace = os.fsync, os.replace

    def noted_sync(file):
        sync(file)
        done.append(("sync", os.fstat(file).st_ino))

    def noted_replace(old, new):
        replace(old, new)
        done.append(("name", os.stat(new).st_ino))

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    assert main([str(source), str(tmp_path / "shards"), *OPTIONS]) == 0
    folder = ("sync", (tmp_path / "shards").stat().st_ino)
    shards = sorted((tmp_path / "shards").glob("*.tar"))
    assert shards
    for shard in shards:
        listing, file = (shard.with_suffix(end).stat().st_ino for end in (".json", ".tar"))
        named = done.index(("name", file))
        assert ("sync", file) in done[:named]
        # The listing first, and its name too.
        listed = done.index(("name", listing))
        assert ("sync", listing) in done[:listed]
        assert folder in done[listed:named]
        # Then at once the shard's name.
        assert folder in done[named : named + 3]


def test_kill_after_kill(source, expected, tmp_path):
    dest, finished, kills = tmp_path / "shards", {}, 0
    while run_and_kill(source, dest, 4):
        assert finished.items() <= stamps(dest).items()
        finished = stamps(dest)
        kills += 1
    assert kills > 3
    assert contents(dest) == expected


@pytest.mark.slow
def test_the_command_killed_from_outside_goes_on(tmp_path):
    """As a person's ``kill -9`` meets it: at no moment of the command's choosing."""
    members = [
        member(f"data_256/{'ab'[number // 600]}/field/{number:08d}.jpg", jpeg(number % 40))
        for number in range(1200)
    ]
    archive = write_tar(tmp_path / "many.tar", members)
    options = ("--shard-size", "60", "--workers", "2")
    assert main([str(archive), str(tmp_path / "whole"), *options]) == 0
    expected = contents(tmp_path / "whole")
    dest, finished, kills = tmp_path / "shards", {}, 0
    command = [sys.executable, "-m", "data_prep.places2", str(archive), str(dest), *options]
    while not (dest / "index.json").exists() or not read_json(dest / "index.json")["complete"]:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Three times after another shard, at whatever the command is doing then.
        while process.poll() is None:
            if kills < 3 and len(stamps(dest)) >= len(finished) + 3:
                process.kill()
                kills += process.wait() == -signal.SIGKILL
            time.sleep(0.002)
        assert finished.items() <= stamps(dest).items()
        finished = stamps(dest)
    assert kills == 3
    assert contents(dest) == expected
    assert not list(dest.glob(".*.partial"))


def test_an_error_in_the_source_leaves_no_half_shard(source, tmp_path):
    def fail(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_photos(TarSource(source), tmp_path, None, 1000, 1, fail)
    assert [path.name for path in tmp_path.glob("[a-z]*")] == ["index.json"]
    assert not list(tmp_path.glob(".*.partial"))
    assert not read_json(tmp_path / "index.json")["complete"]


def test_a_disk_without_room_for_a_shard_is_left_clean(source, expected, tmp_path):
    """Also where the last of it is written only as the file is closed."""
    dest = tmp_path / "shards"
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        os._exit(main([str(source), str(dest), *OPTIONS]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert not list(dest.glob(".*.partial"))
    assert main([str(source), str(dest), *OPTIONS]) == 0
    assert contents(dest) == expected


def test_two_commands_on_one_folder(source, tmp_path, capsys):
    def again(*_):
        assert main([str(source), str(tmp_path), *OPTIONS]) == 2

    pack_photos(TarSource(source), tmp_path, None, 3, 1, again)
    assert "another process is writing" in capsys.readouterr().err
