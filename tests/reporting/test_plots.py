"""What was varied against the goal: what Optuna's plots show on the page, and when to doubt it."""

from itertools import pairwise

import optuna
import pytest

from lab.reporting.plots import SCALES, caveat, study_figures
from lab.results import open_study
from tests.reporting.studies import add_pruned, write_study

optuna.logging.set_verbosity(optuna.logging.WARNING)


def study_of(trials, distributions, direction="maximize"):
    """A study in memory of (value, parameters)."""
    study = optuna.create_study(direction=direction)
    for value, params in trials:
        spaces = {name: distributions[name] for name in params}
        study.add_trial(optuna.trial.create_trial(value=value, params=params, distributions=spaces))
    return study


WEIGHTS = {
    "a.hole_l1": optuna.distributions.FloatDistribution(1e-4, 1e2, log=True),
    "a.generator_learning_rate": optuna.distributions.FloatDistribution(0.0, 1.0),
}


def weights(*numbers):
    return [
        (float(index), {"a.hole_l1": number, "a.generator_learning_rate": 0.01 * index})
        for index, number in enumerate(numbers)
    ]


def test_pruned_trials_stand_in_the_parallel_coordinates_dotted(tmp_path):
    folder = write_study(tmp_path / "weights")
    add_pruned(folder)
    study = open_study(folder).optuna_study
    lines = study_figures(study, ["hole_ssim"])["Parallel coordinates"]["data"]
    drawn = [trace for trace in lines if "meta" in trace]
    dotted = [trace for trace in drawn if trace["line"].get("dash") == "dot"]
    assert (len(drawn), len(dotted)) == (4, 1)
    names = {trace.get("name") for trace in lines}
    assert {"ran to its end", "pruned, at its last epoch"} <= names


@pytest.mark.parametrize(("direction", "best"), [("maximize", 2), ("minimize", 0)])
def test_colours_go_from_the_worst_to_the_best_by_the_goals_direction(direction, best):
    study = study_of(weights(0.1, 1.0, 10.0), WEIGHTS, direction)
    figures = study_figures(study, ["hole_l1"])
    drawn = [trace for trace in figures["Parallel coordinates"]["data"] if "meta" in trace]
    shares = [trace["meta"] for trace in drawn]
    assert shares[best] == max(shares) == 1.0
    assert min(shares) == 0.0
    assert sorted(shares) in (shares, shares[::-1])
    scale = figures["Slices"]["data"][0]["marker"]["colorscale"]
    of_best = scale[-1 if direction == "maximize" else 0][1]
    assert of_best == f"rgb{tuple(bytes.fromhex(SCALES['light'][-1][1:]))}"


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_is_ordered_for_every_eye(name):
    """By lightness alone, as who sees no hue and a printer in gray do."""
    weights = (0.2126, 0.7152, 0.0722)
    light = [
        sum(w * v for w, v in zip(weights, bytes.fromhex(colour[1:]), strict=True))
        for colour in SCALES[name]
    ]
    steps = [after - before for before, after in pairwise(light)]
    assert all(step < -10 for step in steps) or all(step > 10 for step in steps)


def test_long_names_stand_whole_below_their_axis():
    figures = study_figures(study_of(weights(0.1, 1.0, 10.0), WEIGHTS), ["hole_ssim"])
    axis = figures["Parallel coordinates"]["layout"]["xaxis"]
    assert axis["ticktext"] == ["hole_ssim", "generator_<br>learning_rate", "hole_l1"]


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ((0.1, 1.0, 10.0), ["0.1", "1", "10"]),
        ((0.005, 0.072), ["0.005", "0.02"]),  # 0.01 alone would say nothing of distances
        ((0.98, 2.4), ["1", "2"]),
        ((2.1, 2.4), ["2.1", "2.4"]),
        ((1e-4, 1e2), ["0.0001", "0.1", "100"]),
    ],
)
def test_logarithmic_axes_have_at_least_two_numbers_and_few(values, numbers):
    figures = study_figures(study_of(weights(*values), WEIGHTS), ["hole_ssim"])
    layout = figures["Slices"]["layout"]
    (axis,) = [one for key, one in layout.items() if key[:5] == "xaxis" and "tickvals" in one]
    assert axis["ticktext"] == numbers


def test_few_trials_get_a_caveat_and_a_whole_grid_none():
    few = study_of(weights(0.1, 1.0, 10.0), WEIGHTS)
    assert caveat(few).startswith("3 finished trials over 2 options are few")
    enough = study_of(weights(*(0.1 * number for number in range(1, 21))), WEIGHTS)
    assert caveat(enough) == ""
    choices = {"gate": optuna.distributions.CategoricalDistribution(["none", "gct"])}
    grid = study_of([(0.1, {"gate": "none"}), (0.2, {"gate": "gct"})], choices)
    assert caveat(grid) == "", "nothing was left to chance"
    one = study_of([(v, {"a.hole_l1": p["a.hole_l1"]}) for v, p in weights(0.1, 1.0)], WEIGHTS)
    assert "over 1 option are few" in caveat(one)
