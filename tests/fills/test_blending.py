"""Steps in colour are spread over the hole; edges stay."""

import torch

from lab.fills.blending import blend


def filled_hole(value):
    """A photo of 0.5 with a filled hole of ``value``."""
    hole = torch.zeros(40, 60, dtype=torch.bool)
    hole[10:30, 15:45] = True
    return torch.where(hole, value, 0.5).expand(3, -1, -1), hole


def test_a_step_at_the_border_vanishes():
    filled, hole = filled_hole(0.56)
    blended = blend(filled, hole)
    torch.testing.assert_close(blended, torch.full_like(blended, 0.5), rtol=0, atol=2e-3)


def test_an_edge_stays():
    filled, hole = filled_hole(0.8)
    assert torch.equal(blend(filled, hole), filled)


def test_a_seam_between_copies_vanishes():
    """Two halves of a hole, copied from a darker and a brighter place."""
    image = torch.full((3, 40, 90), 0.5)
    image[:, :, 75:] = 0.55
    hole = torch.zeros(40, 90, dtype=torch.bool)
    hole[10:30, 20:40] = True
    origin = torch.arange(40 * 90).view(40, 90)
    origin[10:30, 20:30] += 25  # from columns 45 to 54
    origin[10:30, 30:40] += 48  # from columns 78 to 87
    filled = image.flatten(1)[:, origin]
    assert float(filled[0, 20, 30] - filled[0, 20, 29]) > 0.04
    blended = blend(filled, hole, origin)
    torch.testing.assert_close(blended[:, hole], image[:, hole], rtol=0, atol=2e-3)


def test_what_was_copied_in_one_piece_stays_as_it_is():
    image = torch.rand(3, 40, 90, generator=torch.Generator().manual_seed(0))
    hole = torch.zeros(40, 90, dtype=torch.bool)
    hole[10:30, 20:40] = True
    # What surrounds the hole is what surrounds its origin.
    image[:, 5:35, 15:45] = image[:, 5:35, 50:80]
    origin = torch.arange(40 * 90).view(40, 90)
    origin[hole] += 35
    torch.testing.assert_close(blend(image, hole, origin), image, rtol=0, atol=1e-6)


def test_texture_is_kept_and_known_pixels_are_not_touched():
    generator = torch.Generator().manual_seed(0)
    filled, hole = filled_hole(0.55)
    textured = filled + 0.02 * torch.rand(filled.shape, generator=generator)
    blended = blend(textured, hole)
    assert torch.equal(blended[:, ~hole], textured[:, ~hole])
    inner = (slice(None), slice(14, 26), slice(19, 41))
    change = blended[inner] - textured[inner]
    assert change.mean() < -0.03
    assert change.std() < 0.01


def test_a_hole_that_reaches_the_photos_border():
    hole = torch.zeros(33, 21, dtype=torch.bool)
    hole[:, 5:] = True
    filled = torch.where(hole, 0.55, 0.5).expand(3, -1, -1)
    blended = blend(filled, hole)
    torch.testing.assert_close(blended, torch.full_like(blended, 0.5), rtol=0, atol=5e-3)
