"""The review page as files: what is refused, left out, escaped, and never half written."""

import json
import os
import re
import shutil

import optuna
import pandas as pd
import pytest

from lab.parsing import SettingsError
from lab.reporting import page as page_module
from lab.reporting import write_report
from lab.results import ResultsError, findings, open_study
from tests.reporting.studies import write_run, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("runs") / "weights")


def data_of(html):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', html)[1]
    )


def test_the_findings_say_what_the_scores_say(study):
    opened = open_study(study)
    assert [run.label for run in opened.ranked] == ["trial 2", "trial 1", "trial 0"]
    first, *others = findings(opened)
    assert "trial 2, epoch 4" in first
    assert "over 2 photos" in first
    # Quality grows by 0.01 of 0.3 a trial, so trial 2 gains 0.006 over trial 0 on every photo.
    named = next(line for line in others if line.startswith("trial 0, which the question names"))
    assert "+0.006" in named
    # On every photo, 1.0 of 0.3 for Telea against 0.02 (trial 2) + 4 * 0.02 (four epochs).
    assert "Telea: -0.270 [-0.270, -0.270]; better on 0% of 2 photos" in others
    assert "Telea, which needs no training, is clearly better" in others[-1]


def test_methods_and_the_best_epochs_of_the_runs_meet_in_the_votes(study, tmp_path):
    write_report(open_study(study), tmp_path / "review")
    deck = data_of((tmp_path / "review" / "index.html").read_text())["deck"]
    trials = [f"trial-{number:03d}/epoch-004" for number in range(3)]
    shown = {(pair["photo"], frozenset([pair["left"], pair["right"]])) for pair in deck}
    assert len(deck) == len(shown) == 2 * 6  # photos, pairs of four
    assert {name for _, pair in shown for name in pair} == {*trials, "baselines/Telea/epoch-000"}


def test_only_what_was_trained_there_can_be_trained_again(study, tmp_path):
    folder = tmp_path / "weights"
    shutil.copytree(study, folder)
    network = folder / "trials" / "trial-001" / "checkpoints" / "epoch-004.pt"
    record = {"checkpoint": str(network)}
    (folder / "trials" / "trial-000" / "run.json").write_text(json.dumps(record))
    write_report(open_study(folder), tmp_path / "page")
    runs = {
        run["name"]: run for run in data_of((tmp_path / "page" / "index.html").read_text())["runs"]
    }
    assert runs["trial-000"]["train"] is None, "it scored a network of another run"
    assert str(network) in runs["trial-000"]["use"]
    assert "--config" in runs["trial-001"]["train"]
    assert runs["baselines/Telea"]["train"] is None


def test_all_pictures_of_the_study_come_along_as_links(study, tmp_path):
    write_report(open_study(study), tmp_path / "review")
    copied = sorted((tmp_path / "review" / "pictures").glob("p*/r*/[1-9]-*.png"))
    assert len(copied) == 3 * 4 * 2 * 3  # trials, epochs, photos, stages
    sources = {path.read_bytes() for path in study.glob("trials/*/visuals/*/epoch-*.png")}
    assert {path.read_bytes() for path in copied} == sources, "bit for bit"
    if os.stat(study).st_dev == os.stat(tmp_path).st_dev:
        assert copied[0].stat().st_nlink > 1, "no room is taken twice"


def test_a_page_is_replaced_but_nothing_else(study, tmp_path):
    content = open_study(study)
    write_report(content, tmp_path / "review")
    write_report(content, tmp_path / "review")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(SettingsError, match="is no review page"):
        write_report(content, tmp_path / "mine")
    (tmp_path / "notes.html").write_text("<p>mine</p>")
    with pytest.raises(SettingsError, match="is no review page"):
        write_report(content, tmp_path / "notes.html", single_file=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "notes.html", "review"]


def test_a_failure_leaves_the_page_that_was_there(study, tmp_path, monkeypatch):
    content = open_study(study)
    write_report(content, tmp_path / "review")
    before = (tmp_path / "review" / "index.html").read_bytes()

    def break_off(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(page_module, "study_document", break_off)
    with pytest.raises(OSError, match="no space"):
        write_report(content, tmp_path / "review")
    assert (tmp_path / "review" / "index.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["review"]


def test_one_file_leaves_stages_out_before_it_gets_too_big(study, tmp_path, monkeypatch):
    content = open_study(study)
    pictures = list(study.glob("trials/*/visuals/*/epoch-*.png"))
    total = sum(path.stat().st_size for path in pictures)
    completed = sum(path.stat().st_size for path in pictures if "completed" in path.name)
    monkeypatch.setattr(page_module, "SINGLE_FILE_BYTES", total - 1)
    (note,) = write_report(content, tmp_path / "a.html", single_file=True)
    assert "only the completed pictures" in note
    run = data_of((tmp_path / "a.html").read_text())["runs"][0]
    assert run["pictures"][0] == {"completed": [1, 2, 3, 4]}
    monkeypatch.setattr(page_module, "SINGLE_FILE_BYTES", completed - 1)
    with pytest.raises(SettingsError, match="leave --single-file out"):
        write_report(content, tmp_path / "b.html", single_file=True)


def test_text_cannot_leave_its_script_element(tmp_path):
    name = "</script><script>alert(1)//"
    study = write_study(tmp_path / "weights")
    table = study / "trials" / "trial-000" / "photos.csv"
    rows = pd.read_csv(table)
    rows["photo"] = rows["photo"].replace("cat", name)
    rows.to_csv(table, index=False)
    (study / "selection.json").write_text(json.dumps({"metrics": [], "sentences": [name]}))
    (study / "trials" / "trial-001" / "config.yaml").write_text(f"a: '{name}'\n<!-- <script>")
    write_report(open_study(study), tmp_path / "page")
    html = (tmp_path / "page" / "index.html").read_text()
    assert "alert(1)" in html
    assert name not in html
    assert data_of(html)["selection"]["sentences"] == [name]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'sha256-" in policy


def test_a_running_study_and_a_failed_trial_can_be_shown(tmp_path):
    study = write_study(tmp_path / "weights")
    opened = optuna.load_study(study_name="weights", storage=f"sqlite:///{study / 'study.db'}")
    opened.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.FAIL, user_attrs={"reason": "the loss was NaN"}
        )
    )
    opened.ask()
    write_report(open_study(study), tmp_path / "page")
    runs = data_of((tmp_path / "page" / "index.html").read_text())["runs"]
    runs = [run for run in runs if not run["untrained"]]
    assert [(run["state"], run["epochs"]) for run in runs[-2:]] == [("failed", []), ("running", [])]
    assert runs[-2]["reason"] == "the loss was NaN"


def test_a_study_of_two_goals_has_its_pareto_front(tmp_path):
    study = write_study(tmp_path / "weights", trials=5, goals=("hole_ssim", "hole_psnr"))
    write_report(open_study(study), tmp_path / "page")
    figures = data_of((tmp_path / "page" / "index.html").read_text())["figures"]
    assert {"Pareto front", "Importance: hole_ssim", "Slices: hole_psnr"} <= figures.keys()
    front = {trace["name"]: trace for trace in figures["Pareto front"]["data"]}
    # Every trial is better than the one before in both goals: the last alone is the front.
    best, other = front["on the front"], front["beaten by another"]
    assert len(best["x"]) == 1
    assert best["marker"]["color"] != other["marker"]["color"]
    assert best["marker"]["symbol"] != other["marker"]["symbol"], "told apart without colours"


def test_runs_beside_each_other_are_shown_as_variants(tmp_path):
    for name, quality in (("V1", 0.1), ("V2", 0.2)):
        write_run(tmp_path / "board" / name, ("cat",), 2, quality)
    (tmp_path / "board" / "board.csv").write_text("variant,hole_ssim\nV1,0.3\nV2,0.4\n")
    content = open_study(tmp_path / "board")
    assert [run.label for run in content.runs] == ["V2", "V1"]
    write_report(content, tmp_path / "page")


@pytest.mark.parametrize("made", ["missing", "empty", "file"])
def test_what_is_no_study_is_refused_in_words(tmp_path, made):
    folder = tmp_path / "x"
    if made == "empty":
        folder.mkdir()
    if made == "file":
        folder.touch()
    with pytest.raises(ResultsError, match=r"is no folder|neither a run nor a study"):
        open_study(folder)


def test_scores_that_no_run_wrote_are_named(tmp_path):
    (tmp_path / "photos.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ResultsError, match=r"photos\.csv is not what a run writes"):
        open_study(tmp_path)
