"""The crop round a hole."""

import pytest
import torch

from lab.strategies import Cropped
from tests.strategies.networks import Recorder, box, noise


@pytest.mark.parametrize(
    ("rows", "columns", "size"),
    [
        ((40, 60), (50, 80), (20 + 2 * 15, 30 + 2 * 15)),  # half of the longer side around
        ((0, 20), (50, 80), (20 + 15, 30 + 2 * 15)),  # cut off at the top
        ((40, 41), (50, 51), (16, 16)),  # one pixel: the smallest side
        ((99, 100), (0, 1), (16, 16)),  # in a corner: moved into the photo
        ((0, 100), (0, 119), (100, 120)),  # never more than the photo
    ],
)
def test_the_network_sees_a_crop_and_the_answer_comes_back_in_its_place(rows, columns, size):
    image, mask = noise(100, 120), box(100, 120, rows, columns)
    network = Recorder(0.25)
    completed = Cropped(network, smallest_side=16)(image, mask)
    assert network.sizes == [size]
    seen, hole = network.seen[0]
    assert hole.sum() == mask.sum()
    assert not hole.all()
    assert torch.equal(seen[(hole > 0).expand_as(seen)], image[(mask > 0).expand_as(image)])
    assert torch.equal(completed, torch.where(mask > 0, 0.25, image))


def test_a_photo_smaller_than_the_smallest_side_is_seen_whole():
    network = Recorder(0.25)
    Cropped(network)(noise(20, 300), box(20, 300, (5, 7), (100, 102)))
    assert network.sizes == [(20, 128)]


def test_each_sample_has_its_own_crop():
    image = noise(64, 64).expand(2, -1, -1, -1)
    mask = torch.cat([box(64, 64, (0, 8), (0, 8)), box(64, 64, (30, 50), (30, 40))])
    network = Recorder(0.25)
    Cropped(network, smallest_side=1)(image, mask)
    assert network.sizes == [(12, 12), (40, 30)]


def test_no_context_is_refused():
    with pytest.raises(ValueError, match="context_share is 0"):
        Cropped(Recorder(0.5), context_share=0)
    with pytest.raises(ValueError, match="smallest_side is 0"):
        Cropped(Recorder(0.5), smallest_side=0)
