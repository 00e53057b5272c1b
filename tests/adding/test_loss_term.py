"""What a loss term costs: two files of ``lab/``.

The term's own in ``lab/losses/``, and ``lab/losses/terms.py`` for its row in `TERMS`. Weights,
settings, phases, logs and balancing are made of the row; a term of a family that is there, such as
another region of a distance, is the row alone.
"""

from dataclasses import field, make_dataclass

import pytest
import torch

from lab.losses import TERMS, LossWeights, Objective, Term
from lab.training import AdversarialCompletion, Optimization, Phase
from tests.toys import NONE, SIZE, Painter, loader, trainer


def brightness(inputs):
    """How much brighter or darker the completed image is than the truth, on the mean."""
    difference = inputs.completed.mean((1, 2, 3)) - inputs.truth.mean((1, 2, 3))
    return difference.abs().mean()


ROW = Term(lambda settings: brightness, "difference of mean brightness")


@pytest.fixture
def weights(monkeypatch):
    """The weights, made of a table that has the row while the test runs."""
    made = make_dataclass(
        "LossWeights",
        [("brightness", float, field(default=ROW.published))],
        bases=(LossWeights,),
        frozen=True,
    )
    for room in ("terms", "objective", "balancing"):
        monkeypatch.setattr(f"lab.losses.{room}.TERMS", {**TERMS, "brightness": ROW})
    monkeypatch.setattr("lab.losses.terms.LossWeights", made)
    yield made
    assert "brightness" not in TERMS


def objective(weights, **given):
    return Objective(weights(**{**NONE, **given}))


def test_it_is_weighted_and_told_beside_the_others(weights):
    told = AdversarialCompletion(
        Painter,
        objective=lambda: objective(weights, hole_l1=1.0, brightness=3.0),
        optimization=Optimization(0.01),
        phases=[Phase(1), Phase(1, weights={"brightness": 0.0})],
    )
    told.prepare(SIZE)
    trainer(1).fit(told, loader())
    values = told.step_losses
    assert values["brightness"] > 0
    weighted = values["hole_l1"] + 3.0 * values["brightness"]
    torch.testing.assert_close(values["total"], weighted)
    first, second = told.objectives
    assert set(first.weights.active()) == {"hole_l1", "brightness"}
    assert set(second.weights.active()) == {"hole_l1"}


def test_without_a_weight_nothing_changes(weights):
    assert "brightness" not in objective(weights, hole_l1=1.0).weights.active()


def test_it_can_be_all_that_is_trained_on(weights):
    torch.manual_seed(0)
    module = AdversarialCompletion(
        Painter,
        objective=lambda: objective(weights, brightness=1.0),
        optimization=Optimization(0.01),
    )
    module.prepare(SIZE)
    told = []
    for _ in range(2):
        trainer(4).fit(module, loader())
        told.append(float(module.step_losses["brightness"]))
    assert told[1] < told[0]
