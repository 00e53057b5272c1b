"""A curve along one number, where one alone was varied: paired, with intervals, best upwards."""

import json
from dataclasses import replace

import optuna
import pytest

from lab.reporting.content import page_data
from lab.reporting.sensitivity import sensitivity_figures
from lab.results import Run, Study
from tests.reporting.studies import write_run

ATTACK = "evaluation.boundary_attack"
# By how much scores fall from the share of attacked holes on.
QUALITIES = {0.0: 0.3, 0.3: 0.2, 1.0: 0.0}
PHOTOS = ["a", "b", "c", "d"]


@pytest.fixture
def study(tmp_path):
    runs = []
    # As a ranking has them: not in the order of the numbers.
    for share, quality in sorted(QUALITIES.items(), key=lambda each: -each[1] * (each[0] != 0)):
        folder = tmp_path / str(share)
        write_run(folder, PHOTOS, 1, quality)
        values = {ATTACK: share, "evaluation.boundary_width": 3}
        run = Run(folder.name, folder.name, folder, "hole_ssim", "complete", values)
        runs.append(replace(run, is_reference=share == 0.0))
    return Study("attacks", tmp_path, "", ["hole_ssim", "hole_l1"], runs)


def test_a_curve_goes_along_the_numbers_from_the_reference(study):
    figures = sensitivity_figures(study)
    assert list(figures) == ["Sensitivity: hole_ssim", "Sensitivity: hole_l1"]
    by_share = {run.values[ATTACK]: run for run in study.runs}
    for goal in study.goals:
        (curve,) = figures[f"Sensitivity: {goal}"]["data"]
        assert curve["x"] == [0.0, 0.3, 1.0]
        assert curve["y"][0] == curve["error_y"]["array"][0] == 0.0
        for place in (1, 2):
            found = study.compare(by_share[curve["x"][place]], by_share[0.0], goal)
            ends = (
                curve["y"][place] - curve["error_y"]["arrayminus"][place],
                curve["y"][place] + curve["error_y"]["array"][place],
            )
            assert (found.mean, found.low, found.high) == pytest.approx((curve["y"][place], *ends))
    layout = figures["Sensitivity: hole_l1"]["layout"]
    assert layout["xaxis"]["title"]["text"] == "boundary_attack"
    # All measures fall with the share here, and of an error that is a gain.
    ssim, error = (figures[f"Sensitivity: {goal}"]["data"][0]["y"] for goal in study.goals)
    assert ssim[2] < ssim[1] < 0 < error[1] < error[2]


@pytest.mark.parametrize(
    "values",
    [
        {0.0: {ATTACK: "none"}},
        {0.0: {ATTACK: True}},
        {0.0: {"evaluation.boundary_width": 5}},
        {0.0: {ATTACK: 1.0}},
    ],
    ids=["a name", "a switch", "two options", "one number twice"],
)
def test_no_curve_is_drawn_where_numbers_of_one_option_are_not_all_that_differs(study, values):
    runs = [
        replace(run, values=run.values | values.get(run.values[ATTACK], {})) for run in study.runs
    ]
    assert sensitivity_figures(replace(study, runs=runs)) == {}


def test_two_values_are_no_curve(study):
    assert sensitivity_figures(replace(study, runs=study.runs[:2])) == {}


def test_one_photo_gives_no_bars_and_a_page_all_the_same(study, tmp_path):
    for run in study.runs:
        lines = (run.folder / "photos.csv").read_text().splitlines(keepends=True)
        (run.folder / "photos.csv").write_text("".join(lines[:2]))
    alone = replace(study, runs=[replace(run) for run in study.runs], goals=["hole_ssim"])
    (curve,) = sensitivity_figures(alone)["Sensitivity: hole_ssim"]["data"]
    assert curve["error_y"]["array"] == [0.0, None, None]
    json.dumps(curve, allow_nan=False)


def test_numbers_that_lie_decades_apart_have_a_logarithmic_axis(study):
    decades = {0.0: 1e-5, 0.3: 1e-3, 1.0: 0.1}
    runs = [replace(run, values={"rate": decades[run.values[ATTACK]]}) for run in study.runs]
    axis = sensitivity_figures(replace(study, runs=runs))["Sensitivity: hole_ssim"]["layout"][
        "xaxis"
    ]
    assert (axis["type"], axis["ticktext"]) == ("log", ["1e-05", "0.001", "0.1"])
    even = sensitivity_figures(study)["Sensitivity: hole_ssim"]["layout"]["xaxis"]
    assert even["type"] == "linear"


def test_a_goal_that_was_not_measured_has_no_curve(study):
    figures = sensitivity_figures(replace(study, goals=["hole_ssim", "hole_sharpness_error"]))
    assert list(figures) == ["Sensitivity: hole_ssim"]


def test_on_the_page_it_stands_in_place_of_slices_without_intervals(study):
    asked = optuna.create_study(direction="maximize")
    choices = {ATTACK: optuna.distributions.CategoricalDistribution([0.0, 0.3, 1.0])}
    for run in study.runs:
        share = {ATTACK: run.values[ATTACK]}
        asked.add_trial(
            optuna.trial.create_trial(
                value=run.mean("hole_ssim"), params=share, distributions=choices
            )
        )
    one_goal = replace(study, optuna_study=asked, goals=["hole_ssim"])
    assert list(page_data(one_goal, [], None)["figures"]) == ["Sensitivity: hole_ssim"]
