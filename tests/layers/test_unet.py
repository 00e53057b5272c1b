"""The U-Net's blocks are pix2pix's: activation first, then convolution and normalization."""

from functools import partial

import pytest
import torch
from torch import nn

from lab.layers import UNetDoubling, UNetHalving, unet_widths

InstanceNorm = partial(nn.InstanceNorm2d, affine=True)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("normalization", [None, nn.BatchNorm2d, InstanceNorm])
@torch.no_grad()
def test_halving_is_the_layers_in_a_row(normalization, bias):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 12)
    block = UNetHalving(3, 5, normalization, bias=bias)
    expected = nn.Sequential(nn.LeakyReLU(0.2), block.convolution, block.normalization)(x)
    assert torch.equal(block(x), expected)
    assert expected.shape == (2, 5, 4, 6)
    assert (block.convolution.bias is not None) == bias
    image = UNetHalving(3, 5, normalization, activated=False)
    assert torch.equal(image(x), image.normalization(image.convolution(x)))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("normalization", [None, nn.BatchNorm2d, InstanceNorm])
@torch.no_grad()
def test_doubling_is_the_layers_in_a_row(normalization, bias):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 4, 6)
    block = UNetDoubling(5, 3, normalization, bias=bias)
    expected = nn.Sequential(nn.ReLU(), block.convolution, block.normalization)(x)
    assert torch.equal(block(x), expected)
    assert expected.shape == (2, 3, 8, 12)
    assert (block.convolution.bias is not None) == bias


@torch.no_grad()
def test_only_training_drops_values():
    torch.manual_seed(0)
    x = torch.randn(2, 5, 8, 8)
    block = UNetDoubling(5, 3, nn.BatchNorm2d, dropout=0.5)
    assert 0.4 < (block(x) == 0).float().mean() < 0.6
    assert (block.eval()(x) != 0).all()


def test_what_is_handed_across_is_left_as_it_is():
    x = torch.randn(1, 3, 8, 8)
    before = x.clone()
    UNetHalving(3, 4)(x)
    UNetDoubling(3, 4)(x)
    assert torch.equal(x, before)


def test_widths_double_up_to_eight_times():
    assert unet_widths(64, 8) == [64, 128, 256, 512, 512, 512, 512, 512]
