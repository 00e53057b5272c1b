"""What the gates of a network let through."""

import pytest
import torch

from lab.layers import GatedConvolution
from lab.networks import RFR, InpaintSANet
from lab.widgets import gates_of

IMAGE = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
MASK = torch.zeros(1, 1, 32, 32)
MASK[..., 8:24, 12:20] = 1


def test_every_gated_layer_is_noted_in_the_order_it_runs():
    network = InpaintSANet(width=8)
    gates = gates_of(network, IMAGE, MASK)
    names = [name for name, layer in network.named_modules() if isinstance(layer, GatedConvolution)]
    assert [layer.layer for layer in gates] == names
    assert gates[0].pixels.shape == (1, 8, 32, 32)
    assert all(0 < layer.pixels.min() and layer.pixels.max() < 1 for layer in gates)
    assert all(layer.channels is None for layer in gates)


def test_the_first_gates_are_the_sigmoid_of_its_gate_convolution():
    network = InpaintSANet(width=8)
    first = network.coarse_network[0]
    with torch.no_grad():
        # What it reads: RGB in [-1, 1] with the hole white, the mask, and ones.
        painted = torch.where(MASK > 0, 1.0, 2 * IMAGE - 1)
        read = torch.cat([painted, MASK, torch.ones_like(MASK)], dim=1)
        expected = torch.sigmoid(first.convolution(read)[:, 8:])
    torch.testing.assert_close(gates_of(network, IMAGE, MASK)[0].pixels, expected)


@pytest.mark.parametrize("gate", ["gct", "both"])
def test_channel_gates_begin_at_one(gate):
    for layer in gates_of(InpaintSANet(width=8, gate=gate), IMAGE, MASK):
        torch.testing.assert_close(layer.channels, torch.ones_like(layer.channels))
        assert (layer.pixels is None) == (gate == "gct")


def test_the_picture_is_gray_and_reaches_from_black_to_white():
    picture = gates_of(InpaintSANet(width=8), IMAGE, MASK)[0].picture()
    assert picture.shape == (3, 32, 32)
    assert (float(picture.min()), float(picture.max())) == (0.0, pytest.approx(1.0))


def test_the_network_is_left_as_it_was():
    network = InpaintSANet(width=8).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    gates_of(network, IMAGE, MASK)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


def test_a_network_without_gates_is_refused():
    with pytest.raises(ValueError, match="RFR has no gated"):
        gates_of(RFR(), torch.rand(1, 3, 64, 64), MASK.repeat(1, 1, 2, 2))
