"""The threshold of V4 on what a segmenter says."""

import pytest
import torch
from torch import nn

from lab.mask_sources import NoPersonError, PersonSegmentation
from lab.networks import U2Net


def says(probability):
    """A segmenter that answers ``probability`` whatever it sees."""
    return lambda image: torch.tensor(probability).reshape(1, 1, 1, -1)


def photo(width=5):
    return torch.zeros(1, 3, 1, width)


@pytest.mark.parametrize(
    ("probability", "hole"),
    [
        # As `x[x < 0.1] = 0; x[x >= 0.1] = 1` of the notes.
        ([0.0, 0.09, 0.1, 0.5, 1.0], [0, 0, 1, 1, 1]),
        # Stretched to 0 … 1 first, as published: (x - 0.2) / 0.6.
        ([0.2, 0.25, 0.27, 0.5, 0.8], [0, 0, 1, 1, 1]),
        # As sure everywhere: the person fills the photo.
        ([0.9, 0.9, 0.9, 0.9, 0.9], [1, 1, 1, 1, 1]),
    ],
)
def test_a_pixel_is_hole_from_the_threshold_on(probability, hole):
    mask = PersonSegmentation(says(probability))(photo())
    assert mask.flatten().tolist() == hole


def test_a_higher_threshold_takes_less_away():
    source = PersonSegmentation(says([0.0, 0.3, 0.5, 0.7, 1.0]), threshold=0.6)
    assert source(photo()).flatten().tolist() == [0, 0, 0, 1, 1]


def test_a_segmenter_that_is_sure_of_nothing_found_nobody():
    with pytest.raises(NoPersonError, match=r"greatest probability is 0\.49"):
        PersonSegmentation(says([0.0, 0.1, 0.49, 0.2, 0.0]))(photo())
    assert PersonSegmentation(says([0.0, 0.1, 0.5, 0.2, 0.0]))(photo()).sum() == 3


@torch.no_grad()
def test_u2net_is_thresholded_as_the_notes_do():
    torch.manual_seed(0)
    plain, stretching = U2Net("small", side=64, stretch=False), U2Net("small", side=64)
    nn.init.constant_(plain.fusion.bias, 1.0)
    stretching.load_state_dict(plain.state_dict())
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    for threshold in (0.1, 0.5):
        notes = (stretching.eval()(image) >= threshold).float()
        assert 0 < notes.mean() < 1
        assert torch.equal(PersonSegmentation(plain.eval(), threshold)(image), notes)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, float("nan")])
def test_a_threshold_lies_between_0_and_1(threshold):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        PersonSegmentation(says([1.0]), threshold)
