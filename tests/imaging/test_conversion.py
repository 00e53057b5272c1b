"""8-bit pixels and tensors turn into each other exactly."""

import numpy as np
import pytest
import torch

from lab.imaging import from_uint8, to_uint8


def test_every_value_comes_back():
    pixels = np.arange(256, dtype=np.uint8).reshape(8, 32, 1).repeat(3, axis=2)

    image = from_uint8(pixels)
    assert image.shape == (3, 8, 32)
    assert image.dtype == torch.float32
    assert np.array_equal(to_uint8(image), pixels)


def test_batches_and_masks_convert_too():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)

    assert from_uint8(pixels).shape == (2, 3, 5, 7)
    assert np.array_equal(to_uint8(from_uint8(pixels)), pixels)
    assert to_uint8(torch.ones(1, 5, 7)).shape == (5, 7, 1)


def test_values_are_rounded():
    assert to_uint8(torch.full((3, 1, 1), 99.6 / 255))[0, 0].tolist() == [100] * 3


def test_the_tensor_does_not_share_memory():
    pixels = np.zeros((2, 2, 3), np.uint8)
    image = from_uint8(pixels)
    pixels[:] = 255
    assert image.max() == 0


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_values_outside_the_range_are_refused(value):
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        to_uint8(torch.full((3, 2, 2), value))


def test_other_types_and_shapes_are_refused():
    with pytest.raises(TypeError, match=r"torch\.uint8"):
        to_uint8(torch.zeros(3, 2, 2, dtype=torch.uint8))
    with pytest.raises(TypeError, match="float64"):
        from_uint8(np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="shape"):
        to_uint8(torch.zeros(2, 2))
    with pytest.raises(ValueError, match="shape"):
        from_uint8(np.zeros((2, 2), np.uint8))
