"""The step at the rim: a step in colour in its own units, and nothing for what is none."""

import numpy as np
import pytest
import torch
from skimage.data import brick, grass

from lab.imaging import read_image
from lab.metrics import METRICS, measure, rim_step
from tests.metrics.rim_step_reference import rim_step_of
from tests.parity import shared

LEVEL = 1 / 255


def boxes(count, size=128, seed=0):
    """Holes like people, none of them at the photo's border."""
    draws = np.random.default_rng(seed)
    mask = torch.zeros(count, 1, size, size)
    for hole in mask[:, 0]:
        height, width = draws.integers(size // 3, size // 2), draws.integers(size // 6, size // 3)
        top, left = (int(draws.integers(8, size - 8 - side)) for side in (height, width))
        hole[top : top + height, left : left + width] = 1
    return mask


def noise(size=128, spread=20 * LEVEL, count=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + spread * torch.randn(count, 3, size, size, generator=generator)


def slope(size=128):
    return torch.linspace(0.2, 0.7, size).expand(1, 3, size, size).contiguous()


@pytest.mark.parametrize("photo", [torch.full((1, 3, 128, 128), 0.4), slope()])
@pytest.mark.parametrize("levels", [-20, -2, 1, 8])
def test_on_a_smooth_photo_a_step_of_k_gives_k(photo, levels):
    mask = boxes(1)
    assert float(rim_step(photo, mask)) == pytest.approx(0, abs=0.02 * LEVEL)
    filled = photo + mask * levels * LEVEL
    assert float(rim_step(filled, mask)) == pytest.approx(abs(levels) * LEVEL, rel=0.02)
    found = measure(filled, photo, mask)["rim_seam"]
    assert float(found) == pytest.approx(abs(levels) * LEVEL, rel=0.02)


@pytest.mark.parametrize(("spread", "measured"), [(10, 7.0), (20, 5.9)])
def test_a_step_that_is_small_against_the_texture_is_seen(spread, measured):
    """Eight levels, where neighbours differ by 14 or 28 by chance: a little of it is lost."""
    photo, mask = noise(count=24, spread=spread * LEVEL), boxes(24)
    stepped = photo + 8 * LEVEL * mask
    assert float(rim_step(photo, mask).mean()) < 1.2 * LEVEL
    assert float(rim_step(stepped, mask).mean()) == pytest.approx(measured * LEVEL, rel=0.05)
    parted = mask.diff(dim=3).abs()
    without, seam = ((x.diff(dim=3).abs() * parted).sum() for x in (photo, stepped))
    assert float(seam / without) < 1.2, "the mean of absolute differences hardly moves"


@pytest.mark.parametrize(("spread", "chance"), [(0, 1.0), (20, 1.5), (40, 3.0)])
def test_another_texture_in_the_hole_is_no_seam_but_a_step_is(spread, chance):
    photo, mask = noise(count=24, spread=10 * LEVEL), boxes(24)
    fill = noise(count=24, spread=spread * LEVEL, seed=1)
    filled = torch.where(mask > 0, fill, photo)
    assert float(rim_step(filled, mask).mean()) < chance * LEVEL
    stepped = rim_step(filled + 8 * LEVEL * mask, mask)
    assert float(stepped.mean()) == pytest.approx(8 * LEVEL, rel=0.35 if spread == 40 else 0.2)


@pytest.mark.parametrize("picture", [brick, grass])
def test_texture_that_goes_on_is_no_seam_but_brighter_texture_is(picture):
    pixels = torch.from_numpy(picture()[:200, :200] / 255.0).float().expand(24, 3, -1, -1)
    mask = boxes(24, 200)
    spread = float(pixels.std())
    without = float(rim_step(pixels, mask).mean())
    assert without < 0.05 * spread
    brighter = (pixels + 0.5 * spread * mask).clamp(0, 1)
    assert float(rim_step(brighter, mask).mean()) == pytest.approx(0.5 * spread, rel=0.25)


def test_a_seam_along_a_part_of_the_border_counts_by_that_part():
    mask = torch.zeros(1, 1, 200, 200)
    mask[..., 50:150, 50:150] = 1
    filled = torch.full((1, 3, 200, 200), 0.5)
    # It fades to nothing at the left, too slowly for a step.
    filled += mask * 20 * LEVEL * torch.linspace(-1, 1, 200).clamp_min(0)
    # The right side by 10 levels, the half of two others by 5 in the mean.
    assert float(rim_step(filled, mask)) == pytest.approx((10 + 5) / 4 * LEVEL, rel=0.15)


def test_a_slope_or_an_edge_that_goes_on_is_none():
    mask = boxes(1)
    photo = slope()
    photo[..., 60:, :] += 0.25
    assert float(rim_step(photo, mask)) < 1 * LEVEL


@pytest.mark.parametrize("levels", [4, 8, 16])
def test_on_photos_the_truth_has_none_and_a_step_gives_about_its_own_size(levels):
    """Over 100 photos at 128x128: 1.0 without a step, 3.3, 7.2 and 15.5 with those of 4, 8, 16."""
    paths = sorted(shared("data/photos/val").glob("*.jpg"))[:40]
    photos = torch.stack([read_image(path)[:, 32:160, 32:160] for path in paths])
    mask = boxes(len(photos))
    true = rim_step(photos, mask) / LEVEL
    assert float(true.median()) < 0.5
    assert float(true.mean()) < 2
    filled = photos + levels * LEVEL * mask
    assert float((rim_step(filled, mask) / LEVEL).mean()) == pytest.approx(levels, rel=0.25)
    found = measure(filled.clamp(0, 1), photos, mask)["rim_seam"] / LEVEL
    assert float(found.median()) == pytest.approx(levels, rel=0.3)


def test_an_edge_of_the_truth_at_the_border_is_none_of_the_fill():
    mask = boxes(1)
    truth = 0.4 + 0.2 * mask.expand(-1, 3, -1, -1)
    assert float(rim_step(truth, mask)) == pytest.approx(0.2, rel=0.01)
    assert float(measure(truth, truth, mask)["rim_seam"]) == 0
    filled = truth + 0.1 * mask
    # As variances: a step of 0.3 where the truth has one of 0.2.
    expected = (0.3**2 - 0.2**2) ** 0.5
    assert float(measure(filled, truth, mask)["rim_seam"]) == pytest.approx(expected, rel=0.01)


def hole_of(kind):
    mask = torch.zeros(1, 1, 40, 48, dtype=torch.float64)
    if kind == "strokes":
        mask[..., 20, 3:40] = 1
        mask[..., 5:35, 30] = 1
    elif kind == "all but a frame":
        mask[..., 1:-1, 2:-1] = 1
    elif kind == "several, at the border":
        mask[..., :9, :12] = 1
        mask[..., 20:38, 30:] = 1
        mask[..., 24, 5:7] = 1
    elif kind == "scattered":
        mask[:] = (
            torch.rand(mask.shape, generator=torch.Generator().manual_seed(2)) < 0.4
        ).double()
    return mask


@pytest.mark.parametrize(
    "kind", ["strokes", "all but a frame", "several, at the border", "scattered"]
)
def test_every_shape_of_hole_equals_the_reference(kind):
    mask = hole_of(kind)
    photo = noise(64, count=1)[..., :40, :48].double() + 0.1 * mask
    expected = rim_step_of(photo[0].numpy(), mask[0, 0].numpy() > 0)
    assert expected > 0.01
    assert float(rim_step(photo, mask)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_without_a_border_there_is_none(fill):
    assert float(rim_step(noise(32), torch.full((1, 1, 32, 32), fill))) == 0


def test_it_is_the_same_turned_or_mirrored_and_alone_or_in_a_batch():
    photo, mask = noise(64, count=2).double() + 0.05 * boxes(2, 64), boxes(2, 64).double()
    expected = rim_step(photo, mask)
    for change in (lambda x: x.flip(3), lambda x: x.rot90(1, (2, 3)), lambda x: x.mT):
        torch.testing.assert_close(rim_step(change(photo), change(mask)), expected)
    torch.testing.assert_close(rim_step(photo[1:], mask[1:]), expected[1:])


def test_the_table_says_its_unit():
    assert "1/255" in METRICS["rim_seam"].definition
    assert not METRICS["rim_seam"].higher_is_better
