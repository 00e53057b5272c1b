"""Balancing in a run: what it trains, what it leaves on disk, and where it cannot work."""

import pytest
import torch
from torch import nn

from lab.losses import GradNorm, Objective
from lab.networks import load_network
from lab.parsing import SettingsError
from lab.results import open_run
from lab.training import AdversarialCompletion
from tests.tiny import fit_tiny, tiny_experiment

TERMS = ("hole_l1", "known_l1", "coarse_hole_l1", "coarse_known_l1")
STATED = {**dict.fromkeys(TERMS, 2.4), "adversarial": 0.005}


def option(name):
    return f"--model.objective.balancing=lab.losses.{name}"


@pytest.fixture(scope="module", params=["UncertaintyWeighting", "GradNorm", "GradientRatio"])
def balanced(request, tmp_path_factory):
    """The name of a balancing, and a run of two epochs with it."""
    folder = tmp_path_factory.mktemp("balanced") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        fit_tiny(folder, option(request.param), "--fit.epochs=2")
    return request.param, folder


def test_what_terms_weigh_is_recorded_at_every_epoch(balanced):
    name, folder = balanced
    weights = open_run(folder).losses.filter(like="weight/")
    terms = ("adversarial",) if name == "GradientRatio" else TERMS
    assert set(weights) == {f"weight/{term}" for term in terms}
    stated = [STATED[term] for term in terms]
    moved = (weights[[f"weight/{term}" for term in terms]] - stated).abs().max(axis=1)
    assert (moved > 1e-3).all()
    assert moved.is_monotonic_increasing or name == "GradientRatio"


def test_what_is_learned_is_trained_at_its_own_rate_and_kept_for_resuming(balanced):
    name, folder = balanced
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    kept = {key for key in last["state_dict"] if key.startswith("objectives.")}
    learned = {
        "UncertaintyWeighting": {"objectives.0.balancing.log_variances"},
        "GradNorm": {"objectives.0.balancing.factors", "objectives.0.balancing.first_values"},
        "GradientRatio": set(),
    }
    assert kept == learned[name]
    rates = [group["lr"] for group in last["optimizer_states"][0]["param_groups"]]
    assert rates == ([1e-4] if name == "GradientRatio" else [1e-4, 0.01])
    again = AdversarialCompletion.load_from_checkpoint(folder / "checkpoints" / "last.ckpt")
    for key in kept:
        torch.testing.assert_close(again.state_dict()[key], last["state_dict"][key])


def test_the_networks_own_checkpoint_knows_nothing_of_it(balanced):
    path = balanced[1] / "checkpoints" / "epoch-002.pt"
    state = torch.load(path, weights_only=True)["state"]
    assert set(state) == set(load_network(path).state_dict())


def test_a_run_without_balancing_records_no_weights(tmp_path):
    fit_tiny(tmp_path / "run", "--fit.epochs=1")
    assert open_run(tmp_path / "run").losses.filter(like="weight/").empty


def test_gradients_are_measured_in_bfloat16_too(tmp_path):
    options = (option("GradientRatio"), "--fit.precision=bfloat16", "--fit.epochs=1")
    fit_tiny(tmp_path / "half", *options)
    fit_tiny(tmp_path / "whole", *options, "--fit.precision=float32")
    half, whole = (
        open_run(tmp_path / name).losses.loc[1, "weight/adversarial"] for name in ("half", "whole")
    )
    assert half == pytest.approx(whole, rel=0.2)


class Nameless(nn.Module):
    """A network that names no last layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)


def test_a_network_without_a_last_layer_is_refused():
    with pytest.raises(ValueError, match="Nameless names none: give it a property last_layer"):
        AdversarialCompletion(Nameless, objective=lambda: Objective(balancing=GradNorm))


def test_a_last_layer_that_does_not_train_is_refused():
    gates = ("--model.network.gate=gct", "--model.phases=[{epochs: 1, trains: [channel_gates]}]")
    with pytest.raises(SettingsError, match="does not train in a phase that trains channel_gates"):
        tiny_experiment(option("GradientRatio"), *gates)
    tiny_experiment(option("UncertaintyWeighting"), *gates)


def test_a_hinge_term_is_refused_in_one_line():
    with pytest.raises(SettingsError, match="cannot balance the adversarial term of kind hinge"):
        tiny_experiment(
            option("GradNorm"), "--model.objective.balancing.terms=[hole_l1, adversarial]"
        )
