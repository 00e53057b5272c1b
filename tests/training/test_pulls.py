"""How hard each term pulls at the network is logged, and a term that does not pull is said."""

import warnings

import pytest

from lab.training import Optimization, Phase
from tests.toys import NONE, fit

WEIGHTS = {"hole_l1": 1.0, "known_l2": 2.0, "adversarial": 0.1}
IDLE = r"the term edges_adversarial has the weight 0\.5 .* changes nothing"


def logged_gradients(steps):
    return [{name for name in step if name.startswith("gradient/")} for step in steps]


def test_every_epochs_first_step_says_how_hard_each_term_pulls():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        # At a rate at which the toy's steps are not said to be long.
        _, _, logged, _ = fit([Phase(2)], weights=WEIGHTS, optimization=Optimization(0.005, 0.01))
    every = {f"gradient/{name}" for name in WEIGHTS}
    assert logged_gradients(logged) == [every, set(), every, set()]
    assert all(float(step[name]) > 0 for step in logged[::2] for name in every)


def test_the_network_that_waits_for_its_judges_says_it_at_its_own_first_step():
    optimization = Optimization(0.01, 0.01, judge_steps=2)
    _, _, logged, _ = fit([Phase(2)], weights=WEIGHTS, optimization=optimization)
    every = {f"gradient/{name}" for name in WEIGHTS}
    assert logged_gradients(logged) == [set(), every, set(), every]


def test_where_the_judges_stay_as_they_are_it_says_it_once_an_epoch_too():
    optimization = Optimization(0.01, 0.01, judge_steps=2)
    phases = [Phase(2, trains=("network",))]
    _, _, logged, _ = fit(phases, weights=WEIGHTS, optimization=optimization)
    every = {f"gradient/{name}" for name in WEIGHTS}
    assert logged_gradients(logged) == [every, set(), every, set()]


def test_what_is_measured_changes_nothing_of_the_training(monkeypatch):
    _, states, _, _ = fit([Phase(2)], weights=WEIGHTS)
    monkeypatch.setattr("lab.losses.Objective.gradient_norms", lambda *_: {})
    _, others, logged, _ = fit([Phase(2)], weights=WEIGHTS)
    assert not any(logged_gradients(logged))
    for state, other in zip(states, others, strict=True):
        assert all(bool((state[name] == other[name]).all()) for name in state)


def test_a_term_that_does_not_reach_what_trains_is_said_once():
    weights = {**NONE, "hole_l1": 1.0, "edges_adversarial": 0.5}
    phases = [Phase(1, weights=weights), Phase(2, trains=("network.decoder",), weights=weights)]
    with pytest.warns(UserWarning, match=IDLE) as said:
        _, _, logged, _ = fit(phases)
    assert len([each for each in said if "changes nothing" in str(each.message)]) == 1
    assert "(network.decoder)" in str(next(s for s in said if "nothing" in str(s.message)).message)
    pulls = [float(step["gradient/edges_adversarial"]) for step in logged[::2]]
    assert pulls[0] > 0.0
    assert pulls[1:] == [0.0, 0.0]
