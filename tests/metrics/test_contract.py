"""Every metric: equal to an independent implementation, its extremes, and its direction."""

import math

import cv2
import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lab.imaging import ms_ssim
from lab.metrics import METRICS, measure
from tests.metrics.blockiness_reference import blockiness_of
from tests.metrics.rim_step_reference import rim_step_of
from tests.metrics.texture_reference import texture_of
from tests.metrics.visual_reference import gmsd_of


def photos(height, width, batch=3, seed=0):
    """Truth, a completion that is wrong in the hole, and masks, one of them at the border."""
    generator = np.random.default_rng(seed)
    truth = np.stack([cv2.blur(generator.random((height, width, 3)), (7, 7)) for _ in range(batch)])
    truth = np.moveaxis((truth - truth.min()) / (truth.max() - truth.min()), -1, 1)
    mask = np.zeros((batch, 1, height, width))
    mask[0, :, height // 4 : height // 2, width // 3 : width // 2] = 1
    mask[1, :, :, : width // 4] = 1
    mask[2, :, 3, 5] = 1
    noisy = np.clip(truth + generator.normal(0, 0.1, truth.shape), 0, 1)
    completed = np.where(mask > 0, noisy, truth)
    return [torch.from_numpy(array) for array in (completed, truth, mask)]


def gradient(image):
    """Sobel's magnitude a pixel, mean over channels; OpenCV's filter is eight times the average."""
    magnitudes = [
        np.hypot(
            cv2.Sobel(channel, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_REPLICATE),
            cv2.Sobel(channel, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_REPLICATE),
        )
        for channel in image
    ]
    return np.mean(magnitudes, axis=0) / 8


def independent(completed, truth, mask):
    """All metrics of one photo by numpy, OpenCV and scikit-image."""
    hole = mask[0].astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    grown = cv2.dilate(hole, square, iterations=4)
    shrunk = cv2.erode(hole, square, iterations=4)
    regions = {"hole": hole > 0, "rim": grown > shrunk, "whole": np.ones_like(hole) > 0}
    _, similarity = structural_similarity(
        completed,
        truth,
        gaussian_weights=True,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=0,
        full=True,
    )
    found = {}
    for where, pixels in regions.items():
        ours, theirs = completed[:, pixels], truth[:, pixels]
        found[f"{where}_psnr"] = min(peak_signal_noise_ratio(theirs, ours, data_range=1), 60)
        if where != "rim":
            pairs = zip(theirs, ours, strict=True)
            channels = [min(peak_signal_noise_ratio(*one, data_range=1), 60) for one in pairs]
            found[f"{where}_psnr_per_channel"] = np.mean(channels)
            # Y of scikit-image runs from 16 to 235, which is no matter but of scale.
            luma = [rgb2ycbcr(image[:, None].T)[..., 0] / 219 for image in (theirs, ours)]
            found[f"{where}_psnr_luma"] = min(peak_signal_noise_ratio(*luma, data_range=1), 60)
        found[f"{where}_ssim"] = similarity[:, pixels].mean()
        found[f"{where}_l1"] = np.abs(ours - theirs).mean()
        found[f"{where}_rmse"] = math.sqrt(((ours - theirs) ** 2).mean())
        quartiles = [
            np.quantile(gradient(image)[pixels], (0.25, 0.5, 0.75)) + 0.5 / 255
            for image in (completed, truth)
        ]
        ratios = np.log2(quartiles[0] / quartiles[1])
        found[f"{where}_sharpness_error"] = np.abs(ratios).mean()
        found[f"{where}_blur"] = np.maximum(0, -ratios).mean()
        # tests/imaging/test_similarity.py holds ms_ssim itself against scipy.
        images = [torch.from_numpy(image)[None] for image in (completed, truth)]
        weights = torch.from_numpy(pixels)[None, None].double()
        found[f"{where}_ms_ssim"] = float(ms_ssim(*images, weights))
    found["hole_blockiness"] = blockiness_of(completed, truth, regions["hole"])
    found["whole_gmsd"] = gmsd_of(completed, truth)
    found["hole_texture"] = texture_of(completed, truth, regions["hole"])
    steps = (rim_step_of(image, regions["hole"]) for image in (completed, truth))
    found["rim_seam"] = math.sqrt(max(0.0, next(steps) ** 2 - next(steps) ** 2))
    return found


@pytest.mark.parametrize(("height", "width"), [(64, 64), (51, 77), (33, 32)])
def test_equal_to_an_independent_implementation(height, width):
    completed, truth, mask = photos(height, width)
    ours = measure(completed, truth, mask)
    assert set(ours) == set(METRICS)
    for index in range(3):
        theirs = independent(*(tensor[index].numpy() for tensor in (completed, truth, mask)))
        for name, values in ours.items():
            assert float(values[index]) == pytest.approx(theirs[name], rel=1e-9), name


def test_float32_agrees_with_float64():
    tensors = photos(64, 64)
    exact = measure(*tensors)
    for name, values in measure(*(tensor.float() for tensor in tensors)).items():
        assert values.dtype == torch.float32
        torch.testing.assert_close(values.double(), exact[name], rtol=1e-4, atol=1e-5)


def test_perfect_fill():
    _, truth, mask = photos(40, 40)
    decibels = {"psnr": 60.0, "psnr_per_channel": 60.0, "psnr_luma": 60.0}
    perfect = {**decibels, "ssim": 1.0, "ms_ssim": 1.0}
    for name, values in measure(truth, truth, mask).items():
        best = perfect.get(name.split("_", 1)[1], 0.0)
        torch.testing.assert_close(values, torch.full((3,), best, dtype=values.dtype))


def test_worst_fill_stays_finite():
    truth = torch.zeros(1, 3, 32, 32)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :31] = 1
    for values in measure(1 - truth, truth, mask).values():
        assert values.isfinite().all()


def test_more_noise_in_the_hole_is_worse():
    _, truth, mask = photos(48, 48)
    noise = torch.from_numpy(np.random.default_rng(1).normal(0, 1, truth.shape)) * mask
    mild, strong = ((truth + scale * noise).clamp(0, 1) for scale in (0.05, 0.3))
    better, worse = measure(mild, truth, mask), measure(strong, truth, mask)
    for name, metric in METRICS.items():
        if name.endswith(("blur", "sharpness_error", "seam", "blockiness")):
            # Noise is no blur, no seam and no grid, and may level a slope: test_sharpness.py,
            # test_rim_step.py and test_blockiness.py.
            continue
        difference = better[name] - worse[name]
        assert (difference > 0).all() if metric.higher_is_better else (difference < 0).all()


def test_samples_do_not_touch_each_other():
    completed, truth, mask = photos(40, 40)
    together = measure(completed, truth, mask)
    for index in range(3):
        alone = measure(*(tensor[index : index + 1] for tensor in (completed, truth, mask)))
        for name, values in alone.items():
            torch.testing.assert_close(values[0], together[name][index])


def test_the_hole_is_measured_inside_and_the_rim_on_both_sides():
    truth = torch.full((1, 3, 48, 48), 0.5)
    mask = torch.zeros(1, 1, 48, 48)
    mask[..., 12:36, 12:36] = 1
    wrong_outside = truth.clone()
    wrong_outside[..., 10, 20] = 1.0
    found = measure(wrong_outside, truth, mask)
    assert found["hole_l1"] == 0
    assert found["rim_l1"] > found["whole_l1"] > 0
    wrong_middle = truth.clone()
    wrong_middle[..., 24, 24] = 1.0
    found = measure(wrong_middle, truth, mask)
    assert found["hole_l1"] > 0
    assert found["rim_l1"] == 0


def test_the_table_describes_its_names():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.definition.endswith(".")
    assert METRICS["hole_psnr"].unit == "dB"


@pytest.mark.parametrize(("fill", "word"), [(0.0, "empty"), (1.0, "full")])
def test_masks_without_a_border_are_refused(fill, word):
    completed, truth, mask = photos(32, 32)
    mask[1] = fill
    with pytest.raises(ValueError, match=rf"sample \[1\] is {word}"):
        measure(completed, truth, mask)
    names = [f"photo-{index}" for index in range(len(mask))]
    with pytest.raises(ValueError, match=rf"sample photo-1 is {word}, but"):
        measure(completed, truth, mask, names)


def test_inputs_that_break_the_conventions_are_refused():
    completed, truth, mask = photos(32, 32)
    with pytest.raises(ValueError, match="completed has values"):
        measure(completed * 255, truth, mask)
    with pytest.raises(TypeError, match=r"truth is torch\.uint8"):
        measure(completed, (truth * 255).byte(), mask)
    with pytest.raises(ValueError, match="must be the same photos"):
        measure(completed[:1], truth, mask)
    with pytest.raises(ValueError, match="must be exactly 0"):
        measure(completed, truth, mask * 255)
