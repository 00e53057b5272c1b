"""Separable convolutions keep the variance; branches are one kernel while nobody trains them."""

import pytest
import torch
import torch.nn.functional as F

from lab.layers import (
    BranchedConvolution,
    SeparableConvolution,
    scaled_leaky_relu,
    unit_convolution,
)


def test_activation_is_scaled_and_bounded():
    x = torch.tensor([-1e4, -10.0, 0.0, 10.0, 1e4])
    expected = torch.tensor([-256.0, -2.0 * 2**0.5, 0.0, 10.0 * 2**0.5, 256.0])
    torch.testing.assert_close(scaled_leaky_relu(x), expected)
    torch.testing.assert_close(scaled_leaky_relu(x, 0.5), expected / 2)


@torch.no_grad()
def test_a_branched_convolution_is_the_plain_one_of_its_kernel():
    torch.manual_seed(0)
    layer = BranchedConvolution(6, 6, 3, groups=6, branches=4)
    x = torch.randn(2, 6, 7, 9)
    total = sum(layer.branches[6 * number : 6 * (number + 1)] for number in range(4)) / 2
    kernel = total / total.flatten(1).norm(dim=1)[:, None, None, None]
    expected = F.conv2d(x, kernel, layer.bias, padding=1, groups=6)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.to(memory_format=torch.channels_last)(x), expected)


@pytest.mark.parametrize("branches", [0, 1, 9])
def test_kernels_begin_with_length_one(branches):
    layer = unit_convolution(8, 5, 3, branches=branches)
    kernel = layer.kernel if branches else layer.weight
    torch.testing.assert_close(kernel.flatten(1).norm(dim=1), torch.ones(5))
    assert not layer.bias.any()


@torch.no_grad()
def test_noise_is_kept_and_weighted():
    torch.manual_seed(0)
    layer = SeparableConvolution(4, 6, "double", noise_side=10)
    x = torch.randn(2, 4, 5, 5)
    quiet = layer(x)
    assert quiet.shape == (2, 6, 10, 10)
    assert torch.equal(layer(x), quiet)
    layer.noise_strength.fill_(0.5)
    before = torch.where(quiet > 0, quiet, 5 * quiet) / 2**0.5
    torch.testing.assert_close(layer(x), scaled_leaky_relu(before + 0.5 * layer.noise))
