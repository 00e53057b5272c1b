"""What does not lie safely below the source is refused, and nothing is written elsewhere."""

import os
import tarfile

import pytest

from data_prep.photo_sources import LARGEST_PHOTO
from data_prep.places2 import main
from tests.data_prep.making import jpeg, member, read_json, unpack, val_256, write_tar

ATTACKS = {
    "absolute": (member("/etc/photo.jpg", jpeg(9)), "absolute"),
    "windows": (member("C:\\photo.jpg", jpeg(9)), "absolute"),
    "parent": (member("val_256/../../photo.jpg", jpeg(9)), "leaves the folder"),
    "parent with backslashes": (member("val_256\\..\\..\\p.jpg", jpeg(9)), "leaves the folder"),
    "folder": (member("../evil", type=tarfile.DIRTYPE), "leaves the folder"),
    "symlink": (member("val_256/p.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "link"),
    "hard link": (member("val_256/p.jpg", type=tarfile.LNKTYPE, linkname="../a.jpg"), "link"),
    "device": (member("val_256/p.jpg", type=tarfile.CHRTYPE), "device"),
    "block device": (member("val_256/p.jpg", type=tarfile.BLKTYPE), "device"),
    "pipe": (member("val_256/p.jpg", type=tarfile.FIFOTYPE), "pipe"),
    "long name": (member("x/" * 100 + "../" * 120 + "p.jpg", jpeg(9)), "leaves the folder"),
}


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("name", ATTACKS)
def test_a_member_that_leaves_the_folder_is_refused(tmp_path, name, form):
    attack, reason = ATTACKS[name]
    photos = list(val_256(4))
    source = write_tar(tmp_path / "a.tar", [*photos[:2], attack, *photos[2:]], form=form)
    before = {path for path in tmp_path.rglob("*")}

    assert main([str(source), str(tmp_path / "shards")]) == 0
    index = read_json(tmp_path / "shards" / "index.json")
    assert index["photos"] == 4
    assert [reason in why for _, why in index["left_out"]] == [True]
    new = {path for path in tmp_path.rglob("*")} - before
    assert all(path.is_relative_to(tmp_path / "shards") for path in new)
    with tarfile.open(tmp_path / "shards" / "val-000000.tar") as shard:
        for info in shard:
            assert info.isreg()
            assert not info.name.startswith("/")
            assert ".." not in info.name


def test_a_member_too_large_for_a_photo_is_passed_over(tmp_path):
    source = tmp_path / "a.tar"
    large = tarfile.TarInfo("val_256/large.jpg")
    large.size = LARGEST_PHOTO + 1
    photo = tarfile.TarInfo("val_256/p.jpg")
    photo.size = len(jpeg(0))
    with source.open("wb") as file:
        file.write(large.tobuf())
        file.seek(-(-large.size // 512) * 512, os.SEEK_CUR)
        file.write(photo.tobuf() + jpeg(0) + bytes(-len(jpeg(0)) % 512) + bytes(1024))

    assert main([str(source), str(tmp_path / "shards")]) == 0
    index = read_json(tmp_path / "shards" / "index.json")
    assert index["photos"] == 1
    assert "claims 67108865 bytes" in index["left_out"][0][1]


@pytest.mark.parametrize(
    ("kind", "message"),
    [(b"L", "claims"), (b"x", "claims"), (b"S", "sparse"), (b"0", "ends in the middle")],
)
def test_a_header_that_claims_the_impossible_ends_the_command(tmp_path, capsys, kind, message):
    bomb = tarfile.TarInfo("p.jpg")
    bomb.type, bomb.size = kind, 2**33
    source = tmp_path / "a.tar"
    source.write_bytes(write_tar(source, val_256(1)).read_bytes()[:-10240] + bomb.tobuf())

    assert main([str(source), str(tmp_path / "shards")]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "records",
    [b"9999 path=x\n", b"x path=a.jpg\n", b"12 pathxxxx\n", b"0 a=b\n", b"99999999999 path=a\n"],
)
def test_a_damaged_extended_header_ends_the_command(tmp_path, capsys, records):
    header = tarfile.TarInfo("x")
    header.type, header.size = b"x", len(records)
    source = tmp_path / "a.tar"
    begin = write_tar(source, val_256(1)).read_bytes()[:-10240]
    source.write_bytes(begin + header.tobuf() + records.ljust(512, b"\0") + bytes(1024))

    assert main([str(source), str(tmp_path / "shards")]) == 2
    assert "damaged header" in capsys.readouterr().err


def test_links_and_pipes_in_a_folder_are_refused(tmp_path):
    folder = unpack(val_256(3), tmp_path) / "val_256"
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "p.jpg").write_bytes(jpeg(9))
    (folder / "link.jpg").symlink_to(secret / "p.jpg")
    (folder / "elsewhere").symlink_to(secret)
    os.mkfifo(folder / "pipe.jpg")

    assert main([str(folder), str(tmp_path / "shards")]) == 0
    index = read_json(tmp_path / "shards" / "index.json")
    assert index["photos"] == 3
    assert dict(index["left_out"]) == {
        "val_256/elsewhere": "it is a link",
        "val_256/link.jpg": "it is a link",
        "val_256/pipe.jpg": "it is no regular file",
    }


def test_names_with_control_characters_are_shown_harmlessly(tmp_path, capsys):
    source = write_tar(tmp_path / "a.tar", [*val_256(1), member("val_256/\x1b[2J.jpg", b"no")])

    assert main([str(source), str(tmp_path / "shards")]) == 0
    assert "\x1b" not in capsys.readouterr().out
