"""What a photo costs: counted by hand where it can be."""

from functools import partial

import pytest
import torch
from torch import nn

from lab.contracts import Stages
from lab.cost import count_multiply_adds, measure_cost
from lab.fills import OpenCVInpainting
from lab.layers import GatedConvolution
from lab.networks import (
    NETWORKS,
    DeepFillv2,
    EdgePainter,
    FillSelector,
    InpaintSANet,
    PartialConvolutionUNet,
    ShiftNet,
    create,
)
from lab.strategies import Direct, Tiled


class OneConvolution(nn.Module):
    """3 channels to 3 by 5x5: 225 weights and 3 biases, 225 multiply-adds a pixel."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 5, padding=2)

    def forward(self, image, mask):
        return Stages((self.convolution(torch.where(mask > 0, 0.5, image)),))


def test_a_convolution_is_counted():
    network = OneConvolution()
    cost = measure_cost(Direct(network), network, 64)
    assert cost.parameters == 228
    assert cost.multiply_adds == 225 * 64 * 64
    # Image, mask, copies and answer: a handful of planes of 64x64 floats, more than the two images.
    plane = 64 * 64 * 4
    assert 6 * plane <= cost.peak_bytes <= 30 * plane
    assert cost.milliseconds > 0


def test_costs_grow_with_the_pixels_and_tiles_need_less_memory():
    network = InpaintSANet(width=8).eval()
    small, large = (measure_cost(Direct(network), network, size) for size in (64, 128))
    # The attention's products grow with the square of the pixels, all else with the pixels.
    assert 3.9 < large.multiply_adds / small.multiply_adds < 5
    assert 3.5 < large.peak_bytes / small.peak_bytes < 5
    tiled = measure_cost(Tiled(network), network, 128)
    assert tiled.peak_bytes < large.peak_bytes
    assert tiled.parameters == large.parameters


def test_a_method_without_a_network_has_no_parameters():
    cost = measure_cost(OpenCVInpainting("telea"), nn.Identity(), 64)
    assert (cost.parameters, cost.multiply_adds) == (0, 0)


def test_fills_that_are_remembered_count_every_time():
    """A person completes each photo once."""
    costs = []
    for patch_match in (False, True):
        network = FillSelector(width=8, patch_match=patch_match).eval()
        costs += [measure_cost(Direct(network), network, 64) for _ in range(2)]
    without, _, first, second = (cost.milliseconds for cost in costs)
    assert min(first, second) > 1.5 * without


def test_multiply_adds_are_every_weight_at_every_position():
    """Of a network of convolutions alone; of transposed ones at the positions of their input."""
    found = []

    def count(layer, inputs, answer):
        positions = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else answer
        found.append(layer.weight.numel() * positions[0, 0].numel())

    def build():
        return EdgePainter(width=8, blocks=2)

    network = build().eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 64), mask, {"edges": mask, "sketch": mask})
    assert len(found) == 10
    assert count_multiply_adds(build, 64).convolutions == pytest.approx(sum(found), rel=0.01)


def test_attention_is_counted_as_its_two_products():
    """Scores and answers each take positions x positions x channels."""

    def build():
        return InpaintSANet(width=8)

    small, large = (count_multiply_adds(build, size).multiply_adds for size in (64, 128))
    channels, positions = build().refine_attention.value.in_channels, 16 * 16
    # All else grows fourfold with the pixels, attention sixteenfold.
    assert large - 4 * small == pytest.approx(12 * 2 * positions**2 * channels, rel=0.01)


LADDER = [(name, preset) for name in NETWORKS for preset in NETWORKS[name].presets]
NAMED = {"4g": 4e9, "1g": 1e9, "600m": 600e6, "300m": 300e6}


@pytest.mark.parametrize(("name", "preset"), LADDER)
def test_a_preset_takes_what_its_name_says(name, preset):
    known = NETWORKS[name].presets[preset]
    found = count_multiply_adds(partial(create, name, preset=preset), known.photo_size)
    assert found.convolutions == pytest.approx(NAMED.get(preset, known.convolutions), rel=0.1)
    assert found.multiply_adds > found.convolutions


def test_a_separable_layer_is_counted_as_its_two_convolutions():
    """At 64x64 pixels 3x3 weights for each of 24 channels, then 24 for each of twice 36."""

    class OneLayer(nn.Module):
        def __init__(self, separable):
            super().__init__()
            self.layer = GatedConvolution(24, 36, 3, separable=separable)

        def forward(self, image, mask):
            return Stages((self.layer(image.repeat(1, 8, 1, 1))[:, :3],))

    plain, separable = (count_multiply_adds(lambda s=s: OneLayer(s), 64) for s in (False, True))
    assert separable == (64 * 64 * (9 * 24 + 24 * 72),) * 2
    assert plain == (64 * 64 * 9 * 24 * 72,) * 2


def test_the_convolutions_of_the_published_deepfill_are_the_notes_25_g():
    assert count_multiply_adds(DeepFillv2, 256).convolutions == pytest.approx(25e9, rel=0.01)


@pytest.mark.parametrize(
    "build",
    [
        lambda: InpaintSANet(width=8),
        lambda: PartialConvolutionUNet(width=8, depth=3),
        # Its attention depends on the hole: it is really run.
        lambda: ShiftNet(width=4, depth=5),
    ],
)
def test_shapes_alone_say_what_is_counted_along_the_way(build):
    torch.manual_seed(0)
    network, expected = build(), torch.rand(3)
    torch.manual_seed(0)
    build()
    cost = measure_cost(Direct(network), network, 64)
    assert count_multiply_adds(build, 64) == (cost.multiply_adds, cost.convolutions)
    assert torch.equal(torch.rand(3), expected)
