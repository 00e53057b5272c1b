"""How far a step moves the weights is logged, by a ratio that a simple optimizer gives away."""

import warnings

import pytest
import torch
from torch import nn

from lab.training import Optimization, Phase
from lab.training.updates import Updates
from tests.toys import fit

WEIGHTS = {"hole_l1": 1.0, "adversarial": 0.1}


def logged_updates(steps):
    return [{name for name in step if name.startswith("update/")} for step in steps]


def test_it_is_the_steps_norm_over_that_of_the_weights():
    layer = nn.Linear(3, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 0.0, 0.0]]))
        layer.bias.fill_(4.0)
    updates = Updates(layer)
    with torch.no_grad():
        layer.weight += 0.03
        layer.bias -= 0.04
    moved = (3 * 0.03**2 + 0.04**2) ** 0.5
    assert float(updates.ratio()) == pytest.approx(moved / 5.0, rel=1e-5)


def test_what_does_not_train_does_not_count():
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(1000.0).requires_grad_(False)
        layer.bias.fill_(2.0)
    updates = Updates(layer)
    with torch.no_grad():
        layer.bias += 0.5
    assert float(updates.ratio()) == 0.25


def test_of_weights_that_are_all_zero_it_is_zero():
    layer = nn.Linear(1, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    updates = Updates(layer)
    nn.init.ones_(layer.weight)
    assert float(updates.ratio()) == 0.0


def test_every_step_of_network_and_judges_says_it():
    _, _, logged, _ = fit([Phase(1)], weights=WEIGHTS)
    assert logged_updates(logged) == [{"update/network", "update/judges"}] * len(logged)
    assert all(
        0.0 < float(step[name]) < 1.0 for step in logged for name in step if "update" in name
    )


def test_what_rests_says_nothing():
    phases = [Phase(1, trains=("network",)), Phase(1, trains=("judges.whole",))]
    _, _, logged, _ = fit(phases, weights=WEIGHTS)
    half = len(logged) // 2
    assert logged_updates(logged) == [{"update/network"}] * half + [{"update/judges"}] * half


def test_what_is_measured_changes_nothing_of_the_training(monkeypatch):
    _, states, _, _ = fit([Phase(2)], weights=WEIGHTS)
    monkeypatch.setattr("lab.training.updates.Updates.ratio", lambda _: torch.zeros(()))
    _, others, _, _ = fit([Phase(2)], weights=WEIGHTS)
    for state, other in zip(states, others, strict=True):
        assert all(bool((state[name] == other[name]).all()) for name in state)


def test_steps_that_replace_a_network_are_said_once():
    with pytest.warns(UserWarning, match=r"moved the network's weights by \d+\.\d% of") as said:
        _, _, logged, _ = fit([Phase(2)], optimization=Optimization(0.1, 0.01))
    assert sum(float(step["update/network"]) > 0.05 for step in logged) > 1
    assert len([each for each in said if "Lower" in str(each.message)]) == 1


def test_short_steps_of_the_network_are_not_spoken_of_whatever_the_judges_do():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".* moved the network's weights")
        _, _, logged, _ = fit([Phase(1)], weights=WEIGHTS, optimization=Optimization(1e-3, 0.5))
    assert float(logged[0]["update/judges"]) > 0.05 > float(logged[0]["update/network"])
