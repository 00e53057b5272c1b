"""A term that asks the network for more than its answer, in a run and where it cannot be."""

import pytest

from lab.losses import LossWeights, Objective
from lab.networks import InpaintSANet, ShiftNet
from lab.parsing import SettingsError
from lab.results import open_run
from lab.training import AdversarialCompletion, Phase
from tests.tiny import fit_tiny, tiny_experiment


def test_shift_net_trains_under_its_guidance(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    options = ("--variant=shift_net_without_vgg", "--model.network.depth=5", "--fit.epochs=2")
    fit_tiny(tmp_path / "run", *options, "--model.judges.local.width=8")
    losses = open_run(tmp_path / "run").losses
    for term in ("whole_l1", "discounted_hole_l1", "shift_guidance", "local_adversarial"):
        assert (losses[term] > 0).all()
    assert losses["shift_guidance"].nunique() == 2


def test_a_network_without_what_a_term_asks_is_refused_before_training():
    said = (
        r"term shift_guidance asks the network's guidance_features, which InpaintSANet does not "
        r"have: set model\.objective\.weights\.shift_guidance to 0"
    )
    with pytest.raises(SettingsError, match=said):
        tiny_experiment("--model.objective.weights.shift_guidance=1")
    # A later phase's term, too.
    phases = [Phase(1), Phase(1, weights={"shift_guidance": 1.0})]
    only_l1 = Objective(LossWeights(adversarial=0.0))
    with pytest.raises(ValueError, match=said):
        AdversarialCompletion(
            lambda: InpaintSANet(width=8), objective=lambda: only_l1, phases=phases
        )
    AdversarialCompletion(
        lambda: ShiftNet(width=4, depth=5), objective=lambda: only_l1, phases=phases
    )
