"""A view holds the hole in its centre, wherever the hole lies and however large it is."""

import pytest
import torch
import torch.nn.functional as F

from lab.layers import HoleView


def photo(height=40, width=50, count=1):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def mask_of(*boxes, height=40, width=50):
    """A mask for each box: top, left, bottom, right."""
    mask = torch.zeros(len(boxes), 1, height, width)
    for plane, (top, left, bottom, right) in zip(mask, boxes, strict=True):
        plane[:, top:bottom, left:right] = 1
    return mask


def test_a_hole_that_fits_is_seen_pixel_by_pixel():
    image = photo(count=2)
    view = HoleView.around(mask_of((10, 20, 16, 26), (12, 22, 20, 26)), side=16, hole_side=8)
    seen = view.look(image)
    assert torch.equal(seen[0], image[0, :, 5:21, 15:31])
    assert torch.equal(seen[1], image[1, :, 8:24, 16:32])


def test_what_lies_beyond_the_border_is_the_border_repeated():
    image = photo()
    seen = HoleView.around(mask_of((36, 0, 40, 4)), side=16, hole_side=8).look(image)
    repeated = F.pad(image, (6, 0, 0, 6), mode="replicate")
    assert torch.equal(seen, repeated[..., 30:46, :16])


@pytest.mark.parametrize("box", [(3, 5, 35, 45), (0, 0, 40, 50), (0, 7, 40, 9), (39, 49, 40, 50)])
def test_the_hole_lies_in_the_middle_whatever_its_size(box):
    mask = mask_of(box)
    view = HoleView.around(mask, side=32, hole_side=8)
    corners = torch.tensor(box, dtype=torch.float32).reshape(2, 2)
    seen = (corners - view.start) / view.step
    # The view begins at a whole pixel of the image, at most one before where it should.
    assert seen.min() >= 12
    assert seen.max() <= 21
    assert bool(view.centre.covers(40, 50)[mask > 0].all())


def test_a_wider_view_shows_means():
    image = photo(64, 64)
    seen = HoleView.around(torch.ones(1, 1, 64, 64), side=32, hole_side=16).look(image)
    spanned = F.interpolate(image, scale_factor=0.25, mode="bilinear", antialias=True)
    # Beyond the photo lies its border; at it, the two treat what is missing differently.
    torch.testing.assert_close(seen[..., 9:23, 9:23], spanned[..., 1:15, 1:15])


def test_the_middle_half_is_that_of_the_view():
    image = photo()
    view = HoleView.around(mask_of((3, 5, 35, 45)), side=32, hole_side=8)
    torch.testing.assert_close(view.centre.look(image), view.look(image)[..., 8:24, 8:24])


@pytest.mark.parametrize("box", [(10, 20, 16, 26), (36, 0, 40, 4)])
def test_what_is_put_back_lies_where_it_was_seen(box):
    image = photo()
    view = HoleView.around(mask_of(box), side=16, hole_side=8)
    inside = view.covers(40, 50).expand_as(image)
    assert 0 < inside.sum() < inside.numel()
    assert torch.equal(view.put_back(view.look(image), 40, 50)[inside], image[inside])


def test_a_slope_survives_being_shrunk_and_put_back():
    rows, columns = torch.meshgrid(torch.arange(80.0), torch.arange(90.0), indexing="ij")
    slope = (0.5 * rows + 0.25 * columns)[None, None]
    view = HoleView.around(mask_of((30, 40, 50, 61), height=80, width=90), 16, 8)
    found = view.put_back(view.look(slope), 80, 90)
    inside = (..., slice(25, 56), slice(33, 68))
    assert bool(view.covers(80, 90)[inside].all())
    # A tenth of a pixel, by how triangles fall on whole pixels.
    torch.testing.assert_close(found[inside], slope[inside], rtol=0, atol=0.05)


def test_a_photo_without_a_hole_is_seen_in_its_middle():
    image = photo()
    seen = HoleView.around(torch.zeros(1, 1, 40, 50), side=16, hole_side=8).look(image)
    assert torch.equal(seen, image[..., 12:28, 17:33])


def test_half_precision_elsewhere_does_not_blur_the_view():
    image = photo()
    mask = mask_of((10, 20, 16, 26))
    with torch.autocast("cpu", torch.bfloat16):
        seen = HoleView.around(mask, side=16, hole_side=8).look(image)
    assert torch.equal(seen, image[..., 5:21, 15:31])


def test_gradients_pass_both_ways():
    image = photo().requires_grad_()
    view = HoleView.around(mask_of((3, 5, 35, 45)), side=32, hole_side=8)
    view.put_back(view.look(image), 40, 50).sum().backward()
    # Every pixel counts, and repeating and averaging keep the sum of a constant.
    assert bool((image.grad > 0).all())
    torch.testing.assert_close(image.grad.sum(), torch.tensor(6000.0))
