"""Partial convolution is the published layer, and keeps the paper's promises."""

import pytest
import torch
import torch.nn.functional as F

from lab.layers import PartialConvolution
from tests.parity import TOLERANCE, published, relative_error


@pytest.mark.parametrize(("name", "multi_channel"), [("single", False), ("multi", True)])
@torch.no_grad()
def test_it_answers_as_published(name, multi_channel):
    tensors, state = published(f"partial_conv_{name}")
    layer = PartialConvolution(6, 8, 3, stride=2, padding=1, multi_channel=multi_channel)
    layer.load_state_dict(state, strict=True)
    features, valid = layer(tensors["in_features"], tensors["in_valid"])
    assert relative_error(features, tensors["out_features"]) <= TOLERANCE
    assert torch.equal(valid, tensors["out_valid"])


def some(multi_channel=False):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 9, 8, generator=generator)
    planes = 3 if multi_channel else 1
    return features, (torch.rand(2, planes, 9, 8, generator=generator) > 0.5).float()


@torch.no_grad()
def test_where_all_is_known_it_is_a_convolution_but_at_the_border():
    layer = PartialConvolution(3, 4, 3, padding=1)
    features, _ = some()
    answer, valid = layer(features, torch.ones(2, 1, 9, 8))
    plain = F.conv2d(features, layer.weight, layer.bias, padding=1)
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(answer[inside], plain[inside])
    assert not torch.allclose(answer, plain)  # the zeros around count as unknown
    assert bool((valid == 1).all())


@pytest.mark.parametrize("multi_channel", [False, True])
@torch.no_grad()
def test_unknown_features_never_matter(multi_channel):
    layer = PartialConvolution(3, 4, 3, padding=1, multi_channel=multi_channel)
    features, valid = some(multi_channel)
    changed = torch.where(valid > 0, features, 100.0)
    assert torch.equal(layer(features, valid)[0], layer(changed, valid)[0])


@torch.no_grad()
def test_a_window_that_knows_nothing_answers_nothing():
    layer = PartialConvolution(3, 4, 3, padding=1)
    features, _ = some()
    valid = torch.zeros(2, 1, 9, 8)
    valid[..., :4] = 1
    answer, updated = layer(features, valid)
    # A hole shrinks by half a kernel.
    assert bool((updated[..., :5] == 1).all())
    assert bool((updated[..., 5:] == 0).all())
    assert bool((answer[..., 5:] == 0).all())


@torch.no_grad()
def test_one_plane_for_all_channels_is_the_same_plane_for_each():
    single = PartialConvolution(3, 4, 3, padding=1)
    multi = PartialConvolution(3, 4, 3, padding=1, multi_channel=True)
    multi.load_state_dict(single.state_dict())
    features, valid = some()
    one, one_valid = single(features, valid)
    other, other_valid = multi(features, valid.expand(-1, 3, -1, -1))
    torch.testing.assert_close(one, other)
    assert torch.equal(one_valid.expand(-1, 4, -1, -1), other_valid)


@pytest.mark.parametrize("multi_channel", [False, True])
@torch.no_grad()
def test_it_can_divide_by_the_count_of_known_values(multi_channel):
    layer = PartialConvolution(3, 4, 3, 2, 1, multi_channel=multi_channel, scaling="count")
    features, valid = some(multi_channel)
    answer, updated = layer(features, valid)
    # As published: a convolution of ones counts, and a window that knows nothing answers nothing.
    valid = valid.expand_as(features)
    count = F.conv2d(valid, torch.ones_like(layer.weight), stride=2, padding=1)
    raw = F.conv2d(features * valid, layer.weight, stride=2, padding=1)
    expected = torch.where(count > 0, raw / count + layer.bias[:, None, None], 0.0)
    torch.testing.assert_close(answer, expected)
    assert torch.equal(updated.expand_as(count), (count > 0).float())


def test_another_scaling_is_refused():
    with pytest.raises(ValueError, match="no scaling is called 'area'"):
        PartialConvolution(3, 4, 3, scaling="area")


def test_a_padding_beyond_half_the_kernel_is_refused():
    with pytest.raises(ValueError, match="at most half the kernel, 1, not 2"):
        PartialConvolution(3, 4, 3, padding=2)
