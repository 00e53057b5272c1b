"""LaMa's discriminator has the published layers, and what its loss needs of them."""

import pytest
import torch
from torch import nn

from lab.networks import LaMaDiscriminator
from lab.networks.lama_discriminator import rename_published_lama_discriminator
from tests.parity import TOLERANCE, published, relative_error


@torch.no_grad()
def test_its_layers_are_those_of_pix2pixhd():
    # That one is shown two images, normalizes by the instance, and keeps its full scale last.
    tensors, state = published("pix2pixhd_multiscale_discriminator")
    network = LaMaDiscriminator(size=64, depth=3)
    network.layers[0][0] = nn.Conv2d(6, 64, 4, 2, 2)
    for layer in network.layers[1:]:
        layer[1] = nn.InstanceNorm2d(layer[1].num_features)
    scale = {
        name.replace("scale1_layer", "model"): tensor
        for name, tensor in state.items()
        if name.startswith("scale1_")
    }
    network.load_state_dict(rename_published_lama_discriminator(scale))
    image = torch.cat([tensors["in_label"], tensors["in_image"]], dim=1)
    answer = network(image, torch.zeros(1, 1, 64, 64))
    expected = tensors["out_scale0"].flatten(1)
    assert relative_error(answer.logits[0], expected) <= TOLERANCE
    assert relative_error(answer.features[1], tensors["out_scale0_feature1"]) <= TOLERANCE


def as_published(network):
    """The tensors of a network of ours, called as the published training's file calls them."""
    names = {}
    for name in network.state_dict():
        ours, _, leaf = name.rpartition(".")
        layer = ours.removeprefix("layers.") if ours != "output" else f"{len(network.layers)}.0"
        names[name] = f"discriminator.model{layer}.{leaf}"
    return {theirs: network.state_dict()[ours].clone() for ours, theirs in names.items()}


@torch.no_grad()
def test_the_tensors_of_a_trainings_file_are_renamed():
    torch.manual_seed(0)
    saved, other = LaMaDiscriminator(64, width=8).eval(), LaMaDiscriminator(64, width=8).eval()
    file = {"generator.model.25.bias": torch.ones(3), **as_published(saved)}
    assert "discriminator.model4.1.running_var" in file
    assert "discriminator.model5.0.weight" in file
    other.load_state_dict(rename_published_lama_discriminator(file))
    image, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    assert torch.equal(other(image, mask).logits[0], saved(image, mask).logits[0])
    with pytest.raises(KeyError, match="odd"):
        rename_published_lama_discriminator({"discriminator.odd": torch.ones(1)})


def test_published_widths_and_features():
    network = LaMaDiscriminator()
    widths = [layer[0].out_channels for layer in network.layers]
    assert widths == [64, 128, 256, 512, 512]
    answer = LaMaDiscriminator(32, width=4)(torch.rand(2, 3, 32, 32), torch.zeros(2, 1, 32, 32))
    assert len(answer.features) == 5
    assert [len(scale) for scale in answer.logits] == [2]
    answer.logits[0].sum().backward()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 15}, "15 pixels a side.*at least 16"),
        ({"depth": 0}, "at least 1, not 0"),
        ({"width": 0}, "at least 1, not 0"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        LaMaDiscriminator(**arguments)
