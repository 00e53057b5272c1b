"""SSIM is scikit-image's, MS-SSIM is what the paper says, and both can be trained on."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from lab.imaging import ms_ssim, region_mean, ssim_maps


def smooth_pair(height, width, seed=0, batch=2, noise=0.1):
    generator = np.random.default_rng(seed)
    truth = gaussian_filter(generator.random((batch, 3, height, width)), (0, 0, 3, 3))
    truth = (truth - truth.min()) / (truth.max() - truth.min())
    other = np.clip(truth + generator.normal(0, noise, truth.shape), 0, 1)
    return torch.from_numpy(other), torch.from_numpy(truth)


def skimage_ssim(prediction, truth):
    return structural_similarity(
        prediction.numpy(),
        truth.numpy(),
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=0,
        full=True,
    )


@pytest.mark.parametrize(("height", "width"), [(64, 64), (37, 51), (11, 90)])
def test_ssim_is_scikit_images_map_and_mean(height, width):
    prediction, truth = smooth_pair(height, width)
    ours, _ = ssim_maps(prediction, truth)
    for index in range(2):
        mean, full = skimage_ssim(prediction[index], truth[index])
        np.testing.assert_allclose(ours[index].numpy(), full, atol=1e-10)
        cropped = ours[index, :, 5:-5, 5:-5].mean()
        assert float(cropped) == pytest.approx(mean, abs=1e-10)


def test_float32_stays_close_where_the_image_is_bright_and_flat():
    prediction, truth = smooth_pair(48, 48)
    prediction, truth = 0.98 + 0.02 * prediction, 0.98 + 0.02 * truth
    exact, _ = ssim_maps(prediction, truth)
    ours, _ = ssim_maps(prediction.float(), truth.float())
    assert ours.dtype == torch.float32
    torch.testing.assert_close(ours.double(), exact, atol=2e-4, rtol=0)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_equal_images_score_one(value):
    _, noisy = smooth_pair(40, 40)
    for image in (noisy.float(), torch.full((1, 3, 40, 40), value)):
        for found in ssim_maps(image, image):
            torch.testing.assert_close(found, torch.ones_like(found))
        torch.testing.assert_close(ms_ssim(image, image), torch.ones(len(image)))


def reference_ms_ssim(prediction, truth, region):
    """MS-SSIM of one image (C, H, W) by scipy, from the paper's equation 7."""

    def blur(image):
        return gaussian_filter(image, (0, 1.5, 1.5), truncate=3.5, mode="reflect")

    def halve(image):
        channels, height, width = image.shape
        padded = np.full((channels, height + height % 2, width + width % 2), np.nan)
        padded[:, :height, :width] = image
        return np.nanmean(
            padded.reshape(channels, padded.shape[1] // 2, 2, padded.shape[2] // 2, 2), axis=(2, 4)
        )

    betas = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    scales = 1
    while scales < 5 and -(-min(prediction.shape[1:]) // 2**scales) >= 11:
        scales += 1
    result = 1.0
    for scale in range(scales):
        x, y = prediction, truth
        mean_x, mean_y = blur(x), blur(y)
        variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
        covariance = blur(x * y) - mean_x * mean_y
        score = (2 * covariance + 0.03**2) / (variance_x + variance_y + 0.03**2)
        if scale == scales - 1:
            score *= (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        mean = np.average(score.mean(0), weights=region[0])
        result *= mean ** (betas[scale] / sum(betas[:scales]))
        prediction, truth, region = halve(prediction), halve(truth), halve(region)
    return result


@pytest.mark.parametrize(("height", "width"), [(176, 192), (101, 67), (33, 32), (16, 12)])
@pytest.mark.parametrize("whole", [True, False])
def test_ms_ssim_is_the_papers_equation(height, width, whole):
    prediction, truth = smooth_pair(height, width)
    region = torch.ones(2, 1, height, width, dtype=torch.float64)
    if not whole:
        region[:, :, : height // 2] = 0
        region[1, :, :, : width - 1] = 0  # the last column alone, of an odd width too
        region[1, :, :, width - 1] = 1
    ours = ms_ssim(prediction, truth, None if whole else region)
    theirs = [
        reference_ms_ssim(prediction[i].numpy(), truth[i].numpy(), region[i].numpy())
        for i in range(2)
    ]
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9)


def test_ms_ssim_is_close_to_torchmetrics_which_leaves_the_borders_out():
    prediction, truth = smooth_pair(256, 320)
    theirs = [
        multiscale_structural_similarity_index_measure(
            prediction[i : i + 1], truth[i : i + 1], data_range=1.0
        )
        for i in range(2)
    ]
    torch.testing.assert_close(ms_ssim(prediction, truth), torch.stack(theirs), atol=2e-3, rtol=0)


def test_ms_ssim_looks_at_its_region_only():
    prediction, truth = smooth_pair(64, 64)
    left = torch.zeros(2, 1, 64, 64, dtype=torch.float64)
    left[..., :16] = 1
    spoilt = prediction.clone()
    spoilt[..., 56:] = 0  # beyond the reach of any window that meets the region
    torch.testing.assert_close(ms_ssim(spoilt, truth, left), ms_ssim(prediction, truth, left))
    assert (ms_ssim(spoilt, truth, 1 - left) < ms_ssim(prediction, truth, 1 - left)).all()


def test_ms_ssim_of_an_empty_region_is_one():
    prediction, truth = smooth_pair(32, 32)
    region = torch.zeros(2, 1, 32, 32, dtype=torch.float64)
    region[0] = 1
    scores = ms_ssim(prediction, truth, region)
    assert scores[0] == ms_ssim(prediction, truth)[0]
    assert scores[1] == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda truth: torch.full_like(truth, 0.5),
        lambda truth: 1 - truth,  # every contrast term is negative
        lambda truth: truth.clone(),
        lambda truth: 3 * truth - 1,  # a network's answer before it is clamped
    ],
)
@pytest.mark.parametrize("constant", [True, False])
def test_gradients_are_finite(make, constant):
    _, truth = smooth_pair(48, 48)
    truth = torch.zeros(1, 3, 48, 48) if constant else truth.float()
    prediction = make(truth).requires_grad_()
    region = torch.zeros(len(truth), 1, 48, 48)
    region[..., 10:20, 10:20] = 1
    (ms_ssim(prediction, truth) + ms_ssim(prediction, truth, region)).sum().backward()
    assert prediction.grad.isfinite().all()


def test_descending_the_gradient_restores_the_image():
    _, truth = smooth_pair(32, 32, batch=1)
    prediction = torch.full_like(truth, 0.5).requires_grad_()
    start = float(ms_ssim(prediction.detach(), truth))
    optimizer = torch.optim.Adam([prediction], lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        (1 - ms_ssim(prediction, truth)).sum().backward()
        optimizer.step()
    assert float(ms_ssim(prediction.detach(), truth)) > max(0.9, start)


def test_half_precision_and_autocast_compute_in_float32():
    prediction, truth = smooth_pair(40, 40)
    exact = ms_ssim(prediction.float(), truth.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ms_ssim(prediction.float(), truth.float()), exact)
        assert ms_ssim(prediction.bfloat16(), truth.float()).dtype == torch.float32


def test_region_mean_weighs_pixels():
    values = torch.arange(12.0).reshape(1, 3, 2, 2)
    region = torch.tensor([[[[1.0, 0.0], [0.0, 1.0]]]])
    assert float(region_mean(values, region)) == pytest.approx((0 + 3 + 4 + 7 + 8 + 11) / 6)


def test_shapes_that_do_not_fit_are_refused():
    image = torch.zeros(2, 3, 32, 32)
    with pytest.raises(ValueError, match="must be the same"):
        ssim_maps(image, image[:1])
    with pytest.raises(ValueError, match="must be odd"):
        ssim_maps(image, image, window=10)
    with pytest.raises(ValueError, match="too small"):
        ms_ssim(image[..., :4], image[..., :4])
    with pytest.raises(ValueError, match="region has shape"):
        ms_ssim(image, image, image)
