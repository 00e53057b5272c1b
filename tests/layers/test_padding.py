"""Padding is NumPy's, also where the map is smaller than the margin."""

import numpy as np
import pytest
import torch

from lab.layers import pad_to_multiple, reflect


@pytest.mark.parametrize("size", [(5, 7), (4, 2), (3, 1), (1, 1)])
@pytest.mark.parametrize("margin", [0, 1, 3, 16])
def test_reflection_is_that_of_numpy(size, margin):
    planes = torch.rand(2, 3, *size)
    widths = ((0, 0), (0, 0), (margin, margin), (margin, margin))
    expected = np.pad(planes.numpy(), widths, mode="reflect")
    assert np.array_equal(reflect(planes, margin).numpy(), expected)


@pytest.mark.parametrize("margin", [1, 3, 9])
def test_reflection_passes_gradients(margin):
    planes = torch.rand(1, 1, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: reflect(x, margin), planes)


@pytest.mark.parametrize(
    ("size", "padded"), [((5, 7), (8, 8)), ((8, 4), (8, 4)), ((1, 9), (4, 12))]
)
def test_padding_repeats_the_last_row_and_column(size, padded):
    planes = torch.rand(2, 3, *size)
    height, width = size
    widths = ((0, 0), (0, 0), (0, padded[0] - height), (0, padded[1] - width))
    expected = np.pad(planes.numpy(), widths, mode="edge")
    assert np.array_equal(pad_to_multiple(planes, 4).numpy(), expected)
