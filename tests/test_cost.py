"""What a photo costs: counted by hand where it can be."""

import torch
from torch import nn

from lab.contracts import Stages
from lab.cost import measure_cost
from lab.fills import OpenCVInpainting
from lab.networks import FillSelector, InpaintSANet
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
