"""The seam measure sees seams where there are some, and none where there are none."""

import pytest
import torch

from lab.fills import OpenCVInpainting
from lab.imaging import read_image
from lab.metrics import seam_steps
from lab.networks import InpaintSANet
from lab.strategies import Direct, Tiled
from tests.parity import shared


def hole(size=32):
    mask = torch.zeros(1, 1, size, size)
    mask[..., 4:28, 6:26] = 1
    return mask


def ramp(size=32):
    return torch.linspace(0, 1, size).expand(1, 3, size, size).clone()


def test_the_truth_has_no_seam():
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    steps = seam_steps(noise, noise, hole().expand(2, -1, -1, -1), [16], [16])
    assert steps.completed.shape == (2,)
    assert torch.equal(steps.excess, torch.zeros(2))
    assert torch.equal(steps.ratio, torch.ones(2))


def test_steps_by_hand():
    """A ramp of 1/31 a column; the right half of the hole 0.1 brighter."""
    completed = ramp()
    completed[..., 16:26] += 0.1
    steps = seam_steps(completed.clamp(0, 1), ramp(), hole(), [], [16])
    torch.testing.assert_close(steps.truth, torch.tensor([1 / 31]))
    torch.testing.assert_close(steps.completed, torch.tensor([1 / 31 + 0.1]))
    torch.testing.assert_close(steps.excess, torch.tensor([0.1]))
    # Elsewhere every step is the truth's; half a level of 8 bits is added to each.
    floor = 0.5 / 255
    expected = (1 / 31 + 0.1 + floor) / (1 / 31 + floor)
    torch.testing.assert_close(steps.ratio, torch.tensor([expected]))


def test_rows_and_columns_count_by_their_pixels():
    """A step of 0.2 below row 16: 20 columns of the hole; none beside column 16: 24 rows."""
    flat = torch.full((1, 3, 32, 32), 0.5)
    completed = flat.clone()
    completed[..., 16:, :] = 0.7
    steps = seam_steps(completed, flat, hole(), [16], [16])
    torch.testing.assert_close(steps.completed, torch.tensor([0.2 * 20 / 44]))


def test_what_is_outside_the_hole_or_elsewhere_does_not_count():
    completed = ramp()
    completed[..., :6] = 1
    completed[..., 26:] = 0
    completed[..., :4, :] = 0.5
    at_16 = seam_steps(completed, ramp(), hole(), [16], [16])
    torch.testing.assert_close(at_16.excess, torch.zeros(1))
    torch.testing.assert_close(at_16.ratio, torch.ones(1))
    with pytest.raises(ValueError, match=r"sample \[0\] has no pixels of the hole on both sides"):
        seam_steps(completed, ramp(), hole(), [4], [6])  # the hole's own border


def test_a_blurred_fill_without_a_seam_is_not_blamed():
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, 128, 128, generator=generator)
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 10:118, 10:118] = 1
    blurred = (noise - 0.5) / 20 + 0.5
    steps = seam_steps(blurred, noise, mask, [64], [64])
    assert float(steps.excess) < -0.3
    assert float(steps.ratio) == pytest.approx(1, abs=0.05)


def test_inputs_that_do_not_fit_are_refused():
    for border in (0, 32, -3):
        with pytest.raises(ValueError, match=f"no border at {border} in 32 pixels"):
            seam_steps(ramp(), ramp(), hole(), [border], [])
    with pytest.raises(ValueError, match="must be the same photos"):
        seam_steps(ramp(), ramp()[..., 1:], hole(), [16], [])
    with pytest.raises(ValueError, match="no pixels of the hole"):
        seam_steps(ramp(), ramp(), hole(), [], [])


@pytest.fixture(scope="module")
def photos():
    paths = sorted(shared("data/photos/val").glob("*.jpg"))[:4]
    return torch.stack([read_image(path)[:, 32:288, 32:288] for path in paths])


@pytest.mark.parametrize("filled_by", ["telea", "network"])
def test_the_documented_tiles_show_seams_on_photos_and_overlapping_ones_do_not(photos, filled_by):
    """Ratios over 16 photos: median 9 (Telea) and 5 (an untrained network); with overlap, 1.1."""
    torch.manual_seed(0)
    network = InpaintSANet(width=8)
    inner = Direct if filled_by == "network" else lambda network: OpenCVInpainting("telea")
    mask = torch.zeros(len(photos), 1, 256, 256)
    mask[:, :, 60:200, 80:190] = 1

    def ratios(strategy):
        borders = Tiled(network).borders(256, 256)
        return seam_steps(strategy(photos, mask), photos, mask, *borders).ratio

    whole = ratios(inner(network))
    documented = ratios(Tiled(network, inner))
    overlapped = ratios(Tiled(network, inner, overlap=64, context=32, blending="smooth"))
    assert documented.min() > 3
    assert (documented > 2.5 * overlapped).all()
    torch.testing.assert_close(overlapped, whole, rtol=0, atol=0.25)
