"""Halving and doubling are the filter [1, 3, 3, 1] with zeros around the image."""

import pytest
import torch
import torch.nn.functional as F

from lab.layers import double, halve

KERNEL = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def filtered(x, left, right):
    """Every plane of ``x`` filtered by itself, padded by so many zeros."""
    planes = F.pad(x.flatten(0, 1)[:, None], (left, right, left, right))
    return F.conv2d(planes, KERNEL[None, None].to(x.dtype)).unflatten(0, x.shape[:2])[:, :, 0]


@pytest.mark.parametrize("size", [(8, 12), (4, 4), (2, 6)])
def test_halving_smooths_and_takes_every_other_position(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(halve(x), filtered(x, 1, 1)[..., ::2, ::2])


@pytest.mark.parametrize("size", [(8, 12), (4, 4), (1, 3)])
def test_doubling_sets_zeros_between_and_smooths(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    apart = torch.zeros(2, 3, 2 * size[0], 2 * size[1], dtype=torch.float64)
    apart[..., ::2, ::2] = x
    torch.testing.assert_close(double(x), 4 * filtered(apart, 2, 1))
