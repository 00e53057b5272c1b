"""PatchMatch's fill as networks begin from it: of a batch, once, and the same every time."""

import pytest
import torch

from lab.fills import PatchMatch, patch_match_fill
from lab.fills import remembered as module
from tests.strategies.networks import box, noise

SIZE = 40


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch):
    monkeypatch.setattr(module, "_remembered", type(module._remembered)())


@pytest.fixture
def computed(monkeypatch):
    """How often the fill was computed."""
    calls = []

    def count(image, mask):
        calls.append(image.shape)
        return PatchMatch()(image, mask)

    monkeypatch.setattr(module, "_PATCH_MATCH", count)
    return calls


def _batch():
    image = torch.cat([noise(SIZE, SIZE), noise(SIZE, SIZE).flip(3)])
    mask = torch.cat([box(SIZE, SIZE, (8, 20), (10, 30)), box(SIZE, SIZE, (15, 30), (5, 12))])
    return image, mask


def test_is_what_the_method_fills_sample_by_sample():
    image, mask = _batch()
    expected = torch.cat(
        [PatchMatch()(image[i : i + 1], mask[i : i + 1]) for i in range(len(image))]
    )
    torch.testing.assert_close(patch_match_fill(image, mask > 0), expected, rtol=0, atol=0)


def test_a_sample_that_comes_again_is_not_computed_again_and_is_the_same(computed):
    image, mask = _batch()
    first = patch_match_fill(image, mask > 0)
    again = patch_match_fill(image.flip(0), mask.flip(0) > 0)
    assert len(computed) == 2
    torch.testing.assert_close(again.flip(0), first, rtol=0, atol=0)
    moved = torch.roll(mask, 1, 3)
    patch_match_fill(image, moved > 0)
    assert len(computed) == 4


def test_what_lies_under_the_hole_is_not_read(computed):
    image, mask = _batch()
    expected = patch_match_fill(image, mask > 0)
    filled = patch_match_fill(torch.where(mask > 0, torch.nan, image), mask > 0)
    torch.testing.assert_close(filled, expected, rtol=0, atol=0)
    assert len(computed) == 2


def test_memory_is_bounded_and_the_oldest_go_first(computed, monkeypatch):
    image, mask = _batch()
    # Three channels of four bytes: the larger of the two holes alone.
    monkeypatch.setattr(module, "MOST_BYTES", int(mask.flatten(1).sum(1).max()) * 12)
    for _ in range(2):
        patch_match_fill(image[:1], mask[:1] > 0)
    patch_match_fill(image[1:], mask[1:] > 0)
    assert len(computed) == 2
    patch_match_fill(image[:1], mask[:1] > 0)
    assert len(computed) == 3
    kept = sum(colours.nbytes for colours in module._remembered.values())
    assert kept <= module.MOST_BYTES


def test_half_precision_around_it_changes_nothing():
    image, mask = _batch()
    expected = patch_match_fill(image, mask > 0)
    module._remembered.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        filled = patch_match_fill(image, mask > 0)
    torch.testing.assert_close(filled, expected, rtol=0, atol=0)


def test_no_hole_gives_the_photo_and_nothing_but_hole_gives_zeros():
    image, mask = _batch()
    mask = torch.stack((torch.zeros_like(mask[0]), torch.ones_like(mask[1])))
    filled = patch_match_fill(image, mask > 0)
    assert torch.equal(filled[0], image[0])
    assert not filled[1].any()
