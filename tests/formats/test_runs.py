"""The tables of a run: whole epochs only, nothing twice, and any name comes back."""

import pandas as pd
import pytest

from lab.formats.runs import loss_table, photo_table


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


def test_earlier_epochs_are_copied_not_read_again(tmp_path, monkeypatch):
    table = photo_table(tmp_path)
    table.write_epoch(1, scores(20.0))
    monkeypatch.setattr(pd, "read_csv", lambda *_, **__: pytest.fail("read again"))
    table.write_epoch(2, scores(21.0))


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


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    table = photo_table(tmp_path)
    table.write_epoch(1, scores(20.0))
    before = table.path.read_bytes()

    def break_off(self, path, **_):
        path.write_text("half a ta")
        raise OSError("no space left on device")

    monkeypatch.setattr("pandas.DataFrame.to_csv", break_off)
    with pytest.raises(OSError, match="no space"):
        table.write_epoch(2, scores(21.0))
    assert table.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["photos.csv"]


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
    ],
)
def test_a_file_that_is_no_such_table_is_named(tmp_path, content, said):
    table = photo_table(tmp_path)
    table.path.write_text(content)
    with pytest.raises(ValueError, match=said) as raised:
        table.read()
    assert str(table.path) in str(raised.value)
