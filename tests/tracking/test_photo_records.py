"""photos.csv: whole epochs only, nothing twice."""

import pytest

from lab.tracking import PhotoRecords, PhotoScore


def scores(value):
    return [PhotoScore(photo, 0.25, {"hole_psnr": value, "hole_l1": 0.1}) for photo in ("a", "b")]


def test_every_metric_of_every_photo_at_every_epoch(tmp_path):
    records = PhotoRecords(tmp_path / "photos.csv")
    records.write_epoch(1, scores(20.0))
    records.write_epoch(2, scores(21.0))
    table = records.read()
    assert len(table) == 2 * 2 * 2
    assert records.by_photo("hole_psnr").loc[2].to_dict() == {"a": 21.0, "b": 21.0}


def test_a_repeated_epoch_replaces_its_rows_and_any_later_ones(tmp_path):
    records = PhotoRecords(tmp_path / "photos.csv")
    for epoch in (1, 2, 3):
        records.write_epoch(epoch, scores(20.0 + epoch))
    records.write_epoch(2, scores(30.0))
    assert records.by_photo("hole_psnr")["a"].to_dict() == {1: 21.0, 2: 30.0}


def test_an_unknown_metric_names_those_that_were_recorded(tmp_path):
    records = PhotoRecords(tmp_path / "photos.csv")
    records.write_epoch(1, scores(20.0))
    with pytest.raises(ValueError, match="hole_l1, hole_psnr"):
        records.by_photo("hole_pnsr")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    records = PhotoRecords(tmp_path / "photos.csv")
    records.write_epoch(1, scores(20.0))
    before = records.path.read_bytes()

    def break_off(self, path, **_):
        path.write_text("half a ta")
        raise OSError("no space left on device")

    monkeypatch.setattr("pandas.DataFrame.to_csv", break_off)
    with pytest.raises(OSError, match="no space"):
        records.write_epoch(2, scores(21.0))
    assert records.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["photos.csv"]


@pytest.mark.parametrize("photo", ["NA", "null", "nan", "007", "1e5", "a,b", 'a "quoted" one', "é"])
def test_any_photos_name_comes_back(tmp_path, photo):
    records = PhotoRecords(tmp_path / "photos.csv")
    records.write_epoch(1, [PhotoScore(photo, 0.25, {"hole_psnr": 20.0})])
    records.write_epoch(2, [PhotoScore(photo, 0.25, {"hole_psnr": 21.0})])
    assert records.by_photo("hole_psnr")[photo].to_dict() == {1: 20.0, 2: 21.0}
