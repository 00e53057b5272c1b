"""A residual block adds what its two mirrored convolutions see."""

import pytest
import torch
import torch.nn.functional as F

from lab.layers import ResidualBlock


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("spectral", [False, True])
@torch.no_grad()
def test_it_adds_two_mirrored_convolutions(dilation, spectral):
    torch.manual_seed(0)
    block = ResidualBlock(4, dilation, spectral).eval()
    x = torch.randn(2, 4, 6, 5)
    first, second = block.body[1], block.body[5]
    assert (first.bias is None) == spectral
    answer = F.conv2d(
        F.pad(x, (dilation,) * 4, mode="reflect"), first.weight, first.bias, dilation=dilation
    )
    answer = F.relu(F.instance_norm(answer))
    answer = F.conv2d(F.pad(answer, (1,) * 4, mode="reflect"), second.weight, second.bias)
    torch.testing.assert_close(block(x), x + F.instance_norm(answer))


@torch.no_grad()
def test_spectral_norm_bounds_what_the_convolutions_make():
    torch.manual_seed(0)
    block = ResidualBlock(4, spectral=True)
    for _ in range(50):
        block(torch.randn(1, 4, 6, 6))
    for convolution in (block.body[1], block.body[5]):
        largest = torch.linalg.matrix_norm(convolution.weight.flatten(1), 2)
        torch.testing.assert_close(largest, torch.tensor(1.0), rtol=1e-3, atol=0)
