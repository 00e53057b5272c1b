"""Slider and wipe over a run's pictures, without a browser."""

from dataclasses import replace

import pytest

from lab.results import ResultsError, open_study
from lab.widgets import EpochBrowser, EpochComparison
from tests.reporting.studies import write_run, write_study


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "alone", ("cat", "lake"), epochs=3)
    return tmp_path / "alone"


def file(run, photo, epoch, stage="completed"):
    return (run / "visuals" / photo / f"epoch-{epoch:03d}-{stage}.png").read_bytes()


def filled(browser):
    """The pictures of the column that the slider changes, by the photo's name."""
    cells = browser.children[-1].children[4:]
    texts, images = cells[0::4], cells[2::4]
    return {
        text.value.split("<br>")[0]: image.value for text, image in zip(texts, images, strict=True)
    }


def test_the_slider_moves_all_photos_together(run):
    browser = EpochBrowser(run)
    assert browser.epoch.value == 3, "begins with the newest"
    for epoch in (1, 3, 2):
        browser.epoch.value = epoch
        assert filled(browser) == {photo: file(run, photo, epoch) for photo in ("cat", "lake")}


def test_the_stage_is_kept_while_the_epoch_moves(run):
    browser = EpochBrowser(run)
    browser.stage.value = "coarse"
    browser.epoch.value = 1
    assert filled(browser)["cat"] == file(run, "cat", 1, "coarse")


def test_each_photo_shows_its_own_score(run):
    # write_run: hole_ssim is 0.3 * (1 + 0.02 epoch + 0.03 photo).
    browser = EpochBrowser(run)
    browser.epoch.value = 2
    texts = [cell.value for cell in browser.children[-1].children[4::4]]
    assert texts == ["cat<br>hole_ssim 0.312", "lake<br>hole_ssim 0.321"]


def test_a_study_is_browsed_run_by_run(tmp_path):
    study = write_study(tmp_path / "weights", trials=2, epochs=2)
    browser = EpochBrowser(study)
    assert browser.run.value == "trial 1", "the best one first"
    for number in (0, 1):
        browser.run.value = f"trial {number}"
        trial = study / "trials" / f"trial-{number:03d}"
        assert filled(browser)["cat"] == file(trial, "cat", 2)


def test_refreshing_takes_up_new_epochs(tmp_path):
    write_run(tmp_path / "long", ("cat",), epochs=4)
    newest = [
        tmp_path / "long" / "visuals" / "cat" / f"epoch-004-{s}.png"
        for s in ("coarse", "refined", "completed")
    ]
    kept = {path: path.read_bytes() for path in newest}
    for path in newest:
        path.unlink()
    browser = EpochBrowser(tmp_path / "long")
    assert browser.epoch.options == (1, 2, 3)
    for path, data in kept.items():
        path.write_bytes(data)
    browser.refresh()
    assert browser.epoch.value == 4
    assert filled(browser)["cat"] == file(tmp_path / "long", "cat", 4)


def test_names_from_disk_are_text(tmp_path):
    write_run(tmp_path / "alone", ("<b>bold",), epochs=1)
    assert "&lt;b&gt;bold" in filled(EpochBrowser(tmp_path / "alone"))


def test_two_epochs_and_the_truth_are_compared(run):
    comparison = EpochComparison(run)
    assert (comparison.wipe.left_name, comparison.wipe.right_name) == ("epoch 1", "epoch 3")
    assert comparison.wipe.left == file(run, "cat", 1)
    comparison.photo.value = "lake"
    assert comparison.wipe.right == file(run, "lake", 3)
    comparison.right.value = "truth"
    assert comparison.wipe.right == (run / "visuals" / "lake" / "truth.png").read_bytes()
    assert comparison.wipe.left == file(run, "lake", 1)


def test_trials_of_a_study_are_compared(tmp_path):
    study = write_study(tmp_path / "weights", trials=2, epochs=2)
    comparison = EpochComparison(study)
    assert comparison.left.value == "trial 1, epoch 1", "of the best"
    comparison.right.value = "trial 0, epoch 2"
    assert comparison.wipe.right == file(study / "trials" / "trial-000", "cat", 2)


def test_a_folder_without_pictures_says_so(tmp_path):
    for widget in (EpochBrowser, EpochComparison):
        with pytest.raises(ResultsError, match=r"no folder|neither"):
            widget(tmp_path / "nowhere")


def test_runs_that_are_called_alike_are_told_apart(tmp_path, monkeypatch):
    study = write_study(tmp_path / "weights", trials=2, epochs=2)
    found = open_study(study)
    # As where a question varies variants alone, and one was trained again.
    alike = [replace(run, label="both_gates") for run in found.trials]
    monkeypatch.setattr(
        "lab.widgets.epoch_browser.open_study", lambda _, networks: replace(found, runs=alike)
    )
    browser = EpochBrowser(study)
    assert sorted(browser.run.options) == [
        "both_gates (trial-000)",
        "both_gates (trial-001)",
    ]
    assert len(EpochComparison(study).left.options) == 2 * 2 + 2
