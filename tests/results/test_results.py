"""Runs and studies opened in one call: the documented columns, and folders that are neither."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lab import report
from lab.metrics import ANSWER_METRICS, METRICS
from lab.results import (
    COMPARISON_COLUMNS,
    PICTURE_COLUMNS,
    ResultsError,
    findings,
    has_results,
    open_run,
    open_storage,
    open_study,
)
from lab.studies import Question, Search
from lab.studies.storage import begin_study
from tests.reporting.studies import HOLE, write_baseline, write_scores, write_study
from tests.selection.run_folders import write_run
from tests.tiny import fit_tiny


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        folder = tmp_path_factory.mktemp("runs") / "first"
        fit_tiny(folder, "--fit.epochs=2", "--data.validation_crops=2")
        return open_run(folder)


def test_a_run_gives_its_scores_epochs_losses_pictures_and_settings(run):
    assert run.scores.index.names == ["epoch", "sample"]
    assert list(run.scores) == ["photo", "hole_ratio", *METRICS, *ANSWER_METRICS]
    assert run.scores["photo"].nunique() == 3
    assert len(run.scores) == 2 * 6
    assert list(run.epochs.index) == [1, 2]
    mean = run.scores.loc[2, "hole_ssim"].mean()
    assert run.epochs.loc[2, "hole_ssim"] == pytest.approx(mean)
    assert {"total", "hole_l1", "real_logit"} <= set(run.losses)
    assert list(run.losses.index) == [1, 2]
    assert tuple(run.pictures) == PICTURE_COLUMNS
    assert set(run.pictures["what"]) == {"truth", "hole", "coarse", "refined", "completed"}
    assert run.pictures["epoch"].dropna().unique().tolist() == [1, 2]
    assert all(path.exists() for path in run.pictures["path"])
    assert run.settings["data"]["size"] == run.options["data.size"] == 32
    assert run.options["model.network"] == "lab.networks.InpaintSANet"
    assert run.options["model.network.width"] == 8
    assert run.checkpoint.name == f"epoch-{run.best:03d}.pt"
    assert run.record["photos"]


def test_a_study_gives_the_same_of_all_its_runs(tmp_path):
    study = open_study(write_study(tmp_path / "weights", trials=3, epochs=4))
    assert list(study.results.index) == ["trial-002", "trial-001", "trial-000", "baselines/Telea"]
    row = study.results.loc["trial-001"]
    assert (row["label"], row["state"], row["best_epoch"], row["epochs"]) == (
        "trial 1",
        "complete",
        4,
        4,
    )
    assert row[HOLE] == pytest.approx(0.2)
    trial = study.ranked[1]
    assert row["hole_ssim"] == pytest.approx(trial.scores_at(4)["hole_ssim"].mean())
    assert row["hole_ssim_spread"] == pytest.approx(np.std(trial.scores_at(4)["hole_ssim"], ddof=1))
    assert study.scores.index.names == ["run", "epoch", "sample"]
    assert len(study.scores) == 3 * 4 * 2 + 2
    assert study.epochs.loc[("trial-001", 4), "hole_ssim"] == pytest.approx(row["hole_ssim"])
    assert set(study.pictures["run"]) == set(study.results.index)
    assert study.reference.label == "trial 0"
    assert study.worst.label == "trial 0"


def test_a_study_compares_every_setting_with_its_reference(tmp_path):
    study = open_study(write_study(tmp_path / "weights", trials=3, epochs=4))
    table = study.comparisons
    assert table.index.names == ["metric", "run"]
    assert tuple(table) == COMPARISON_COLUMNS
    runs = ["trial-002", "trial-001", "baselines/Telea"]
    assert list(table.loc["hole_ssim"].index) == runs, "none against itself"
    expected = study.compare(study.ranked[0], study.reference, "hole_psnr")
    row = table.loc[("hole_psnr", "trial-002")]
    assert (row["mean"], row["low"], row["high"]) == (expected.mean, expected.low, expected.high)
    assert row["verdict"] == expected.verdict
    assert open_study(write_run(tmp_path / "alone", [0.5])).comparisons.empty


def test_the_settings_of_a_studys_runs_are_one_table(tmp_path):
    study = open_study(write_study(tmp_path / "weights", trials=3, epochs=4))
    trained = study.options.dropna()
    assert dict(trained["fit.seed"]) == {f"trial-{number:03d}": number for number in range(3)}
    assert set(trained["fit.epochs"]) == {4}
    assert list(study.options.index) == [run.name for run in study.runs]


def test_a_run_alone_is_a_study_of_one(tmp_path):
    study = open_study(write_run(tmp_path / "first", [0.5, 0.6]))
    assert not study.is_study
    assert study.ranked[0].best == 2
    assert list(study.results.index) == ["first"]


def test_the_front_holds_what_nothing_beats_by_every_goal(tmp_path):
    folder = write_study(tmp_path / "weights", trials=3, goals=("hole_ssim", "hole_l1"))
    # hole_l1 grows with the quality, and lower is better: no trial beats another.
    assert [run.label for run in open_study(folder).front] == ["trial 2", "trial 1", "trial 0"]
    table = folder / "trials" / "trial-001" / "photos.csv"
    rows = pd.read_csv(table)
    rows.assign(hole_l1=1.0).to_csv(table, index=False)
    assert [run.label for run in open_study(folder).front] == ["trial 2", "trial 0"]


@pytest.mark.parametrize("made", ["missing", "empty", "file"])
def test_what_is_neither_run_nor_study_is_refused_in_words(tmp_path, made):
    folder = tmp_path / "x"
    if made == "empty":
        folder.mkdir()
    if made == "file":
        folder.touch()
    with pytest.raises(ResultsError, match=r"is no folder|neither a run nor a study"):
        open_study(folder)
    with pytest.raises(ResultsError, match=r"is no run"):
        open_run(folder)
    assert not has_results(folder)


def test_whoever_would_train_first_is_told_what_is_there(tmp_path):
    assert has_results(write_run(tmp_path / "runs" / "first", [0.5]))
    assert has_results(tmp_path / "runs"), "runs lie below it"
    assert has_results(str(write_study(tmp_path / "weights", trials=1, epochs=1)))
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.yaml").write_text("fit: {epochs: 3}\n")
    assert not has_results(begun), "nothing was scored yet: training goes on there"


def test_a_damaged_record_is_named(tmp_path):
    folder = write_run(tmp_path / "first", [0.5])
    (folder / "run.json").write_text("{")
    with pytest.raises(ResultsError, match=r"run\.json is damaged"):
        open_run(folder).record  # noqa: B018


def test_all_that_beat_every_trial_are_one_sentence(tmp_path):
    folder = write_study(tmp_path / "weights", trials=2, epochs=1)
    one = findings(open_study(folder))[-1]
    assert one.startswith("Telea, which needs no training, is clearly better than every trial here")
    write_baseline(folder / "baselines" / "smooth", ("cat", "lake"), quality=1.0)
    write_baseline(folder / "baselines" / "worse", ("cat", "lake"), quality=-1.0)
    both = findings(open_study(folder))[-1]
    assert both.startswith("Telea and smooth, which need no training, are clearly better than")


def test_what_an_epoch_was_not_measured_by_is_no_column_of_it(tmp_path):
    run = write_study(tmp_path / "weights") / "trials" / "trial-000"
    table = pd.read_csv(run / "photos.csv")
    table.loc[table["epoch"] == 1, "hole_psnr"] = np.nan
    table.to_csv(run / "photos.csv", index=False)
    scores = open_run(run)
    assert "hole_psnr" not in scores.scores_at(1)
    assert "hole_psnr" in scores.scores_at(2)
    for goal, best in (("hole_psnr", 4), ("hole_l1", 1)):
        assert open_run(run, goal).best == best
    # Nobody compares what is not there.
    assert report.main([str(tmp_path / "weights")]) == 0


def test_what_a_study_costs_is_read_from_its_board(tmp_path):
    folder = write_study(tmp_path / "weights")
    assert not len(open_study(folder).costs), "no board yet"
    (folder / "board.csv").write_text(
        "run,parameters,multiply_adds,milliseconds,peak_bytes\ntrial-000,10,20,3.5,40\n"
    )
    assert open_study(folder).costs.loc["trial-000", "milliseconds"] == 3.5


@pytest.mark.parametrize(
    ("name", "content", "asked"),
    [
        ("board.csv", "", "costs"),
        ("board.csv", 'run,"parameters\n1', "costs"),
        (
            "board.csv",
            "run,parameters,multiply_adds,milliseconds,peak_bytes\na,1,2,3,4\na,1,2,3,4\n",
            "costs",
        ),
        ("selection.json", "{", "selection"),
        ("selection.json", "[]", "selection"),
    ],
)
def test_damaged_tables_are_a_line_that_names_the_file(tmp_path, name, content, asked):
    folder = write_study(tmp_path / "weights")
    (folder / name).write_text(content)
    with pytest.raises(ResultsError, match=f"{name} is damaged"):
        getattr(open_study(folder), asked)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trials SET datetime_start = '2026-1x-29'",
        "UPDATE trials SET state = 'DONE'",
        "UPDATE trial_params SET distribution_json = '{'",
    ],
)
def test_a_database_that_opens_and_is_damaged_is_a_line_for_readers_and_sweeps(tmp_path, damage):
    folder = write_study(tmp_path / "weights")
    with closing(sqlite3.connect(folder / "study.db")) as connection, connection:
        connection.execute(damage)
    with pytest.raises(ResultsError, match=r"the trials of .*weights are damaged \(.+\): put"):
        open_study(folder)
    question = Question(question="", search={"x": Search(low=0.0, high=1.0)}, goal="hole_ssim")
    with pytest.raises(ResultsError, match="are damaged"):
        begin_study("weights", question, None, folder, {})


@pytest.mark.parametrize("name", ["a?b", "50%", "a%20b", "a#b", "a&b=c"])
def test_the_database_lies_in_its_folder_whatever_that_is_called(tmp_path, name):
    open_storage(None, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "study.db").exists()


def test_only_what_is_a_variant_is_described_as_one(tmp_path):
    for place in ("entrants/migan", "baselines/telea"):
        (tmp_path / place).mkdir(parents=True)
        write_scores(tmp_path / place, ("cat", "lake"), [0], 0.1)
    entrant = open_study(tmp_path).entrants[0]
    assert (entrant.label, entrant.variant) == ("migan", None), "called like one of ours"
    assert replace(entrant, state="applied").variant == "migan"
    assert replace(entrant, state="complete", values={"variant": "migan"}).variant == "migan"


def test_a_study_that_has_only_begun_has_the_columns_of_its_table(tmp_path):
    asked = Question("?", {"a": Search(low=0, high=1)}, ["hole_ssim", "hole_texture"])
    begin_study("weights", asked, None, tmp_path, {})
    table = open_study(tmp_path).results
    assert len(table) == 0
    assert {"label", "state", "best_epoch", "hole_ssim", "hole_texture"} <= set(table)
