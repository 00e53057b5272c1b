"""What trains when: exactly what was asked for moves, batch statistics included."""

import pytest
import torch
from torch import nn

from lab.layers import GatedChannelTransformation
from lab.networks import InpaintSANet, load_network
from lab.settings import SettingsError
from lab.variants.staging import train_channel_gates
from tests.tiny import fit_tiny, tiny_experiment

GATED = ("--model.network.gate=both", "--data.validation_photos=1")


def states(folder):
    """The network after each epoch, by number."""
    return {
        int(path.stem.removeprefix("epoch-")): load_network(path)
        for path in sorted((folder / "checkpoints").glob("epoch-*.pt"))
    }


def moved(before, after):
    return {
        name
        for name, tensor in before.state_dict().items()
        if not torch.equal(tensor, after.state_dict()[name])
    }


def of_type(network, kind):
    """The names of every tensor that belongs to a module of a type."""
    return {
        f"{path}.{name}"
        for path, module in network.named_modules()
        if isinstance(module, kind)
        for name in module.state_dict()
    }


def test_first_only_the_channel_gates_move_then_everything(tmp_path):
    start, warm = tmp_path / "start", tmp_path / "warm"
    fit_tiny(start, "--fit.epochs=1", "--data.validation_photos=1")
    checkpoint = start / "checkpoints" / "epoch-001.pt"
    fit_tiny(
        warm,
        *GATED,
        "--fit.epochs=2",
        f"--model.warm_start={checkpoint}",
        "--model.optimization.channel_gate_epochs=1",
        "--model.optimization.generator_learning_rate=0.01",
    )
    # The published network's weights, and GCT as it starts: what the run began with.
    torch.manual_seed(0)
    began = InpaintSANet(width=8, gate="both")
    began.warm_start(load_network(checkpoint).state_dict())
    first, second = states(warm).values()

    gates = of_type(began, GatedChannelTransformation)
    assert len(gates) > 60
    assert moved(began, first) == gates
    statistics = {n for n in of_type(began, nn.BatchNorm2d) if n.endswith(("mean", "var"))}
    assert statistics <= moved(first, second)
    assert moved(first, second) >= {name for name, _ in began.named_parameters()} - {
        # Softmax over the keys takes no notice of what is added to all of them.
        "refine_attention.key.bias"
    }


def test_a_layer_that_only_contains_a_gate_stays_frozen():
    """The notes' mistake: chosen by the letters in a name, whole layers trained along."""

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.gct_convolution = nn.Conv2d(2, 2, 1)
            self.gate = GatedChannelTransformation(2)

    layer = Layer()
    train_channel_gates(layer)
    training = {name for name, parameter in layer.named_parameters() if parameter.requires_grad}
    assert training == {"gate.alpha", "gate.gamma", "gate.beta"}


def test_a_network_without_gates_is_refused_before_training():
    with pytest.raises(SettingsError, match=r"no gated channel transformation.*network\.gate=gct"):
        tiny_experiment("--model.optimization.channel_gate_epochs=1")


def test_weights_that_do_not_fit_are_refused_before_training(tmp_path):
    fit_tiny(tmp_path, "--fit.epochs=1", "--data.validation_photos=1")
    checkpoint = tmp_path / "checkpoints" / "epoch-001.pt"
    with pytest.raises(SettingsError, match=r"epoch-001\.pt do not fit model\.network"):
        tiny_experiment("--model.network.width=16", f"--model.warm_start={checkpoint}")


def test_normalization_keeps_its_statistics_after_the_epochs_asked_for(tmp_path):
    fit_tiny(
        tmp_path,
        "--fit.epochs=3",
        "--data.validation_photos=1",
        "--model.optimization.normalization_epochs=1",
    )
    first, second, third = states(tmp_path).values()
    statistics = {n for n in of_type(first, nn.BatchNorm2d) if n.endswith(("mean", "var"))}
    assert not statistics & moved(first, second)
    assert not statistics & moved(second, third)
    assert "coarse_network.0.convolution.weight" in moved(first, second)


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("channel_gate_epochs=-1", "must not be negative"),
        ("normalization_epochs=-1", "must not be negative"),
    ],
)
def test_stages_out_of_range_are_refused(option, rule):
    with pytest.raises(SettingsError, match=rule):
        tiny_experiment(f"--model.optimization.{option}")
