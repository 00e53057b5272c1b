"""A smaller photo completed, and brought back by an upscaler (V7)."""

import pytest
import torch
import torch.nn.functional as F

from lab.contracts import Stages
from lab.fills.shrinking import shrink
from lab.networks import BicubicUpscaler, convert_upscaler, load_upscaler
from lab.strategies import Upscaled
from tests.parity import shared
from tests.strategies.networks import Recorder, box, noise


def test_a_block_is_the_mean_of_its_known_pixels():
    image, mask = noise(6, 7), box(6, 7, (0, 2), (1, 4))
    small, hole = shrink(image, mask, 2)
    assert small.shape == (1, 3, 3, 4)
    assert torch.equal(hole, box(3, 4, (0, 1), (1, 2)))  # the one block without a known pixel
    torch.testing.assert_close(small[..., 0, 0], image[..., :2, 0].mean(-1))
    torch.testing.assert_close(small[..., 1, 1], image[..., 2:4, 2:4].mean((-2, -1)))
    torch.testing.assert_close(small[..., 1, 3], image[..., 2:4, 6].mean(-1))  # cut by the border


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_what_lies_under_the_hole_never_bleeds_out(factor):
    mask = box(37, 50, (5, 28), (7, 30))
    network = Recorder(0.5)
    for under in (0.0, 1.0):
        image = torch.where(mask > 0, under, torch.full((1, 3, 37, 50), 0.25))
        whole = Upscaled(network, factor=factor, keep_known=False)(image, mask)
        seen, hole = network.seen[-1]
        torch.testing.assert_close(seen, torch.where(hole > 0, seen, 0.25))
        # Bicubic interpolation overshoots the step from 0.25 to 0.5; bled in, 0 and 1 would reach
        # further than this.
        assert 0.18 < whole.min()
        assert whole.max() < 0.57


@pytest.mark.parametrize("upscaler", ["bicubic", "fsrcnn", "espcn"])
@pytest.mark.parametrize("factor", [2, 3, 4])
@torch.no_grad()
def test_the_steps_one_by_one(factor, upscaler):
    """Shrink, paint the hole, enlarge, cut to size; and paste, if wanted."""
    image, mask = noise(37, 50), box(37, 50, (10, 25), (7, 30))
    weights, enlarge = None, BicubicUpscaler(factor)
    if upscaler != "bicubic":
        weights = shared(f"data/superres/{upscaler.upper()}_x{factor}.pb")
        enlarge = load_upscaler(weights)
    small, hole = shrink(image, mask, factor)
    answer = enlarge(torch.where(hole > 0, 0.5, small))[..., :37, :50]
    options = {"factor": factor, "upscaler": upscaler, "weights": weights}
    whole = Upscaled(Recorder(0.5), **options, keep_known=False)(image, mask)
    assert torch.equal(whole, answer)
    assert torch.equal(
        Upscaled(Recorder(0.5), **options)(image, mask), torch.where(mask > 0, answer, image)
    )


def test_a_smooth_photo_is_hardly_changed():
    ramp = torch.linspace(0, 1, 61).expand(1, 3, 45, 61).clone()

    def oracle(image, mask):
        return Stages((F.avg_pool2d(ramp, 3, ceil_mode=True),))

    completed = Upscaled(oracle, factor=3)(ramp, box(45, 61, (10, 30), (12, 42)))
    torch.testing.assert_close(completed, ramp, rtol=0, atol=2e-3)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    converted = tmp_path / "upscaler.pt"
    convert_upscaler(shared("data/superres/ESPCN_x3.pb"), converted)
    assert Upscaled(Recorder(0.5), factor=3, upscaler="espcn", weights=converted).factor == 3
    for options in ({"upscaler": "fsrcnn", "factor": 3}, {"upscaler": "espcn", "factor": 2}):
        with pytest.raises(ValueError, match="holds espcn for x3, but"):
            Upscaled(Recorder(0.5), weights=converted, **options)
    with pytest.raises(ValueError, match="bicubic interpolation has no weights"):
        Upscaled(Recorder(0.5), factor=3, weights=converted)
    with pytest.raises(ValueError, match="Did you mean 'fsrcnn'"):
        Upscaled(Recorder(0.5), upscaler="fsrcn")
    with pytest.raises(ValueError, match="2, 3 or 4, not 5"):
        Upscaled(Recorder(0.5), factor=5)
    with pytest.raises(FileNotFoundError, match="no file"):
        Upscaled(Recorder(0.5), upscaler="espcn", weights=tmp_path / "none.pt")
