"""What every strategy promises, over the table of them all and over nested pairs of them."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from lab.contracts import Stages
from lab.strategies import METHODS, STRATEGIES, Tiled


class Rough(nn.Module):
    """A network that leaves [0, 1], repaints known pixels, and is random while training."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Conv2d(8, 3, 1)
        )

    def forward(self, image, mask):
        answer = self.layers(torch.cat((image * (1 - mask), mask), 1)) * 5
        return Stages((answer,))


WRAPPERS = [name for name in STRATEGIES if name != "direct" and name not in METHODS]
# The slow methods, which stand alone, would take minutes inside all of these.
INNER = [name for name in STRATEGIES if name not in ("shift-map", "patch-match")]
NESTED = [f"{outer} of {inner}" for outer, inner in product(WRAPPERS, INNER)]


@pytest.fixture(params=[*STRATEGIES, *NESTED])
def strategy(request):
    outer, _, inner = request.param.partition(" of ")
    if not inner:
        return STRATEGIES[outer](Rough())
    return STRATEGIES[outer](Rough(), inner=STRATEGIES[inner])


def samples(height, width):
    """Three photos: a hole at the border, none, and one pixel; one flat, so ties are tried too."""
    generator = np.random.default_rng(0)
    image = torch.from_numpy(generator.random((3, 3, height, width), np.float32))
    image[1] = 1 / 3  # no 8-bit value, so a detour through uint8 shows
    mask = torch.zeros(3, 1, height, width)
    mask[0, :, height // 3 :, : width // 3] = 1
    mask[2, :, height // 2, width // 2] = 1
    return image, mask


@pytest.fixture(params=[(32, 32), (64, 48), (33, 47), (61, 32)])
def image_and_mask(request):
    return samples(*request.param)


def test_known_pixels_come_back_bit_for_bit(strategy, image_and_mask):
    image, mask = image_and_mask
    completed = strategy(image, mask)
    assert completed.shape == image.shape
    assert completed.dtype == image.dtype
    known = (mask == 0).expand_as(image)
    assert torch.equal(completed[known], image[known])


def test_the_hole_is_filled_within_range(strategy, image_and_mask):
    image, mask = image_and_mask
    completed = strategy(image, mask)
    assert completed.isfinite().all()
    assert completed.min() >= 0
    assert completed.max() <= 1
    hole = (mask > 0).expand_as(image)
    assert not torch.equal(completed[hole], image[hole])


def test_what_lies_under_the_hole_does_not_matter(strategy, image_and_mask):
    image, mask = image_and_mask
    completed = strategy(image, mask)
    assert torch.equal(strategy(torch.where(mask > 0, 1 - image, image), mask), completed)


def test_an_empty_mask_is_the_identity(strategy):
    image, mask = samples(32, 40)
    assert torch.equal(strategy(image, torch.zeros_like(mask)), image)


def test_samples_do_not_touch_each_other(strategy):
    image, mask = samples(32, 40)
    together = strategy(image, mask)
    for index in range(3):
        alone = strategy(image[index : index + 1], mask[index : index + 1])
        torch.testing.assert_close(alone[0], together[index])


def test_the_inputs_stay_as_they_were(strategy):
    image, mask = samples(32, 40)
    image_before, mask_before = image.clone(), mask.clone()
    for drawn in (mask, torch.zeros_like(mask)):
        strategy(image, drawn).zero_()
    assert torch.equal(image, image_before)
    assert torch.equal(mask, mask_before)


def test_no_gradient_and_no_randomness(strategy):
    image, mask = samples(32, 40)
    completed = strategy(image.requires_grad_(), mask)
    assert not completed.requires_grad
    assert torch.equal(strategy(image, mask), completed)


def test_inputs_that_break_the_conventions_are_refused(strategy):
    image, mask = samples(32, 40)
    with pytest.raises(ValueError, match="image has values"):
        strategy(image * 255, mask)
    with pytest.raises(ValueError, match="does not fit the image"):
        strategy(image, mask[..., 1:])


@pytest.mark.parametrize("blending", ["none", "smooth"])
@pytest.mark.parametrize("tiles", [{"rows": 3, "columns": 2}, {"tile": 17}])
@pytest.mark.parametrize("overlap", [0, 1, 8])
def test_tiling_an_identity_leaves_no_seam(image_and_mask, tiles, overlap, blending):
    image, mask = image_and_mask
    tiled = Tiled(
        lambda image, mask: Stages((image,)), overlap=overlap, context=3, blending=blending, **tiles
    )
    torch.testing.assert_close(tiled(image, mask), image, rtol=0, atol=1e-6)
