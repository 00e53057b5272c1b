"""Hole ratios and their bins."""

from itertools import pairwise

import pytest
import torch

from lab.metrics import RATIO_BINS, hole_ratio, ratio_bin


def test_hole_ratio_is_the_share_of_hole_pixels():
    mask = torch.zeros(3, 1, 10, 20)
    mask[1, :, :7] = 1
    mask[2] = 1
    assert hole_ratio(mask).tolist() == [0.0, 0.7, 1.0]


@pytest.mark.parametrize(
    ("ratio", "name"),
    [
        (0.0, "0.0-0.3"),
        (0.2999, "0.0-0.3"),
        (0.3, "0.3-0.5"),
        (0.5, "0.5-0.7"),
        (0.7, "0.7-0.9"),
        (0.9, "0.9-1.0"),
        (1.0, "0.9-1.0"),
    ],
)
def test_bins_hold_their_lower_edge(ratio, name):
    assert ratio_bin(ratio) == name


def test_bins_leave_no_gap():
    assert all(low[1] == high[0] for low, high in pairwise(RATIO_BINS))


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_impossible_ratios_are_refused(ratio):
    with pytest.raises(ValueError, match="must lie in"):
        ratio_bin(ratio)
