"""A crop round the hole lies where it should, inside the photo, and passes gradients."""

import pytest
import torch

from lab.imaging import crop_round_hole


def numbered(batch, height, width):
    """Images whose two channels say the row and the column of every pixel."""
    rows = torch.arange(float(height))[:, None].expand(height, width)
    columns = torch.arange(float(width)).expand(height, width)
    return torch.stack([rows, columns]).repeat(batch, 1, 1, 1)


def hole(height, width, *boxes):
    mask = torch.zeros(1, 1, height, width)
    for top, left, bottom, right in boxes:
        mask[..., top:bottom, left:right] = 1
    return mask


@pytest.mark.parametrize(
    ("boxes", "corner"),
    [
        ([(8, 10, 12, 14)], (6, 8)),  # the hole of 4 in the middle of the crop of 8
        ([(8, 10, 16, 18)], (8, 10)),  # exactly the hole
        ([(8, 10, 9, 11)], (4, 6)),  # one pixel
        ([(0, 0, 4, 4)], (0, 0)),
        ([(17, 27, 20, 30)], (12, 22)),
        ([(6, 8, 8, 10), (10, 14, 12, 16)], (5, 8)),  # two parts: the middle of both
        ([(0, 0, 20, 30)], (6, 11)),  # larger than the crop
        ([], (6, 11)),  # nothing: the middle of the photo
    ],
)
def test_the_middle_of_the_crop_is_the_middle_of_the_hole(boxes, corner):
    crop = crop_round_hole(numbered(1, 20, 30), hole(20, 30, *boxes), 8)
    assert crop.shape == (1, 2, 8, 8)
    assert tuple(crop[0, :, 0, 0].tolist()) == corner
    assert tuple(crop[0, :, -1, -1].tolist()) == (corner[0] + 7, corner[1] + 7)


def test_every_photo_of_a_batch_has_its_own_place():
    masks = [hole(16, 12, (2, 2, 4, 4)), hole(16, 12), hole(16, 12, (9, 9, 16, 12))]
    together = crop_round_hole(numbered(3, 16, 12), torch.cat(masks), 5)
    alone = [crop_round_hole(numbered(1, 16, 12), mask, 5) for mask in masks]
    assert torch.equal(together, torch.cat(alone))


def test_a_crop_of_the_whole_image_is_the_image():
    image = numbered(2, 9, 9)
    assert torch.equal(
        crop_round_hole(image, hole(9, 9, (0, 5, 2, 9)).repeat(2, 1, 1, 1), 9), image
    )


def test_gradients_reach_the_crop_and_nothing_else():
    image = torch.rand(1, 3, 10, 10, requires_grad=True)
    crop_round_hole(image, hole(10, 10, (3, 4, 7, 8)), 4).square().sum().backward()
    inside = torch.zeros(1, 3, 10, 10, dtype=torch.bool)
    inside[..., 3:7, 4:8] = True
    assert torch.equal(image.grad, torch.where(inside, 2 * image.detach(), 0.0))


@pytest.mark.parametrize("side", [0, 11])
def test_a_side_that_does_not_fit_is_refused(side):
    with pytest.raises(ValueError, match=f"side is {side}, but must be from 1 to .* 10"):
        crop_round_hole(torch.rand(1, 3, 10, 12), hole(10, 12), side)


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not fit the image"):
        crop_round_hole(torch.rand(1, 3, 10, 12), hole(10, 10), 4)
