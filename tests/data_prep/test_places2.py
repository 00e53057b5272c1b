"""Official archives become WebDataset shards: all forms, all bytes, and what is no photo."""

import bz2
import gzip
import hashlib
import io
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from data_prep import packing
from data_prep.photo_sources import Bookmark, SourceFile
from data_prep.places2 import main
from data_prep.places_layout import photo_place
from lab.data.photo_sets import find_photos
from lab.data.shard_set import open_shards
from lab.imaging import decode_photo, read_source
from tests.data_prep.making import (
    data_256,
    easyformat,
    jpeg,
    member,
    photo_pixels,
    read_json,
    unpack,
    val_256,
    write_tar,
)
from tests.timing import within_processor_seconds

ROOT = Path(__file__).parents[2]
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
)


def pack(source, dest, *options):
    assert main([str(source), str(dest), *options]) == 0
    return read_json(dest / "index.json")


def samples(dest, split):
    """What WebDataset itself reads, by key."""
    shards = sorted(str(path) for path in dest.glob(f"{split}-*.tar"))
    read = webdataset.WebDataset(shards, shardshuffle=False)
    return {sample["__key__"]: sample["jpg"] for sample in read}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_the_easy_format_has_two_splits(tmp_path, mode):
    source = write_tar(tmp_path / "places365standard_easyformat.tar", easyformat(), mode)
    index = pack(source, tmp_path / "shards")

    assert index["complete"]
    assert {name: split["photos"] for name, split in index["splits"].items()} == {
        "train": 6,
        "val": 3,
    }
    train = samples(tmp_path / "shards", "train")
    assert list(train) == [
        *(f"airfield/{number:08d}" for number in (1, 2, 3)),
        *(f"zen_garden/{number:08d}" for number in (4, 5, 6)),
    ]
    assert list(train.values()) == [jpeg(number) for number in range(6)]
    assert list(samples(tmp_path / "shards", "val").values()) == [jpeg(n) for n in (6, 7, 8)]


@pytest.mark.parametrize(
    ("members", "split", "first", "last"),
    [
        (data_256, "train", "airfield/00000001", "balcony/exterior/00000006"),
        (val_256, "val", "Places365_val_00000001", "Places365_val_00000006"),
    ],
)
def test_archives_and_the_folders_unpacked_from_them(tmp_path, members, split, first, last):
    source = write_tar(tmp_path / "archive.tar", members())
    index = pack(source, tmp_path / "from_tar", "--shard-size", "4")
    unpacked = unpack(members(), tmp_path / "unpacked") / ("data_256", "val_256")[split == "val"]
    pack(unpacked, tmp_path / "from_folder", "--shard-size", "4")

    assert [shard["photos"] for shard in index["splits"][split]["shards"]] == [4, 2]
    keys = list(samples(tmp_path / "from_tar", split))
    assert (keys[0], keys[-1], len(keys)) == (first, last, 6)
    for shard in index["splits"][split]["shards"]:
        data = (tmp_path / "from_tar" / shard["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == shard["sha256"]
        assert data == (tmp_path / "from_folder" / shard["name"]).read_bytes()


def test_listings_say_what_is_in_a_shard(tmp_path):
    pack(write_tar(tmp_path / "a.tar", data_256()), tmp_path / "shards")

    listing = read_json(tmp_path / "shards" / "train-000000.json")
    key, name, sha256, size, height, width = listing["samples"][2]
    assert (key, name) == ("airfield/00000003", "data_256/a/airfield/00000003.jpg")
    assert sha256 == hashlib.sha256(jpeg(2)).hexdigest()
    assert (size, height, width) == (len(jpeg(2)), 64, 64)


def test_what_cannot_be_read_is_listed_and_left_out(tmp_path, capsys):
    whole = jpeg(0)
    damaged = bytearray(jpeg(9, 128))
    damaged[2000:2200] = bytes(200)
    bad = {
        "cut": whole[: len(whole) // 2],
        "without_end": whole[:-2],
        "empty": b"",
        "text": b"<html>404 Not Found</html>",
        "damaged": bytes(damaged),
    }
    members = [
        *(member(f"val_256/{name}.jpg", data) for name, data in bad.items()),
        *val_256(3),
        member("val_256/readme.txt", b"no photo"),
        member("val_256/._Places365_val_00000001.jpg", b"of a Mac"),
    ]
    index = pack(write_tar(tmp_path / "a.tar", members), tmp_path / "shards")

    assert index["photos"] == 3
    left_out = {Path(name).stem: reason for name, reason in index["left_out"]}
    assert left_out.keys() == bad.keys()
    assert all(left_out.values())
    assert "Premature end" in left_out["cut"]
    out = capsys.readouterr().out
    assert "5 left out" in out
    assert "val_256/cut.jpg: Premature end" in out


def test_every_kind_of_photo_is_kept_as_it_is(tmp_path):
    picture = Image.open(io.BytesIO(jpeg(0)))
    files = {"plain.jpg": jpeg(0), "junk.jpg": jpeg(1)[:-2] + b"\x12\x34" + jpeg(1)[-2:]}
    for name, mode in (("gray.jpg", "L"), ("cmyk.jpg", "CMYK"), ("alpha.png", "RGBA")):
        file = io.BytesIO()
        picture.convert(mode).save(file, "PNG" if name.endswith("png") else "JPEG")
        files[name] = file.getvalue()
    members = [member(f"val_256/{name}", data) for name, data in files.items()]
    index = pack(write_tar(tmp_path / "a.tar", members), tmp_path / "shards")

    assert index["left_out"] == []
    with tarfile.open(tmp_path / "shards" / "val-000000.tar") as shard:
        kept = {info.name: shard.extractfile(info).read() for info in shard}
    assert kept == files


def test_photos_are_shrunk_on_request_and_never_enlarged(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    wide = io.BytesIO()
    Image.fromarray(np.repeat(np.array(Image.open(io.BytesIO(jpeg(0)))), 2, 1)).save(wide, "JPEG")
    members = [
        member("val_256/large.jpg", jpeg(0, 96)),
        member("val_256/turned.jpg", jpeg(1, 96, exif=exif)),
        member("val_256/small.jpg", jpeg(2, 32)),
        member("val_256/wide.jpg", wide.getvalue()),
    ]
    source = write_tar(tmp_path / "a.tar", members)
    pack(source, tmp_path / "shards", "--size", "48")

    read = samples(tmp_path / "shards", "val")
    sizes = {key: Image.open(io.BytesIO(data)).size for key, data in read.items()}
    assert sizes == {"large": (48, 48), "turned": (48, 48), "small": (32, 32), "wide": (96, 48)}
    assert read["small"] == jpeg(2, 32)
    (tmp_path / "before.jpg").write_bytes(jpeg(1, 96, exif=exif))
    (tmp_path / "after.jpg").write_bytes(read["turned"])
    before = decode_photo(tmp_path / "before.jpg").reshape(48, 2, 48, 2, 3).mean((1, 3))
    assert np.abs(before - decode_photo(tmp_path / "after.jpg")).mean() < 4


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_photos_whose_orientation_stands_in_xmp_alone_are_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    wide = Image.fromarray(np.hstack([photo_pixels(0, 96), photo_pixels(1, 96)]))
    files = {}
    for name, options in {
        "xmp": {"xmp": XMP % orientation},
        "exif": {"exif": exif},
    }.items():
        files[name] = tmp_path / f"{name}.jpg"
        wide.save(files[name], quality=95, **options)
    members = [member(f"val_256/{name}.jpg", path.read_bytes()) for name, path in files.items()]
    source = write_tar(tmp_path / "a.tar", members)

    upright = read_source(files["xmp"])
    pack(source, tmp_path / "as_they_are")
    listing = read_json(tmp_path / "as_they_are" / "val-000000.json")
    assert [sample[4:] for sample in listing["samples"]] == 2 * [[upright.height, upright.width]]
    pack(source, tmp_path / "shrunk", "--size", "48")
    shrunk = samples(tmp_path / "shrunk", "val")
    assert shrunk["xmp"] == shrunk["exif"]


def test_keys_are_unlike_each_other_and_fit_for_webdataset(tmp_path):
    names = ["a.b.jpg", "a_b.jpg", "ä.jpg", "a b.jpg", "x" * 120 + ".jpg", "y/" * 60 + "z.jpg"]
    members = [member(f"photos/{name}", jpeg(n)) for n, name in enumerate(names)]
    pack(write_tar(tmp_path / "a.tar", members), tmp_path / "shards")

    assert len(samples(tmp_path / "shards", "photos")) == len(names)
    assert photo_place("photos/c/a_b.jpg").key == "c/a_b"
    assert photo_place("places365_standard/train/train_station/platform/1.jpg").key == (
        "train_station/platform/1"
    )


@pytest.mark.parametrize("train", ["train", "Train"])
@pytest.mark.parametrize("val", ["val", "VAL", "validation", "valid", "Valid"])
def test_packing_keeps_the_sides_that_a_folder_has(tmp_path, train, val):
    members = [
        *(member(f"photos/{train}/{number}.jpg", jpeg(number)) for number in range(4)),
        *(member(f"photos/{val}/a/{number}.jpg", jpeg(number)) for number in range(4, 6)),
        member("photos/Test/6.jpg", jpeg(6)),
    ]
    index = pack(unpack(members, tmp_path) / "photos", tmp_path / "shards")
    assert {name: split["photos"] for name, split in index["splits"].items()} == {
        "train": 4,
        "val": 2,
        "test": 1,
    }
    assert list(samples(tmp_path / "shards", "val")) == ["a/4", "a/5"]
    plain, packed = find_photos(tmp_path / "photos"), open_shards(tmp_path / "shards", 0.2)
    assert "by their folders" in plain.rule
    assert "by their splits" in packed.rule
    hashes = {photo.sha256 for photo in plain.validation}
    assert {photo.sha256 for photo in packed.validation_photos(None)} == hashes


@pytest.mark.parametrize("root", ["valid", "Test", "train", "data_256"])
@pytest.mark.parametrize("sides", [("train", "val"), ("train", "test")])
def test_a_folder_that_holds_sides_is_itself_none(tmp_path, root, sides):
    members = [member(f"{root}/{side}/{n}.jpg", jpeg(n)) for n, side in enumerate(sides)]
    index = pack(unpack(members, tmp_path) / root, tmp_path / "shards")
    assert index["splits"].keys() == set(sides)
    assert list(samples(tmp_path / "shards", sides[1])) == ["1"]


def test_a_category_may_be_called_as_a_side(tmp_path):
    folder = unpack([member(f"val/{name}/1.jpg", jpeg(0)) for name in ("train", "dog")], tmp_path)
    index = pack(folder / "val", tmp_path / "shards")
    assert index["splits"].keys() == {"val"}
    assert list(samples(tmp_path / "shards", "val")) == ["dog/1", "train/1"]
    assert photo_place("photos/val/train/1.jpg").split == "val"


def test_no_photo_is_left_out_for_its_name(tmp_path):
    first = "val_256/Places365_val_00000001"
    names = [f"{first}.jpg", f"{first}.png", f"{first}.jpeg", f"{first}.jpg", f"{first}.jpg"]
    members = [member(name, jpeg(number)) for number, name in enumerate(names)]
    index = pack(write_tar(tmp_path / "a.tar", members), tmp_path / "shards")

    assert index["left_out"] == []
    read = samples(tmp_path / "shards", "val")
    assert list(read.values()) == [jpeg(number) for number in range(5)]
    assert list(read)[:2] == ["Places365_val_00000001", first]
    listing = read_json(tmp_path / "shards" / "val-000000.json")
    assert [sample[0] for sample in listing["samples"]] == list(read)
    assert [sample[1] for sample in listing["samples"]] == names


def categories(root=""):
    """An archive as ``tar cf photos.tar */`` makes it."""
    for place, category in enumerate(("airfield", "alley", "bar", "zoo")):
        for number in range(5):
            name = f"{root}{category}/{number + 1:08d}.jpg"
            yield member(name, jpeg(5 * place + number))


@pytest.mark.parametrize("shard_size", [3, 7, 100])
def test_an_archive_without_a_folder_of_all_loses_no_photo(tmp_path, shard_size):
    source = write_tar(tmp_path / "photos.tar", categories())
    index = pack(source, tmp_path / "shards", "--shard-size", str(shard_size))

    assert (index["photos"], index["left_out"]) == (20, [])
    read = samples(tmp_path / "shards", "photos")
    assert list(read.values()) == [jpeg(number) for number in range(20)]
    assert list(read)[:6] == [*(f"{number:08d}" for number in range(1, 6)), "alley/00000001"]

    # One folder of all is no part of the keys, in archives as in folders.
    source = write_tar(tmp_path / "rooted.tar", categories("mine/"))
    pack(source, tmp_path / "rooted", "--shard-size", str(shard_size))
    keys = [info.name.removesuffix(".jpg") for info, _ in categories()]
    assert list(samples(tmp_path / "rooted", "photos")) == keys


def test_folders_above_a_side_tell_photos_apart(tmp_path):
    members = [member(f"{town}/train/1.jpg", jpeg(n)) for n, town in enumerate(("oslo", "rome"))]
    index = pack(write_tar(tmp_path / "a.tar", members), tmp_path / "shards")
    assert index["left_out"] == []
    assert list(samples(tmp_path / "shards", "train")) == ["1", "rome/train/1"]


def test_a_second_call_changes_nothing(tmp_path, capsys):
    source = write_tar(tmp_path / "a.tar", val_256())
    first = pack(source, tmp_path / "shards")
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "shards").iterdir()}

    assert pack(source, tmp_path / "shards") == first
    for path in (tmp_path / "shards").glob("[a-z]*"):
        assert path.stat().st_mtime_ns == stamps[path.name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--size", "32"], "begun with --size None, not 32"),
        (["--shard-size", "3"], "begun with --shard-size 2000, not 3"),
        (["other.tar"], "another source"),
        (["full"], "holds something else"),
        (["nothing.tar"], "there is no"),
        (["text.tar"], "is no tar archive"),
        (["zip.tar"], "zip archive"),
        (["empty.tar"], "no readable photo in the source: val_256/p.jpg ("),
        (["lost"], "missing from a set"),
    ],
)
def test_mistakes_are_answered_in_words(tmp_path, capsys, change, message):
    source, dest = write_tar(tmp_path / "a.tar", val_256()), tmp_path / "shards"
    pack(source, dest)
    write_tar(tmp_path / "other.tar", data_256())
    write_tar(tmp_path / "empty.tar", [member("val_256/p.jpg", b"nothing")])
    (tmp_path / "text.tar").write_bytes(b"no archive" * 100)
    (tmp_path / "zip.tar").write_bytes(b"PK\3\4" + bytes(600))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    if change == ["full"]:
        dest, change = tmp_path / "full", []
    elif change == ["lost"]:
        (dest / "val-000000.tar").unlink()
        change = []
    elif change[0].endswith(".tar"):
        source = tmp_path / change[0]
        dest = dest if change == ["other.tar"] else tmp_path / "new"
        change = []

    assert main([str(source), str(dest), *change]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert message in last
    assert (tmp_path / "full" / "thesis.txt").exists()


def test_an_archive_that_was_cut_off_is_taken_up_when_whole(tmp_path, capsys, monkeypatch):
    # The real fingerprint is of the first MiB.
    monkeypatch.setattr("data_prep.tar_source._BUFFER", 2**12)
    source = write_tar(tmp_path / "a.tar", val_256(8))
    whole = source.read_bytes()
    expected = pack(source, tmp_path / "expected", "--shard-size", "2")
    source.write_bytes(whole[: len(whole) // 2])
    assert main([str(source), str(tmp_path / "shards"), "--shard-size", "2"]) == 2
    assert "ends in the middle" in capsys.readouterr().err
    assert list((tmp_path / "shards").glob("*.tar"))

    source.write_bytes(whole)
    assert pack(source, tmp_path / "shards", "--shard-size", "2") == expected


def place_of(source, number):
    """Where a member's header begins."""
    with tarfile.open(source) as archive:
        return archive.getmembers()[number].offset


# Of each, the member at which it begins, how many bytes later, and the one before which it ends.
HOLES = {
    "from a photo to a photo": (3, 1024, 6, 1024),
    "from a header to a photo": (3, 0, 6, 1024),
    "from a photo to the end": (3, 1024, None, 0),
    "from a header to the end": (3, 0, None, 0),
}


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_download_with_a_hole_is_taken_up_when_whole(tmp_path, capsys, monkeypatch, hole, packed):
    """Some programs make the file as large as it will be, and what has not arrived is zeros."""
    monkeypatch.setattr("data_prep.tar_source._BUFFER", 2**10)
    source = write_tar(tmp_path / "a.tar", val_256(8))
    begins, more, ends, then = HOLES[hole]
    whole = source.read_bytes()
    start = place_of(source, begins) + more
    end = len(whole) if ends is None else place_of(source, ends) + then
    source.write_bytes(packed(whole))
    expected = pack(source, tmp_path / "expected", "--shard-size", "2")
    assert expected["photos"] == 8

    source.write_bytes(packed(whole[:start] + bytes(end - start) + whole[end:]))
    options = [str(source), str(tmp_path / "shards"), "--shard-size", "2"]
    assert main(options) == 2
    said = capsys.readouterr().err
    assert said.count("error: ") == 1
    assert "zeros" in said
    assert "download it again" in said
    assert not read_json(tmp_path / "shards" / "index.json")["complete"]
    if packed is bytes:  # else the beginning, by which an archive is known, is another
        source.write_bytes(whole)
        assert pack(source, tmp_path / "shards", "--shard-size", "2") == expected


@pytest.mark.parametrize("between", [1024, 10240])
def test_archives_one_after_the_other_lose_no_photo(tmp_path, capsys, between):
    first = write_tar(tmp_path / "val.tar", val_256(2))
    both = place_of(first, 1) + 512 + -(-len(jpeg(1)) // 512) * 512
    second = write_tar(tmp_path / "test.tar", [member("test_256/1.jpg", jpeg(3))])
    source = tmp_path / "all.tar"
    source.write_bytes(first.read_bytes()[:both] + bytes(between) + second.read_bytes())

    assert main([str(source), str(tmp_path / "shards")]) == 2
    assert "several archives one after the other, give them one by one" in capsys.readouterr().err
    assert not read_json(tmp_path / "shards" / "index.json")["complete"]


@pytest.mark.parametrize("end", [512, 1024, 10240, 10240 + 512])
def test_archives_end_in_zeros_of_many_lengths(tmp_path, end):
    source = write_tar(tmp_path / "a.tar", val_256(2))
    photos = place_of(source, 1) + 512 + -(-len(jpeg(1)) // 512) * 512
    source.write_bytes(source.read_bytes()[:photos] + bytes(end))
    assert pack(source, tmp_path / "shards")["photos"] == 2


@pytest.mark.parametrize("dest", ["val_256", "val_256/shards", "val_256/../val_256/a/b"])
def test_shards_do_not_lie_among_their_photos(tmp_path, capsys, dest):
    folder = unpack(val_256(2), tmp_path) / "val_256"
    assert main([str(folder), str(tmp_path / dest)]) == 2
    said = capsys.readouterr().err
    assert "lies in SOURCE" in said
    assert "name a folder outside of it" in said
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("option", ["size", "shard-size", "workers"])
@pytest.mark.parametrize("number", ["0", "-1"])
def test_numbers_are_at_least_one(tmp_path, capsys, option, number):
    source = write_tar(tmp_path / "a.tar", val_256(1))
    with pytest.raises(SystemExit) as ended:
        main([str(source), str(tmp_path / "shards"), f"--{option}", number])
    assert ended.value.code == 2
    assert f"--{option} is {number}, but must be at least 1" in capsys.readouterr().err


def test_few_bytes_wait_in_memory_whatever_the_cores(monkeypatch):
    monkeypatch.setattr(packing, "_MOST_WAITING_BYTES", 100)
    monkeypatch.setattr(packing, "_BATCH_BYTES", 10)
    monkeypatch.setattr(packing, "_prove_batch", lambda batch, _: batch)
    taken = []

    def entries():
        for number in range(200):
            taken.append(number)
            yield SourceFile(Bookmark(number), f"{number}.jpg", bytes(10))

    proven, most = [], 0
    for batch in packing._proven(entries(), None, 1000):
        most = max(most, len(taken) - len(proven))
        proven += batch
    assert [entry.place.position for entry in proven] == list(range(200))
    # Beside what waits, one that was read before room was made for it.
    assert most == 11


def test_a_broken_compressed_archive_is_an_error(tmp_path, capsys):
    source = write_tar(tmp_path / "a.tar.gz", val_256(8), "w:gz")
    source.write_bytes(source.read_bytes()[:-3000])

    assert main([str(source), str(tmp_path / "shards")]) == 2
    assert "cut off" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["places2", "clean_plate", "silhouettes", "evaluation_sets"])
def test_help_comes_at_once(command):
    with within_processor_seconds(3):
        done = subprocess.run(
            [sys.executable, "-m", f"data_prep.{command}", "--help"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert done.stdout.startswith(f"usage: python -m data_prep.{command}")
