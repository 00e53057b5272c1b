"""The index over studies and runs, and pages that are written again as a study goes on."""

import os
import shutil
import threading
from functools import partial

import optuna
import pytest

from lab.imaging import UnreadablePhotoError
from lab.parsing import SettingsError
from lab.report import main
from lab.reporting import is_done, watch, write_index
from lab.reporting.watching import _next_serial, is_stale
from lab.results import find_studies, open_study, verdict
from tests.reporting.studies import add_pruned, write_run, write_study


@pytest.fixture
def runs(tmp_path):
    """Two studies, one of them in a folder of its own, a lone run, and a study that is damaged."""
    folder = tmp_path / "runs"
    write_study(folder / "weights")
    write_study(folder / "2026" / "gates", trials=2)
    write_run(folder / "first <try>", ("cat", "lake"), epochs=1)
    write_study(folder / "damaged", trials=1)
    (folder / "damaged" / "trials" / "trial-000" / "photos.csv").write_text("a,b\n1,2\n")
    return folder


def test_studies_and_runs_below_a_folder_are_found(runs):
    found = [path.relative_to(runs).as_posix() for path in find_studies(runs)]
    assert found == ["2026/gates", "damaged", "first <try>", "weights"]
    assert find_studies(runs / "weights") == [], "a study is shown itself"
    assert find_studies(runs / "first <try>") == []
    only_runs = runs / "weights" / "trials"
    assert find_studies(only_runs) == [], "runs alone are compared on one page"


def test_the_index_has_the_verdict_of_each_and_a_page_behind_it(runs, tmp_path, open_page):
    told = []
    write_index(runs, tmp_path / "index", told.append)
    assert len(told) == 3, "the page of each that can be read"
    page = open_page(tmp_path / "index" / "index.html").page
    cards = page.locator("article")
    said = {card.locator(".overline").text_content(): card.text_content() for card in cards.all()}
    assert set(said) == {"study weights", "study 2026/gates", "run first <try>", "damaged"}
    assert verdict(open_study(runs / "weights")) in said["study weights"]
    assert "3 trials: 3 complete" in said["study weights"]
    assert "Telea, which needs no training, is clearly better" in said["study weights"]
    assert "1 epoch" in said["run first <try>"]
    assert "1 epochs" not in said["run first <try>"]
    assert "is not what a run writes" in said["damaged"]
    assert page.eval_on_selector_all(
        "article img", "images => images.length === 9 && images.every(one => one.alt)"
    )
    for name in ("weights", "2026/gates", "first <try>"):
        target = page.locator("article", has_text=name).locator("h2 a").get_attribute("href")
        assert (runs / name / "report" / "index.html").exists()
        opened = page.evaluate("href => decodeURI(new URL(href, location.href).pathname)", target)
        assert os.path.samefile(opened, runs / name / "report" / "index.html")


def test_only_pages_that_are_out_of_date_are_written_again(runs, tmp_path):
    write_index(runs, tmp_path / "index", lambda _: None)
    add_pruned(runs / "weights")
    told = []
    write_index(runs, tmp_path / "index", told.append)
    assert len(told) == 1
    assert str(runs / "weights" / "report" / "index.html") in told[0]


def test_an_index_replaces_nothing_of_others(runs, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(SettingsError, match="is no review page"):
        write_index(runs, tmp_path / "mine", lambda _: None)


@pytest.mark.parametrize("width", [400, 1280])
def test_the_index_fits_a_phone(runs, tmp_path, open_page, width):
    write_index(runs, tmp_path / "index", lambda _: None)
    page = open_page(
        tmp_path / "index" / "index.html", viewport={"width": width, "height": 800}
    ).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_command_makes_an_index_of_a_folder_of_studies(runs, capsys):
    shutil.rmtree(runs / "damaged")
    assert main([str(runs)]) == 0
    assert f"Open {runs / 'report' / 'index.html'} in a browser" in capsys.readouterr().out
    assert find_studies(runs), "its own page is not taken for a run"
    assert main([str(runs), "--single-file"]) == 2
    assert "give the folder of one of them" in capsys.readouterr().err


def ended(folder):
    """As a sweep leaves a study: its results are the last that it writes."""
    (folder / "results.csv").write_text("trial\n")
    return folder


def test_a_study_is_done_when_its_results_are_written_after_its_scores(tmp_path):
    folder = write_study(tmp_path / "weights")
    assert not is_done(open_study(folder)), "no results yet"
    ended(folder)
    assert is_done(open_study(folder))
    optuna.load_study(study_name="weights", storage=f"sqlite:///{folder / 'study.db'}").ask()
    assert not is_done(open_study(folder)), "a trial was begun"


def test_a_run_is_done_when_its_epochs_are_run(tmp_path):
    write_run(tmp_path / "first", ("cat", "lake"), epochs=2)
    assert is_done(open_study(tmp_path / "first"))
    (tmp_path / "first" / "config.yaml").write_text("fit:\n  epochs: 3\n")
    assert not is_done(open_study(tmp_path / "first"))


def test_a_page_is_stale_when_its_study_has_changed(tmp_path):
    folder = write_study(tmp_path / "weights")
    assert is_stale(folder / "report" / "index.html", folder)
    assert main([str(folder)]) == 0
    assert not is_stale(folder / "report" / "index.html", folder)
    add_pruned(folder)
    assert is_stale(folder / "report" / "index.html", folder)


def test_watching_writes_after_every_change_until_all_is_done(tmp_path):
    folder = write_study(tmp_path / "weights")
    written = threading.Event()
    serials, told = [], []

    def write(serial):
        serials.append(serial)
        written.set()
        return is_done(open_study(folder))

    watching = threading.Thread(
        target=watch, args=(lambda: [folder], write, told.append, 0.05), daemon=True
    )
    watching.start()
    assert written.wait(30)
    written.clear()
    assert not written.wait(0.3), "nothing has changed"
    add_pruned(folder)
    assert written.wait(30)
    ended(folder)
    watching.join(30)
    assert not watching.is_alive(), "the study is done, and so is watching"
    assert len(set(serials)) == len(serials) >= 3, "an open page tells each version from the last"
    assert all("written in" in line for line in told)


@pytest.mark.parametrize("second", [50, 9_998])
def test_versions_within_a_second_have_numbers_of_their_own(monkeypatch, second):
    monkeypatch.setattr("lab.reporting.watching.time.time", lambda: float(second))
    serials = [0]
    for _ in range(5):
        serials.append(_next_serial(serials[-1]))
    assert len(set(serials[1:])) == 5
    assert all(0 < serial <= 10_000 for serial in serials[1:])
    monkeypatch.setattr("lab.reporting.watching.time.time", lambda: second + 60.0)
    assert _next_serial(serials[-1]) == (second + 60) % 10_000 + 1, "then by the clock again"


def test_a_page_that_could_not_be_written_is_tried_again_though_nothing_changes(tmp_path):
    folder = write_study(tmp_path / "weights")
    told, tried = [], []

    def write(serial):
        tried.append(serial)
        if len(tried) == 1:
            add_pruned(folder)
        if len(tried) in (2, 3):
            raise UnreadablePhotoError(folder, "half written")
        return len(tried) > 1

    watch(lambda: [folder], write, told.append, 0.02)
    assert len(tried) == 4
    assert len([line for line in told if "not written" in line]) == 1, "the same is said once"


def test_a_lone_run_is_done_when_its_last_epoch_has_left_everything(tmp_path):
    run = tmp_path / "alone"
    write_run(run, ("cat", "lake"), epochs=3)
    scores, last = run / "photos.csv", run / "checkpoints" / "last.ckpt"
    last.parent.mkdir(exist_ok=True)
    last.touch()
    os.utime(last, (1.0, 1.0))
    assert not is_done(open_study(run)), "the losses, the pictures and the network are to come"
    os.utime(last, (scores.stat().st_mtime + 1,) * 2)
    assert is_done(open_study(run))
    (run / "config.yaml").write_text("fit: [")
    assert is_done(open_study(run)), "nobody goes on with what cannot be read"


def test_a_damaged_picture_keeps_the_index_from_no_other_page(runs, tmp_path):
    picture = next((runs / "weights" / "trials" / "trial-000" / "visuals").rglob("truth.png"))
    picture.write_bytes(picture.read_bytes()[:60])
    entries = write_index(runs, tmp_path / "index", lambda _: None)
    problems = {entry.folder.name: entry.problem for entry in entries}
    assert "could not be written" in problems["weights"]
    assert (runs / "2026" / "gates" / "report" / "index.html").exists()


def test_what_cannot_be_written_once_is_tried_again(tmp_path):
    folder = write_study(tmp_path / "weights")
    told, tried = [], []

    def write(serial):
        tried.append(serial)
        if len(tried) == 2:
            raise SettingsError("half written")
        if len(tried) == 1:
            add_pruned(folder)
            return False
        return True

    def tell(line):
        told.append(line)
        if "half written" in line:
            add_pruned(folder)

    watch(lambda: [folder], write, tell, 0.05)
    assert len(tried) == 3
    assert "not written: half written" in told[1]


def test_the_command_watches_a_study_to_its_end(tmp_path, monkeypatch, capsys):
    folder = ended(write_study(tmp_path / "weights"))
    monkeypatch.setattr("lab.reporting.watch", partial(watch, seconds=0.02))
    assert main([str(folder), "--watch"]) == 0
    page = folder / "report" / "index.html"
    printed = capsys.readouterr()
    assert f"Open {page} in a browser: it follows what is written" in printed.out
    assert f"Done: {page} is complete" in printed.out
    assert "written in" in printed.err
    assert (folder / "report" / "serial.png").exists(), "by which an open page knows of a newer one"
