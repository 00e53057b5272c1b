"""Other programs enter a finished study: its holes handed out, their pictures among its trials."""

import shutil

import cv2
import numpy as np
import pandas as pd
import pytest

from lab import evaluate, report, select
from lab.reporting.watching import is_done
from lab.results import open_study
from lab.selection.votes import completions_of
from lab.studies import run_sweep
from lab.studies.board import make_board, markdown, write_board
from lab.terminal import Terminal
from tests.studies.conftest import TINY_QUESTION, begin_tiny
from tests.tiny import put_photos


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study with its holes handed out, and what another program made of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        place = tmp_path_factory.mktemp("entering")
        changes = {"trials": 2, "epochs": 1}
        run_sweep(begin_tiny(place, changes), 1, Terminal())
    holes, answers = place / "holes", place / "answers"
    assert run("--study", place / "runs" / "tiny", "--hand-out", holes) == 0
    answers.mkdir()
    for path in sorted((holes / "photos").glob("*.png")):
        hole = cv2.imread(str(holes / "masks" / path.name), cv2.IMREAD_GRAYSCALE)
        filled = cv2.inpaint(cv2.imread(str(path)), hole, 3, cv2.INPAINT_TELEA)
        assert cv2.imwrite(str(answers / path.name), filled)
    return place


@pytest.fixture
def study(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy" / "runs" / "tiny"


def run(*arguments):
    return evaluate.main([str(word) for word in arguments])


def test_what_a_study_was_scored_on_may_lie_elsewhere_by_now(tmp_path, capsys, monkeypatch):
    """As where it was trained on a cluster, and is looked at here."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    photos, moved = put_photos(tmp_path / "photos"), tmp_path / "moved"
    base = TINY_QUESTION["base"]
    changes = {
        **{"trials": 1, "epochs": 1, "seeds": 1},
        "base": {**base, "data": {**base["data"], "validation_photos": 8, "validation_crops": 7}},
    }
    sweep = begin_tiny(tmp_path, changes, photos=photos)
    run_sweep(sweep, 1, Terminal())
    photos.rename(moved)
    capsys.readouterr()
    assert report.main([str(sweep.folder), "--pictured", "14"]) == 0
    assert "no more pictures, because" in capsys.readouterr().err
    assert report.main([str(sweep.folder), "--pictured", "14", "--photos", str(moved)]) == 0
    assert "2 more pictured" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        report.main([str(sweep.folder), "--photos", str(moved)])
    holes, answers = tmp_path / "holes", tmp_path / "answers"
    assert run("--study", sweep.folder, "--hand-out", holes) == 2
    elsewhere = f"--data.photos={moved}"
    assert run("--study", sweep.folder, "--hand-out", holes, elsewhere) == 0
    assert elsewhere in (holes / "README.txt").read_text()
    shutil.copytree(holes / "photos", answers)
    assert run("--study", sweep.folder, "--entrant", f"nothing={answers}", elsewhere) == 0
    put_photos(moved, range(1, 9))
    capsys.readouterr()
    assert run("--study", sweep.folder, "--entrant", f"nothing={answers}", elsewhere) == 2
    assert "have changed since it was scored" in capsys.readouterr().err


def test_an_entrant_stands_among_the_trials_in_every_table(finished, study, capsys):
    answers = finished / "answers"
    assert str(finished / "runs" / "tiny") in (finished / "holes" / "README.txt").read_text()
    assert run("--study", study, "--entrant", f"service={answers}") == 0
    printed = capsys.readouterr().out
    assert "service left the known pixels of all 6 photos as they were" in printed
    assert "hole_psnr against service" in printed
    assert run("--study", study, "--entrant", f"other={answers}") == 0

    opened = open_study(study)
    assert {entrant.label for entrant in opened.entrants} == {"service", "other"}
    assert len(opened.ranked) == 2
    (telea,) = opened.baselines
    service = next(entrant for entrant in opened.entrants if entrant.label == "service")
    assert list(service.best_scores.index) == list(telea.best_scores.index)
    for metric in ("hole_psnr", "hole_ssim", "rim_ssim"):
        # Rounded to 8 bits, which tells in holes of a few pixels.
        np.testing.assert_allclose(
            service.best_scores[metric], telea.best_scores[metric], rtol=0.05
        )
    assert any("entrants/service/epoch-000" in names for names in completions_of(opened).values())
    assert report.main([str(study)]) == 0
    assert "service" in (study / "report" / "index.html").read_text()


def test_the_studys_own_board_has_it_when_its_command_is_given_again(finished, study):
    assert run("--study", study, "--entrant", f"service={finished / 'answers'}") == 0
    place = study.parents[1]
    changes = {"trials": 2, "epochs": 1}
    sweep = begin_tiny(place, changes)
    results = run_sweep(sweep, 1, Terminal())
    board = make_board(sweep, results)
    (line,) = [line for line in board.lines if line.run.label == "service"]
    assert line.cost is None
    assert "| service | – | – | – | – |" in markdown(board)
    write_board(board, study)
    table = pd.read_csv(study / "board.csv", index_col="run")
    assert np.isnan(table.loc["entrants/service", "milliseconds"])
    assert table.loc["entrants/service", "hole_psnr"] > 0


def again(study):
    """Give the sweep's command again, on a copy of a finished study."""
    sweep = begin_tiny(study.parents[1], {"trials": 2, "epochs": 1})
    return run_sweep(sweep, 1, Terminal())


def test_a_study_ends_whatever_its_entrants_lack_and_whichever_networks_are_gone(finished, study):
    answers = shutil.copytree(finished / "answers", study / "some")
    ratios = open_study(study).reference.best_scores["hole_ratio"]
    for sample in ratios.index[ratios == ratios.max()]:
        (answers / f"{sample}.png").unlink()
    words = ["--study", study, "--entrant", f"service={answers}"]
    assert run(*words, "--pictured", "0") == 0
    assert select.main([str(study), "--keep", "1"]) == 0
    results = again(study)
    assert {run.label for run in results.study.entrants} == {"service"}
    table = pd.read_csv(study / "board.csv", index_col="run")
    assert table.loc["entrants/service", "samples"] < len(ratios)
    assert table["milliseconds"].isna().sum() == 2  # of the entrant, and of the deleted network
    assert is_done(open_study(study))
    assert run(*words) == 0, "added once more, later than all else"
    assert is_done(open_study(study))


def test_intervals_on_the_terminal_are_those_of_the_page(finished, study, capsys):
    assert run("--study", study, "--entrant", f"service={finished / 'answers'}") == 0
    printed = capsys.readouterr().out
    opened = open_study(study)
    (service,) = opened.entrants
    anchor = opened.compared_with
    for metric in (*opened.goals, "hole_ssim"):
        told = opened.compare(anchor, service, metric).sentence
        assert f"{anchor.label}: {metric} against service: {told}" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--baseline", "telea"], "--study and --baseline do not go together"),
        (["--data.size=64"], "--study and --data.size do not go together"),
        ([], "--entrant NAME=FOLDER"),
    ],
)
def test_a_study_says_itself_what_it_is_scored_on(study, capsys, words, said):
    with pytest.raises(SystemExit):
        run("--study", study, *words)
    assert said in capsys.readouterr().err


def test_what_cannot_enter_is_one_line_and_changes_nothing(finished, study, capsys):
    answers = finished / "answers"
    before = sorted(study.rglob("*"))
    assert run("--study", study, "--entrant", f"telea={answers}") == 2
    assert "two things would be called telea" in capsys.readouterr().err
    record = study / "trials" / "trial-000" / "run.json"
    for folder in study.glob("trials/*"):
        record = folder / "run.json"
        record.write_text(record.read_text().replace('"photos": "', '"photos": "0'))
    assert run("--study", study, "--entrant", f"service={answers}") == 2
    said = capsys.readouterr().err
    assert "have changed since it was scored" in said
    assert said.count("\n") == 1
    assert run("--study", study.parent / "none", "--entrant", f"service={answers}") == 2
    assert sorted(study.rglob("*")) == before
