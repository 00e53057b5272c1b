"""Blocks: a grid of known period is found, wherever it begins; what is no grid is not."""

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from lab.metrics.blockiness import blockiness


@pytest.fixture(scope="module")
def truth():
    return astronaut()[:256, :256] / 255.0


@pytest.fixture(scope="module")
def mask(truth):
    mask = np.zeros((256, 256))
    mask[60:230, 70:200] = 1
    mask[100:140, 150:230] = 1
    return mask


def score(fill, truth, mask):
    completed = np.clip(np.where(mask[..., None] > 0, fill, truth), 0, 1)
    tensors = [torch.from_numpy(np.moveaxis(each, -1, 0))[None] for each in (completed, truth)]
    return float(blockiness(*tensors, torch.from_numpy(mask)[None, None]))


def tiles(period, strength, offset=(0, 0), seed=0):
    """Squares, each a little brighter or darker than it should be."""
    count = 256 // period + 2
    levels = np.random.default_rng(seed).normal(0, strength, (count, count, 3))
    large = np.kron(levels, np.ones((period, period, 1)))
    return large[offset[0] :, offset[1] :][:256, :256]


@pytest.fixture(scope="module")
def fill(truth, mask):
    """A smooth fill, in which blocks are seen as they are."""
    photo = (255 * truth).astype(np.uint8)
    return cv2.inpaint(photo, mask.astype(np.uint8), 3, cv2.INPAINT_TELEA) / 255.0


@pytest.mark.parametrize("period", [4, 8, 16, 32])
def test_known_blocks_score_high_wherever_they_begin(period, fill, truth, mask):
    for offset in ((0, 0), (period // 2, period - 1)):
        mild, strong = (
            score(fill + tiles(period, strength, offset), truth, mask) for strength in (0.02, 0.06)
        )
        assert strong > mild > 0.3
        assert strong > 1.2


def test_blocks_are_found_in_texture_too(truth, mask):
    texture = np.roll(truth, 90, axis=1)
    assert score(texture, truth, mask) < 0.2
    assert score(texture + tiles(16, 0.06), truth, mask) > 0.5


def test_what_has_no_grid_scores_low(fill, truth, mask):
    noise = np.random.default_rng(0).normal(0, 0.1, truth.shape)
    fills = {
        "smooth": fill,
        "blurred": cv2.GaussianBlur(truth, (0, 0), 3),
        "noisy": truth + noise,
        "flat": np.full_like(truth, 0.5),
        "another place": np.roll(truth, 60, axis=0),
        # Tiles of a period that no layer has.
        "odd tiles": fill + tiles(11, 0.06),
    }
    for name, made in fills.items():
        assert score(made, truth, mask) < 0.3, name


def test_a_hole_that_holds_no_grid_twice_scores_nothing(truth):
    small = np.zeros((256, 256))
    small[100:106, 100:106] = 1
    assert score(tiles(4, 0.2), truth, small) == 0.0


def test_a_grid_of_the_truth_itself_is_no_fault(truth, mask):
    woven = np.clip(truth + tiles(8, 0.05), 0, 1)
    again = np.clip(np.roll(woven, 8, axis=1), 0, 1)
    assert score(again, woven, mask) < 0.2
