"""The tables of a run: whole epochs only, nothing twice, and any name comes back."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from lab.checks import UserError
from lab.formats.runs import loss_table, photo_table

PROJECT = Path(__file__).parents[2]


def scores(value, photos=("a", "b")):
    return pd.DataFrame(
        {"photo": photos, "sample": photos, "hole_ratio": 0.25, "hole_psnr": value, "hole_l1": 0.1}
    )


def test_every_metric_of_every_sample_at_every_epoch(tmp_path):
    table = photo_table(tmp_path)
    table.write_epoch(1, scores(20.0))
    table.write_epoch(2, scores(21.0))
    read = table.read()
    assert list(read) == ["epoch", "photo", "sample", "hole_ratio", "hole_psnr", "hole_l1"]
    assert read["hole_psnr"].tolist() == [20.0, 20.0, 21.0, 21.0]


def test_a_repeated_epoch_replaces_its_rows_and_any_later_ones(tmp_path):
    table = photo_table(tmp_path)
    for epoch in (1, 2, 3):
        table.write_epoch(epoch, scores(20.0 + epoch))
    table.write_epoch(2, scores(30.0))
    assert table.read().groupby("epoch")["hole_psnr"].first().to_dict() == {1: 21.0, 2: 30.0}


def test_earlier_epochs_are_neither_read_nor_copied(tmp_path, monkeypatch):
    table = photo_table(tmp_path)
    table.write_epoch(1, scores(20.0))
    before, file = table.path.read_bytes(), table.path.stat().st_ino
    monkeypatch.setattr(pd, "read_csv", lambda *_, **__: pytest.fail("read again"))
    table.write_epoch(2, scores(21.0))
    assert table.path.stat().st_ino == file
    assert table.path.read_bytes().startswith(before)


@pytest.mark.parametrize("photos", [("a", "b"), ("a\n\n", "\n\n2,b"), ('"\n\n"', ",\n")])
def test_wherever_an_epoch_was_cut_off_only_whole_ones_are_seen(tmp_path, photos):
    table = photo_table(tmp_path)
    lengths = []
    for epoch in (1, 2):
        table.write_epoch(epoch, scores(20.0 + epoch, photos))
        lengths.append(table.path.stat().st_size)
    whole, file = table.path.read_bytes(), table.path.stat().st_ino
    table.write_epoch(3, scores(23.0, photos))
    is_appended = table.path.stat().st_ino == file
    assert is_appended == (photos == ("a", "b")), "what cannot be told from its end is not appended"
    for cut in range(lengths[0], lengths[1]) if is_appended else lengths[:1]:
        table.path.write_bytes(whole[:cut])
        assert table.read()["hole_psnr"].tolist() == [21.0, 21.0], cut
        table.write_epoch(2, scores(22.0, photos))
        assert table.path.read_bytes() == whole, cut


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_what_else_a_link_names_is_not_added_to(tmp_path, link):
    (tmp_path / "elsewhere").mkdir()
    other, table = photo_table(tmp_path / "elsewhere"), photo_table(tmp_path)
    other.write_epoch(1, scores(20.0))
    getattr(table.path, link)(other.path)
    table.write_epoch(2, scores(21.0))
    assert other.read()["epoch"].tolist() == [1, 1]
    assert table.read()["epoch"].tolist() == [1, 1, 2, 2]


def test_a_file_of_a_version_that_marked_no_ends_is_gone_on_with(tmp_path):
    table = photo_table(tmp_path)
    table.write_epoch(1, scores(20.0))
    table.path.write_bytes(table.path.read_bytes().replace(b"\n\n", b"\n"))
    assert table.read()["epoch"].tolist() == [1, 1]
    table.write_epoch(2, scores(21.0))
    table.write_epoch(3, scores(21.0))
    assert table.read()["epoch"].tolist() == [1, 1, 2, 2, 3, 3]


def test_a_metric_that_came_later_is_missing_before(tmp_path):
    table = photo_table(tmp_path)
    table.write_epoch(1, scores(20.0).drop(columns="hole_l1"))
    table.write_epoch(2, scores(21.0))
    read = table.read()
    assert read["hole_l1"].isna().tolist() == [True, True, False, False]


def test_losses_of_a_phase_that_ended_are_missing_after(tmp_path):
    table = loss_table(tmp_path)
    table.write_epoch(1, pd.DataFrame([{"total": 1.0, "hole_l1": 0.5}]))
    table.write_epoch(2, pd.DataFrame([{"total": 0.9, "adversarial": 0.1}]))
    read = table.read().set_index("epoch")
    assert read.loc[2].isna().to_dict() == {"total": False, "hole_l1": True, "adversarial": False}


def limited(most):
    """What a child process runs first: none of its files can be longer, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def write_epochs(folder, epochs, **options):
    """Start a process that writes epochs of half a megabyte each, saying the number of each."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITING, str(folder), *map(str, epochs)],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


SAMPLES = 8_000
WRITING = f"""
import sys
from pathlib import Path
import pandas as pd
from lab.formats.runs import photo_table
names = [f"photo-{{number}} of a long name" for number in range({SAMPLES})]
rows = pd.DataFrame({{"photo": names, "sample": names, "hole_ratio": 0.2, "hole_l1": 0.1}})
table = photo_table(Path(sys.argv[1]))
for epoch in range(*map(int, sys.argv[2:])):
    table.write_epoch(epoch, rows)
    print(epoch, flush=True)
"""


def assert_whole(table):
    """Every epoch that a reader sees has all its rows; returns the number of epochs."""
    counts = table.read()["epoch"].value_counts(sort=False)
    assert list(counts.index) == list(range(1, len(counts) + 1))
    assert set(counts) <= {SAMPLES}
    return len(counts)


def test_a_disk_that_fills_within_an_epoch_leaves_the_ones_before(tmp_path):
    table = photo_table(tmp_path)
    process = write_epochs(tmp_path, (1, 9), preexec_fn=limited(2 * 2**20))
    written, said = process.communicate(timeout=60)
    assert f"File too large: '{table.path}'" in said
    assert table.path.stat().st_size == 2 * 2**20, "a part of the next is there"
    assert assert_whole(table) == len(written.split()) > 1
    table.write_epoch(len(written.split()) + 1, scores(1.0).drop(columns="hole_psnr"))
    assert list(table.read()["sample"])[-2:] == ["a", "b"]


def test_a_reader_sees_whole_epochs_while_one_is_written_and_after_a_kill(tmp_path):
    table = photo_table(tmp_path)
    seen = 0
    for moment in range(3):
        process = write_epochs(tmp_path, (seen + 1, 1000))
        said = [int(process.stdout.readline()) for _ in range(2)][-1]
        for _ in range(2):
            assert assert_whole(table) >= said
        time.sleep(0.011 * moment)
        process.kill()
        process.communicate()
        seen = assert_whole(table)
        assert seen >= said


@pytest.mark.parametrize("photo", ["NA", "null", "nan", "007", "1e5", "a,b", 'a "quoted" one', "é"])
def test_any_photos_name_comes_back(tmp_path, photo):
    table = photo_table(tmp_path)
    table.write_epoch(1, scores(20.0, [photo]))
    table.write_epoch(2, scores(21.0, [photo]))
    read = table.read()
    assert read["sample"].tolist() == [photo, photo]
    assert read["hole_psnr"].tolist() == [20.0, 21.0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not what a run writes"),
        ("epoch,photo\n1,a\n", "no column sample, hole_ratio"),
        ("epoch,photo,sample,hole_ratio,hole_ssim\n1,a,a,0.2,high\n", "is not what a run writes"),
        ("epoch,photo,sample,hole_ratio\nx,a,a,0.2\n", "is not what a run writes"),
        ("epoch,photo,sample,hole_ratio\n1,a,a,0.2\n1,a,a,0.2\n", "two rows of one epoch and samp"),
        ('epoch,photo,sample,hole_ratio\n1,"a,0.2', "is not what a run writes"),
        (
            "epoch,photo,sample,hole_ratio,hole_ssim\n1,a,a,0.2,0.5\n1,b,b,0.2,\n",
            "of epoch 1, some rows lack hole_ssim",
        ),
    ],
)
def test_a_file_that_is_no_such_table_is_named(tmp_path, content, said):
    table = photo_table(tmp_path)
    table.path.write_text(content)
    with pytest.raises(ValueError, match=said) as raised:
        table.read()
    assert str(table.path) in str(raised.value)


def test_a_word_in_a_long_column_of_numbers_is_an_error_and_no_warning(tmp_path, recwarn):
    lines = [f"1,photo,photo-{number},0.2,0.5" for number in range(60_000)]
    lines[30_000] = "1,photo,photo-30000,0.2,word"
    header = "epoch,photo,sample,hole_ratio,hole_ssim"
    (tmp_path / "photos.csv").write_text("\n".join([header, *lines, "", ""]))
    with pytest.raises(UserError, match="word"):
        photo_table(tmp_path).read()
    assert not list(recwarn)
