"""Clips, archives, folders and records that lie: refused in a line, without waiting or bursting."""

import json
import lzma
import os
import shutil
import struct
import zlib

import numpy as np
import pytest

from data_prep import clean_plate, evaluation_sets, places2, shards, silhouettes
from data_prep.clips import MOST_PIXELS, Clip
from data_prep.commands import DataError
from lab.data import read_evaluation_set
from lab.formats.shards import read_index
from tests.data_prep.making import WalkingClip, jpeg, member, read_json, val_256, write_tar
from tests.timing import within_processor_seconds
from tests.tiny import PROJECT


def one_line(main, arguments, capfd, reason):
    """The command ends with one line on standard error, libraries included."""
    assert main([str(argument) for argument in arguments]) == 2
    said = capfd.readouterr().err
    lines = [line for line in said.splitlines() if line.strip()]
    assert lines[-1].startswith("error: ")
    assert reason in lines[-1]
    assert "Traceback" not in said
    assert "\x1b" not in said
    return said


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return WalkingClip(frames=40, walkers=1).write(tmp_path_factory.mktemp("clip") / "clip.avi")


PLAYLISTS = {
    "playlist.avi": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n",
    "concat.mp4": "ffconcat version 1.0\nfile '{clip}'\n",
    "concat.avi": "ffconcat version 1.0\nfile clip.avi\n",
    "session.mov": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "images.avi": "{folder}/%03d.png",
    "list.mkv": "<?xml version='1.0'?><MPD><BaseURL>{clip}</BaseURL></MPD>",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_disguised_as_a_clip_reads_no_neighbour(tmp_path, clip, name, capfd):
    (tmp_path / "clip.avi").write_bytes(clip.read_bytes())
    text = PLAYLISTS[name].format(clip=clip, folder=clip.parent)
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match="no clip that can be read"):
        Clip(tmp_path / name)
    assert capfd.readouterr() == ("", ""), "FFmpeg says nothing, either"


def test_a_name_is_no_address(tmp_path, clip, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.avi", "subfile,,start,0,end,0,,:a.avi", "%03d.avi", "a.avi"):
        (tmp_path / name).write_bytes(clip.read_bytes())
        assert Clip((tmp_path / name).relative_to(tmp_path)).count_frames() == 40


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "missing", "empty"])
def test_what_is_no_clip_is_not_waited_for(tmp_path, kind, capfd):
    path = tmp_path / "clip\x1b[2J.avi"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    one_line(clean_plate.main, [path, tmp_path / "out"], capfd, "clip")


def test_a_damaged_clip_is_read_as_far_as_it_goes_and_quietly(tmp_path, clip, capfd):
    data = bytearray(clip.read_bytes())
    draws = np.random.default_rng(0)
    for place in draws.integers(len(data) // 4, len(data), 400):
        data[place] ^= 0xFF
    path = tmp_path / "damaged.avi"
    path.write_bytes(data)
    assert 0 < Clip(path).count_frames() <= 40
    assert len(list(Clip(path).frames())) > 0
    path.write_bytes(clip.read_bytes()[:-3000])
    Clip(path).count_frames()
    assert capfd.readouterr() == ("", "")


def test_the_environment_is_as_it_was(clip, monkeypatch):
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "mine;1")
    monkeypatch.delenv("OPENCV_FFMPEG_LOGLEVEL", raising=False)
    Clip(clip)
    assert os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] == "mine;1"
    assert "OPENCV_FFMPEG_LOGLEVEL" not in os.environ


def test_frames_that_are_too_large_are_refused_before_any_is_kept(clip, monkeypatch):
    assert MOST_PIXELS == 8192 * 4320
    monkeypatch.setattr("data_prep.clips.MOST_PIXELS", 1000)
    with pytest.raises(DataError, match="more than the 1000 of 8K: scale it down"):
        Clip(clip)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_an_archive_that_is_a_pipe_is_not_waited_for(tmp_path, kind, capfd):
    path = tmp_path / "photos.tar"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    one_line(places2.main, [path, tmp_path / "out"], capfd, "regular file")


def test_an_xz_archive_that_asks_for_gigabytes_is_refused(tmp_path, capfd):
    archive = write_tar(tmp_path / "a.tar", val_256(4))
    data, packed = lzma.compress(archive.read_bytes(), preset=9), tmp_path / "a.tar.xz"
    packed.write_bytes(data)
    assert places2.main([str(packed), str(tmp_path / "a")]) == 0
    assert read_json(tmp_path / "a" / "index.json")["photos"] == 4
    packed.write_bytes(_with_dictionary(data))
    assert "a.tar.xz" in one_line(places2.main, [packed, tmp_path / "b"], capfd, "Memory")


def _with_dictionary(data: bytes) -> bytes:
    """Say 1.5 GB in the first block's header, whose sum is put right."""
    length = (data[12] + 1) * 4
    header = bytearray(data[12 : 12 + length])
    at = header.index(bytes([0x21, 1])) + 2
    header[at] = 37  # 1.5 GB
    header[-4:] = struct.pack("<I", zlib.crc32(bytes(header[:-4])))
    return data[:12] + bytes(header) + data[12 + length :]


@pytest.fixture
def deep(tmp_path):
    """A folder of photos with 1,500 folders in one another, removed even after a failure.

    From below: what removes the folders of tests calls itself for each.
    """
    source = tmp_path / "val_256"
    source.mkdir()
    (source / "a.jpg").write_bytes(jpeg(0))
    above = os.open(source, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=above)
        below = os.open("d", os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = below
    os.close(above)
    yield source
    os.chdir(source)
    for _ in range(1500):
        os.chdir("d")
    for _ in range(1500):
        os.chdir("..")
        os.rmdir("d")
    os.chdir(PROJECT)


def test_folders_nested_deeper_than_pythons_recursion(deep, tmp_path):
    """Places of a source, and what a training folder says."""
    with within_processor_seconds(30):
        status = places2.main([str(deep), str(tmp_path / "out")])
    assert status in (0, 2), "a path may be too long for the system, but nothing bursts"


def test_a_source_of_a_million_entries_without_photos_is_given_up(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(shards, "MOST_LEFT_OUT", 20)
    entries = (member(f"val_256/{'x' * 300}{n}.jpg", b"no photo") for n in range(50))
    archive = write_tar(tmp_path / "a.tar", entries)
    said = one_line(
        places2.main, [archive, tmp_path / "out"], capfd, "more than 20 entries give no photo"
    )
    assert len(said.splitlines()[-1]) < 600


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    archive = write_tar(folder / "a.tar", val_256(12))
    assert places2.main([str(archive), str(folder / "shards")]) == 0
    options = ["--set", "valid", "--total", "10", "--size", "64"]
    assert evaluation_sets.main([str(folder / "shards"), str(folder / "set"), *options]) == 0
    return folder


WRONG = ["../../etc/passwd", "/etc/passwd", 7, None, "a\0b", ["x"], "x" * 5000]


@pytest.mark.parametrize("name", WRONG, ids=repr)
def test_records_lead_nowhere_outside(tmp_path, packed, name, capfd):
    manifest = read_json(packed / "set" / "manifest.json")
    manifest["pairs"][0]["photo"]["file"] = name
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"manifest\.json is damaged"):
        read_evaluation_set(tmp_path)
    index = read_json(packed / "shards" / "index.json")
    next(iter(index["splits"].values()))["shards"][0]["name"] = name
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="no index of shards, or damaged"):
        read_index(tmp_path)


@pytest.mark.parametrize("damage", [b"", b"[1]", b"{", b"\xff", b"[" * 100_000, b'{"complete": 1}'])
def test_damaged_records_are_refused(tmp_path, packed, damage, capfd):
    for name, read in (("manifest.json", read_evaluation_set), ("index.json", read_index)):
        (tmp_path / name).write_bytes(damage)
        with pytest.raises(ValueError, match=name) as refused:
            read(tmp_path)
        assert len(str(refused.value)) < 500
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        with pytest.raises(ValueError, match=name):
            read(tmp_path)
        (tmp_path / name).unlink()
    (tmp_path / "index.json").write_bytes(damage.replace(b"complete", b"finished"))
    archive = packed / "a.tar"
    one_line(places2.main, [archive, tmp_path], capfd, "index.json")
    (tmp_path / "index.json").unlink()
    (tmp_path / "manifest.json").write_bytes(damage)
    one_line(silhouettes.main, [tmp_path, tmp_path / "people.npz"], capfd, "manifest.json")


OTHER_KINDS = [None, [], ["x"], "x", float("nan"), {}, True, -1, 10**30]


def changed(record):
    """Yield a record with each of its values replaced by each of other kinds; and its own."""
    for value in OTHER_KINDS:
        yield value
    for place in record if isinstance(record, dict) else range(len(record))[:3]:
        below = record[place]
        if place == "samples":
            continue
        for value in changed(below) if isinstance(below, dict | list) else OTHER_KINDS:
            copy = record.copy()
            copy[place] = value
            yield copy


@pytest.mark.parametrize("name", ["index.json", "val-000000.json"])
@pytest.mark.parametrize("complete", [True, False])
def test_records_of_other_types_are_refused_in_a_line(tmp_path, packed, capfd, name, complete):
    shards = tmp_path / "shards"
    shutil.copytree(packed / "shards", shards)
    if not complete:
        index = read_json(shards / "index.json")
        (shards / "index.json").write_text(json.dumps(index | {"complete": False}))
    files = {path.name: path.read_bytes() for path in shards.glob("[a-z]*")}
    refused = 0
    for record in changed(read_json(shards / name)):
        (shards / name).write_text(json.dumps(record))
        if places2.main([str(packed / "a.tar"), str(shards)]) == 2:
            said = capfd.readouterr().err.splitlines()
            assert len(said) == 1
            assert said[0].startswith(f"error: {shards}")
            assert len(said[0]) < 600
            refused += 1
        for file, data in files.items():
            (shards / file).write_bytes(data)
    assert refused > 50


def test_the_first_photo_of_a_listing_that_was_changed(tmp_path, capfd):
    """By its folder, keys are told apart when the work is taken up."""
    names = ("oslo/1", "oslo/2", "rome/1", "rome/2")
    members = [member(f"{name}.jpg", jpeg(number)) for number, name in enumerate(names)]
    source, shards = write_tar(tmp_path / "a.tar", members), tmp_path / "shards"
    options = [source, shards, "--shard-size", "2"]
    assert places2.main([str(option) for option in options]) == 0
    index = read_json(shards / "index.json")
    listing = read_json(shards / "photos-000000.json")
    (shards / "index.json").write_text(json.dumps(index | {"complete": False}))
    (shards / "photos-000001.json").unlink()
    (shards / "photos-000001.tar").unlink()
    first = listing["samples"][0]
    for samples in (None, [], [None], [[]], [first[:1]], [["key", 7, *first[2:]]], {}, "x"):
        (shards / "photos-000000.json").write_text(json.dumps(listing | {"samples": samples}))
        one_line(places2.main, options, capfd, "photos-000000.json")
    (shards / "photos-000000.json").write_text(json.dumps(listing))
    assert places2.main([str(option) for option in options]) == 0
    assert read_json(shards / "index.json") == index


def test_names_of_samples_are_names(tmp_path, packed):
    manifest = read_json(packed / "set" / "manifest.json")
    for name in ("../a", "a/b", "", "a\x1b[2J", "\0"):
        manifest["pairs"][0]["name"] = name
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(ValueError, match="no name of a sample"):
            read_evaluation_set(tmp_path)


def test_the_whole_records_are_read(packed):
    assert len(read_evaluation_set(packed / "set").records) == 10
    assert read_index(packed / "shards").splits
