"""The verdict and its cautions, in sentences that are right for one and for many."""

import shutil

import pytest

from lab.results import cautions, findings, open_study, score_text, verdict
from tests.reporting.studies import (
    METRICS,
    add_pruned,
    write_baseline,
    write_scores,
    write_study,
    write_study_with_knee,
)

PHOTOS = ("cat", "lake")


@pytest.fixture
def weights(tmp_path):
    return write_study(tmp_path / "weights")


def test_one_method_that_wins_is_one_and_two_are_two(weights):
    assert cautions(open_study(weights)) == [
        "Telea, which needs no training, is clearly better than every trial here: train longer, "
        "or on more photos, before using one."
    ]
    write_baseline(weights / "baselines" / "Navier-Stokes", PHOTOS, quality=0.8)
    assert cautions(open_study(weights)) == [
        "Navier-Stokes and Telea, which need no training, are clearly better than every trial "
        "here: train longer, or on more photos, before using one."
    ]
    assert findings(open_study(weights))[-1:] == cautions(open_study(weights))


def test_no_method_that_wins_is_no_caution(weights):
    shutil.rmtree(weights / "baselines")
    write_baseline(weights / "baselines" / "Telea", PHOTOS, quality=0.0)
    assert cautions(open_study(weights)) == []


def test_the_same_winners_by_two_goals_are_said_once(tmp_path):
    goals = ("hole_ssim", "hole_psnr")
    study = open_study(write_study(tmp_path / "weights", goals=goals))
    (caution,) = cautions(study)
    assert "better than every trial here by hole_ssim and hole_psnr:" in caution


def test_the_verdict_compares_the_best_with_what_the_question_names(weights):
    study = open_study(weights)
    best, reference = study.ranked[0], study.reference
    assert verdict(study) == (
        "Best by hole_ssim (higher is better) of what was trained: trial 2, epoch 4, "
        f"{best.mean('hole_ssim'):.3f} in the mean over 2 photos; Telea (0.604), without "
        "training, has a better mean. Against trial 0, which the question names: "
        f"{study.compare(best, reference).sentence}."
    )


def test_the_best_is_the_best_of_all_where_no_method_has_a_better_mean(weights):
    shutil.rmtree(weights / "baselines")
    write_baseline(weights / "baselines" / "Telea", PHOTOS, quality=0.0)
    assert verdict(open_study(weights)).startswith("Best by hole_ssim (higher is better): trial 2")


def test_pictures_that_were_delivered_are_not_called_best_below_a_method(tmp_path):
    given = {"entrants/migan": 0.1, "baselines/Smooth": 0.3, "baselines/Telea": 0.2}
    for name, quality in {**given, "baselines/PatchMatch": 0.0}.items():
        (tmp_path / name).mkdir(parents=True)
        write_scores(tmp_path / name, PHOTOS, [0], quality)
    said = verdict(open_study(tmp_path))
    assert said.startswith("Best by hole_ssim (higher is better) of what was delivered: migan, ")
    assert "Smooth (" in said
    assert "Telea (" in said
    assert "PatchMatch" not in said
    assert said.endswith("without training, have a better mean.")


def test_the_verdict_of_several_goals_names_the_front(tmp_path):
    folder = write_study(tmp_path / "weights", trials=3, goals=tuple(METRICS)[:2])
    said = verdict(open_study(folder))
    assert said.startswith("Pareto front of hole_ssim and hole_psnr: 1 of 3 runs")
    assert "It is trial 2. trial 0, which the question names, is not on it: trial 2 is" in said


def test_before_the_first_run_has_ended_there_is_no_verdict(tmp_path):
    folder = write_study(tmp_path / "weights", trials=1)
    shutil.rmtree(folder / "trials" / "trial-000")
    add_pruned(folder)
    assert verdict(open_study(folder)) == "No run has ended with scores yet."
    assert cautions(open_study(folder)) == []


def test_the_knee_gives_up_least_and_is_said_as_such(tmp_path):
    study = open_study(write_study_with_knee(tmp_path / "weights"))
    assert len(study.front) == 4
    assert study.knee.label == "trial 1"
    assert any(said.startswith("trial 1 is the knee of the front") for said in findings(study))
    assert "trial 1 is the knee" in verdict(study)
    alone = open_study(write_study(tmp_path / "alone", goals=("hole_ssim", "hole_psnr")))
    assert (len(alone.front), alone.knee) == (1, None)


def test_of_several_goals_every_run_is_judged_after_its_last_epoch(tmp_path):
    one = open_study(write_study(tmp_path / "one", epochs=3))
    two = open_study(write_study(tmp_path / "two", epochs=3, goals=("hole_ssim", "hole_l1")))
    for run in two.trials:
        assert run.best == run.last == 3
    assert all(run.best == run.epochs["hole_ssim"].idxmax() for run in one.trials)


def test_one_sample_has_no_spread_and_none_no_mean():
    assert score_text("hole_ssim", 0.8123, float("nan")) == "0.812"
    assert score_text("hole_psnr", float("nan"), float("nan")) == "–"


def test_of_methods_alone_the_best_is_the_best(tmp_path):
    for name, quality in {"Navier-Stokes": 0.1, "Telea": 0.3}.items():
        (tmp_path / "baselines" / name).mkdir(parents=True)
        write_scores(tmp_path / "baselines" / name, PHOTOS, [0], quality)
    study = open_study(tmp_path)
    assert [run.label for run in study.ranked] == ["Telea", "Navier-Stokes"]
    assert verdict(study).startswith("Best by hole_ssim (higher is better): Telea, ")
    assert cautions(study) == []
