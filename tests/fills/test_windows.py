"""Windows round the parts of a hole."""

import numpy as np
import pytest
import torch

from lab.fills.windows import hole_windows


def windows(mask, share=0.5, least=0):
    return [
        (rows.start, rows.stop, columns.start, columns.stop)
        for rows, columns in hole_windows(mask, share, least)
    ]


def test_a_window_reaches_as_far_as_the_longer_side_says():
    hole = torch.zeros(100, 120, dtype=torch.bool)
    hole[40:60, 50:80] = True
    assert windows(hole) == [(25, 75, 35, 95)]
    assert windows(hole, least=30) == [(10, 90, 20, 110)]
    assert windows(hole, share=9.0) == [(0, 100, 0, 120)]


def test_windows_that_meet_become_one():
    hole = torch.zeros(100, 200, dtype=torch.bool)
    hole[10:20, 10:20] = True
    hole[10:20, 26:36] = True
    hole[80:90, 150:160] = True
    assert sorted(windows(hole)) == [(5, 25, 5, 41), (75, 95, 145, 165)]


@pytest.mark.parametrize("seed", range(5))
def test_windows_are_apart_and_hold_all_of_the_hole(seed):
    generator = np.random.default_rng(seed)
    hole = torch.from_numpy(generator.random((90, 110)) < 0.003)
    seen = np.zeros((90, 110), int)
    for top, bottom, left, right in windows(hole, least=3):
        seen[top:bottom, left:right] += 1
    assert seen.max() <= 1
    assert seen[hole.numpy()].all()
