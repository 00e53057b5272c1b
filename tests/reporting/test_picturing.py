"""More samples pictured than the twelve of each run, from the checkpoints that were kept."""

import io

import pandas as pd
import pytest
from rich.console import Console

from lab.report import main
from lab.reporting import picture_more
from lab.results import ResultsError, open_study
from lab.studies import run_sweep
from tests.studies.conftest import begin_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study of two trained trials and the classical methods, on fifteen samples."""
    place = tmp_path_factory.mktemp("pictured")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        sweep = begin_tiny(
            place,
            # OpenCV's shift map has been seen to fill differently in a long-lived process.
            {"trials": 2, "epochs": 1, "baselines": ["telea", "smooth"]},
            settings=["--data.validation_crops=5"],
        )
        run_sweep(sweep, 1, Console(file=io.StringIO()))
        return sweep.folder


def pictured(folder):
    """By run, the samples whose completion at its best epoch is pictured."""
    table = open_study(folder).pictures
    completed = table[table["what"] == "completed"]
    return completed.groupby("run")["sample"].agg(set).to_dict()


@pytest.mark.slow
def test_more_samples_are_completed_again_by_the_kept_checkpoints(folder, capsys):
    study = open_study(folder)
    samples = list(study.ranked[0].best_scores.index)
    assert len(samples) == 15
    before = pictured(folder)
    assert all(len(names) == 12 for names in before.values()), "what a run pictures itself"
    kept = {path: path.read_bytes() for path in study.pictures["path"]}

    unseen = next(name for name in samples if name not in before["trial-000"])
    assert main([str(folder), "--sample", unseen]) == 0
    assert all(names == before[run] | {unseen} for run, names in pictured(folder).items())
    assert "1 more pictured" in capsys.readouterr().err

    assert main([str(folder), "--pictured", "15"]) == 0
    assert all(names == set(samples) for names in pictured(folder).values())
    assert all(path.read_bytes() == content for path, content in kept.items()), "nothing is redone"

    told = []
    picture_more(open_study(folder), 15, tell=told.append)
    assert told == [], "a second call has nothing to do"


def test_a_sample_that_no_run_scored_is_refused_with_the_nearest(folder):
    study = open_study(folder)
    name = str(study.ranked[0].best_scores.index[0])
    with pytest.raises(ResultsError, match=f"no sample is called .*; the nearest is '{name}'"):
        picture_more(study, 0, [f"{name}x"])


def test_nothing_is_pictured_that_would_score_otherwise_than_recorded(folder):
    run = open_study(folder).ranked[0]
    table = run.folder / "photos.csv"
    before, scores = table.read_text(), pd.read_csv(table)
    sample = str(run.best_scores.index[-1])
    picture_more(open_study(folder), 0, [sample])  # so that only this run lacks it
    for path in (run.folder / "visuals" / sample).glob("*.png"):
        path.unlink()
    scores.loc[scores["sample"] == sample, "hole_psnr"] += 1.0
    scores.to_csv(table, index=False)
    told = []
    try:
        picture_more(open_study(folder), 0, [sample], tell=told.append)
    finally:
        table.write_text(before)
    assert len(told) == 1
    assert f"{sample} now scores hole_psnr" in told[0]
    assert "no longer those that were scored" in told[0]
    assert sample not in pictured(folder)[run.name]


def test_a_checkpoint_that_was_not_kept_is_named(folder):
    run = open_study(folder).ranked[0]
    sample = str(run.best_scores.index[-2])
    for path in (run.folder / "visuals" / sample).glob("*.png"):
        path.unlink()
    aside = run.checkpoint.rename(run.checkpoint.with_suffix(".aside"))
    told = []
    try:
        picture_more(open_study(folder), 0, [sample], tell=told.append)
    finally:
        aside.rename(aside.with_suffix(".pt"))
    assert "the network of its best epoch" in told[0]
    assert "was not kept" in told[0]
