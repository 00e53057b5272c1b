"""Each guide against what it claims: scikit-image's edges, a hand's lines, pix2pixHD's borders."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation
from scipy.stats import kstest
from skimage.color import rgb2gray
from skimage.feature import canny

from lab.guides import border_map, draw_noise, draw_strokes, find_edges, noise_of_sample
from lab.imaging import dilate
from tests.guides.photos import photo

REACH = np.ones((3, 3), bool)


def box(height, width):
    mask = torch.zeros(1, 1, height, width)
    mask[..., height // 4 : 3 * height // 4, width // 3 : 2 * width // 3] = 1
    return mask


@pytest.mark.parametrize("holed", [False, True])
def test_edges_are_those_of_scikit_image(holed):
    image = photo(96, 128)[None]
    mask = box(96, 128) * float(holed)
    ours = find_edges(image, mask)[0, 0].numpy() > 0
    gray = rgb2gray(image[0].permute(1, 2, 0).numpy())
    theirs = canny(gray, sigma=2.0, mask=mask[0, 0].numpy() == 0)
    assert theirs.sum() > 300
    # Gray weights differ by a hundredth, and so may the pixel beside which an edge runs.
    assert (ours & binary_dilation(theirs, REACH)).sum() > 0.95 * ours.sum()
    assert (theirs & binary_dilation(ours, REACH)).sum() > 0.95 * theirs.sum()


def test_the_holes_rim_is_no_edge():
    """A gray ramp has no edges, and still has none with a hole of any content."""
    image = torch.linspace(0.2, 0.9, 80).expand(1, 3, 60, 80).clone()
    mask = box(60, 80)
    for content in (0.0, 1.0, float("nan")):
        assert not find_edges(torch.where(mask > 0, content, image), mask).any()
    step = torch.where(torch.arange(80) < 15, 0.1, image)
    edges = find_edges(step, mask)
    assert edges[..., 14:16].any(-1).all()
    assert not (edges * dilate(mask, 1)).any()


def test_a_photo_that_is_all_hole_has_no_edges():
    assert not find_edges(photo(40, 40)[None], torch.ones(1, 1, 40, 40)).any()


def test_strokes_lie_in_the_hole_near_the_photos_edges_and_some_are_left_out():
    truth, mask = photo(96, 128)[None], box(96, 128)
    edges = find_edges(truth, torch.zeros_like(mask)) * mask
    near = dilate((find_edges(truth, torch.zeros_like(mask)) > 0).float(), 6)
    shares = []
    for seed in range(30):
        strokes = draw_strokes(truth, mask, np.random.default_rng(seed))
        assert not (strokes * (1 - mask)).any()
        assert (strokes * near).sum() >= 0.97 * strokes.sum()
        shares.append(float((dilate(strokes, 3) * edges).sum() / edges.sum()))
    # From almost none to almost all.
    assert min(shares) < 0.25
    assert max(shares) > 0.75


def test_a_line_is_drawn_as_one_stroke_of_the_pens_width():
    truth = torch.where(torch.arange(64) < 32, 0.1, 0.9).expand(1, 3, 64, 64)
    widths = set()
    for seed in range(20):
        rows = draw_strokes(truth, torch.ones(1, 1, 64, 64), np.random.default_rng(seed))[0, 0]
        drawn = rows[rows.any(1)].sum(1)
        widths |= set(drawn.int().tolist())
    assert {1, 2, 3} <= widths
    assert max(widths) <= 6  # where the hand slips to the side, a row holds more of the line


def test_borders_are_those_of_pix2pixhd():
    ids = torch.tensor([[1, 1, 2], [1, 1, 2], [3, 3, 3]])[None, None]
    expected = torch.tensor([[0, 1, 1], [1, 1, 1], [1, 1, 1]])[None, None].float()
    assert torch.equal(border_map(ids), expected)
    # Numbers mean nothing.
    assert torch.equal(border_map(1000 - ids), expected)
    with pytest.raises(TypeError, match="whole numbers"):
        border_map(ids.float())


def test_noise_is_standard_normal_and_another_for_every_sample():
    first = draw_noise(2, 64, 64, np.random.default_rng(0))
    third = noise_of_sample(first, 3)
    assert noise_of_sample(first, 1) is first
    assert torch.equal(noise_of_sample(first, 3), third)
    # Whatever else is in the batch.
    assert torch.equal(noise_of_sample(first[1:], 3), third[1:])
    for noise in (first, third, noise_of_sample(first, 2)):
        assert kstest(noise.flatten().numpy(), "norm").pvalue > 0.01
    together = torch.stack([first.flatten(), third.flatten(), noise_of_sample(first, 2).flatten()])
    assert (together.corrcoef() - torch.eye(3)).abs().max() < 0.05
    with pytest.raises(ValueError, match="counted from 1"):
        noise_of_sample(first, 0)
