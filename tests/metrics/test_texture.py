"""The texture metric says what the eye says: texture in another place beats a blur."""

import cv2
import numpy as np
import pytest
import torch
from skimage.data import brick, grass

from lab.imaging import laplacian_pyramid
from lab.metrics import measure, texture_mismatch


def photo_of(picture, top=0):
    grey = torch.from_numpy(picture[top : top + 192, :192] / 255.0)
    return grey.expand(1, 3, -1, -1).contiguous()


@pytest.fixture(params=[brick, grass])
def picture(request):
    return request.param()


@pytest.fixture
def mask():
    mask = torch.zeros(1, 1, 192, 192, dtype=torch.float64)
    mask[..., 50:130, 60:120] = 1
    return mask


def texture(fill, truth, mask, metric="hole_texture"):
    return float(measure(torch.where(mask > 0, fill, truth), truth, mask)[metric])


def blurred(photo, sigma):
    pixels = cv2.GaussianBlur(np.moveaxis(photo[0].numpy(), 0, -1), (0, 0), sigma)
    return torch.from_numpy(np.moveaxis(pixels, -1, 0))[None]


def test_the_same_texture_from_elsewhere_beats_a_blur_which_every_pixelwise_metric_prefers(
    picture, mask
):
    truth, elsewhere = photo_of(picture), photo_of(picture, 211)
    mean = torch.full_like(truth, float(truth.mean()))
    for blur in (blurred(truth, 6.0), mean):
        assert texture(blur, truth, mask, "hole_l1") < texture(elsewhere, truth, mask, "hole_l1")
        assert texture(elsewhere, truth, mask) < 0.85 * texture(blur, truth, mask)


def test_streaks_of_colour_do_not_make_up_for_the_contrast_that_a_blur_lacks(picture, mask):
    """Along directions that mix the colours they do: grass is called better by a third."""
    truth = photo_of(picture)
    blur = torch.full_like(truth, float(truth.mean()))
    noise = torch.randn(192, generator=torch.Generator().manual_seed(0), dtype=truth.dtype)
    for hue in ([1.0, -1.0, 0.0], [1.0, -2.0, 1.0], [1.0, 0.0, -1.0]):
        streaks = float(truth.std()) * torch.tensor(hue, dtype=truth.dtype)[:, None, None]
        streaked = (blur + streaks * noise[:, None]).clamp(0, 1)
        assert texture(streaked, truth, mask) > 1.2 * texture(blur, truth, mask)


def test_the_more_blurred_or_noisy_the_worse(picture, mask):
    truth = photo_of(picture)
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(0), dtype=truth.dtype)
    for fills in (
        [truth, *(blurred(truth, sigma) for sigma in (1, 3, 9))],
        [truth, *((truth + sigma * noise).clamp(0, 1) for sigma in (0.05, 0.1, 0.2))],
    ):
        scores = [texture(fill, truth, mask) for fill in fills]
        assert scores[0] == 0.0
        assert scores == sorted(scores)
        assert len(set(scores)) == 4


def test_without_a_truth_a_fill_is_held_against_its_surroundings(picture, mask):
    truth = photo_of(picture)
    around = torch.zeros_like(mask)
    around[..., 20:160, 30:150] = 1
    around -= mask
    smooth = torch.where(mask > 0, blurred(truth, 6.0), truth)
    same, other = (float(texture_mismatch(photo, mask, around)) for photo in (truth, smooth))
    assert same < 0.7 * other
    nowhere = torch.zeros_like(mask)
    assert float(texture_mismatch(truth, mask, nowhere)) == 0.0


@pytest.mark.parametrize(("height", "width"), [(64, 64), (70, 99)])
def test_a_pyramid_is_opencvs_and_takes_nothing_smooth_for_detail(height, width):
    rows = torch.linspace(0, 1, height, dtype=torch.float64)[:, None]
    columns = torch.linspace(0, 0.5, width, dtype=torch.float64)
    ramp = (rows + columns).expand(1, 3, -1, -1) / 1.5
    finest, *_ = laplacian_pyramid(ramp)
    assert finest[..., 4:-4, 4:-4].abs().max() < 1e-12

    photo = torch.rand(1, 3, height, width, dtype=torch.float64)
    finest, *_ = laplacian_pyramid(photo)
    pixels = np.moveaxis(photo[0].numpy(), 0, -1)
    if height % 2 == width % 2 == 0:
        enlarged = cv2.pyrUp(cv2.pyrDown(pixels), dstsize=(width, height))
        np.testing.assert_allclose(np.moveaxis(finest[0].numpy(), 0, -1), pixels - enlarged)
