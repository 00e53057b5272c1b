"""Completion by patches: what repeats is continued, and what cannot be is not made up."""

import pytest
import torch

from lab.fills import OpenCVInpainting, PatchMatch, across_fill
from lab.fills.patch_field import PatchField
from lab.metrics import measure
from tests.fills.textures import HOLE, SIZE, TEXTURES
from tests.strategies.networks import box, noise


def psnr(completed, truth, mask=HOLE):
    return float(measure(completed, truth, mask)["hole_psnr"])


@pytest.fixture(params=TEXTURES)
def texture(request):
    return TEXTURES[request.param]()


def test_what_repeats_is_continued(texture):
    hidden = torch.where(HOLE > 0, 0.0, texture)
    assert psnr(OpenCVInpainting("telea")(hidden, HOLE), texture) < 16
    assert psnr(PatchMatch()(hidden, HOLE), texture) > 40


def test_noise_is_not_taken_for_structure(texture):
    generator = torch.Generator().manual_seed(0)
    noisy = (texture + 0.02 * torch.randn(texture.shape, generator=generator)).clamp(0, 1)
    # A copy's noise is not the truth's: 0.02 twice, 31 dB, is as good as can be.
    assert psnr(PatchMatch()(noisy, HOLE), noisy) > 29


def test_photos_beyond_the_search_are_copied_at_their_own_size(texture, monkeypatch):
    monkeypatch.setattr("lab.fills.patch_match._MOST_PIXELS", SIZE * SIZE // 2)
    completed = PatchMatch()(texture, HOLE)
    assert psnr(completed, texture) > 20
    # Not enlarged: as sharp as the texture.
    steps = [image.diff(dim=-1)[..., 40:88, 44:80].abs().mean() for image in (completed, texture)]
    assert steps[0] == pytest.approx(steps[1], rel=0.25)


def test_a_wire_across_a_large_photo_is_searched_for_near_it_at_its_own_size(monkeypatch):
    image = TEXTURES["stripes"]().repeat(1, 1, 3, 3)
    side = image.shape[-1]
    mask = torch.eye(side)[None, None]
    asked, rounds = [], []
    monkeypatch.setattr("lab.fills.patch_match._MOST_PIXELS", side * side // 2)
    monkeypatch.setattr("lab.fills.patch_match._NEAR", 16)

    class Watched(PatchField):
        def search(self, count):
            asked.append(len(self.sources))
            super().search(count)

        def vote(self):
            rounds.append(1)
            super().vote()

    monkeypatch.setattr("lab.fills.patch_match.PatchField", Watched)
    assert psnr(PatchMatch()(image, mask), image, mask) > 30
    assert max(asked) < 0.25 * side * side
    assert len(rounds) == 8


def test_light_that_falls_off_leaves_no_step(texture):
    # Nowhere else as bright as in the hole.
    places = torch.linspace(-1.0, 1.0, SIZE)
    lit = texture * (1.0 - 0.3 * (places**2 + places[:, None] ** 2))
    blended, copied = PatchMatch()(lit, HOLE), PatchMatch(blend=False)(lit, HOLE)
    assert psnr(blended, lit) > psnr(copied, lit) + 1


def test_the_seed_decides():
    image, mask = noise(64, 80), box(64, 80, (20, 50), (20, 60))
    completed = PatchMatch()(image, mask)
    assert torch.equal(PatchMatch()(image, mask), completed)
    assert not torch.equal(PatchMatch(seed=1)(image, mask), completed)
    # Nobody else's random numbers count.
    torch.manual_seed(5)
    assert torch.equal(PatchMatch()(image, mask), completed)


def test_without_blending_every_pixel_is_a_copy():
    image, mask = noise(60, 60), box(60, 60, (20, 40), (25, 45))
    completed = PatchMatch(blend=False)(image, mask)
    known = {tuple(pixel) for pixel in image[0, :, mask[0, 0] == 0].T.tolist()}
    filled = completed[0, :, mask[0, 0] > 0].T.tolist()
    assert all(tuple(pixel) in known for pixel in filled)


def test_what_lies_far_from_the_hole_plays_no_part():
    image, mask = noise(300, 400), box(300, 400, (140, 160), (180, 200))
    changed = image.clone()
    changed[..., :60, :] = 0.5
    changed[..., 300:] = 0.5
    first, second = PatchMatch()(image, mask), PatchMatch()(changed, mask)
    assert torch.equal(first[(mask > 0).expand_as(image)], second[(mask > 0).expand_as(image)])


def test_parts_of_a_hole_far_from_each_other_are_completed_each_for_itself():
    image = noise(80, 600)
    first, second = box(80, 600, (30, 50), (40, 60)), box(80, 600, (30, 50), (520, 540))
    both = PatchMatch()(image, first + second)
    for mask in (first, second):
        alone = PatchMatch()(image, mask)
        assert torch.equal(alone * mask, both * mask)


@pytest.mark.parametrize(
    ("rows", "columns", "height", "width"),
    [
        ((0, 20), (0, 30), 64, 64),  # a corner
        ((0, 64), (20, 40), 64, 64),  # from border to border
        ((2, 62), (2, 62), 64, 64),  # only a frame of two pixels is known
        ((5, 6), (5, 6), 11, 11),
        ((1, 5), (0, 3), 6, 3),
        ((0, 1), (0, 1), 1, 2),
    ],
)
def test_odd_holes_and_tiny_photos(rows, columns, height, width):
    image, mask = 0.5 + noise(height, width) / 2, box(height, width, rows, columns)
    completed = PatchMatch()(torch.where(mask > 0, 0.0, image), mask)
    assert completed[mask.expand_as(image) > 0].min() > 0.35


def test_where_no_patch_is_known_the_smooth_fill_answers():
    image, mask = noise(40, 40), box(40, 40, (2, 38), (2, 38))
    expected = across_fill(image, mask > 0).clamp(0, 1)
    assert torch.equal(PatchMatch()(image, mask), expected)


def test_thin_scratches_all_over_a_photo():
    """So many patches touch them that not all pairs can be compared."""
    image = TEXTURES["stripes"]().repeat(1, 1, 2, 2)
    mask = torch.zeros_like(image[:, :1])
    mask[..., 5::16, :] = 1
    mask[..., 6::16, :] = 1
    assert psnr(PatchMatch()(image, mask), image, mask) > 30


def test_wrong_options_are_refused_at_once():
    for patch in (4, 1):
        with pytest.raises(ValueError, match=f"patch is {patch}, but must be odd"):
            PatchMatch(patch=patch)
    with pytest.raises(ValueError, match="context_share is 0"):
        PatchMatch(context_share=0)
    with pytest.raises(ValueError, match=r"sample \[0\] covers the whole image"):
        PatchMatch()(noise(8, 9), torch.ones(1, 1, 8, 9))


@pytest.mark.parametrize("shade", [0.0, 1e-4, 1 / 3, 0.5, 1.0])
def test_a_plain_photo_stays_plain(shade):
    """Nothing but rounding varies in it, which principal components cannot be learned from."""
    mask = box(64, 64, (8, 56), (24, 40))
    for hair in (0.0, 1e-7, 1e-20, 1e-30):
        image = (torch.full((1, 3, 64, 64), shade) + hair * noise(64, 64)).clamp(0, 1)
        torch.testing.assert_close(PatchMatch()(image, mask), image, rtol=0, atol=1e-5)
