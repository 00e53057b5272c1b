"""Gradient quartiles: blur, noise, photos without gradients; and the network's own answer."""

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from lab.metrics import ANSWER_METRICS, measure, measure_answer


@pytest.fixture(scope="module")
def truth():
    return torch.from_numpy(astronaut()[:288, :288] / 255.0).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def mask(truth):
    mask = torch.zeros(1, 1, *truth.shape[-2:], dtype=torch.float64)
    mask[..., 20:120, 200:280] = 1
    return mask


def filled(truth, mask, fill):
    return torch.where(mask > 0, fill, truth)


def blurred(truth, sigma):
    pixels = cv2.GaussianBlur(np.moveaxis(truth[0].numpy(), 0, -1), (0, 0), sigma)
    return torch.from_numpy(np.moveaxis(pixels, -1, 0))[None]


def test_the_more_blurred_the_worse(truth, mask):
    scores = [
        float(measure(filled(truth, mask, blurred(truth, sigma)), truth, mask)["hole_blur"])
        for sigma in (0.3, 0.7, 2.0, 8.0)
    ]
    assert scores == sorted(scores)
    assert scores[0] < 0.05 < 0.4 < scores[-1]


def test_half_the_contrast_is_half_the_gradients(truth, mask):
    dull = 0.5 + 0.5 * (truth - 0.5)
    found = measure(dull, truth, mask)
    # Less than 1 by as much as what is added to each quartile, half a grey level, counts.
    assert 0.7 < float(found["whole_blur"]) < 1.0
    assert float(found["whole_sharpness_error"]) == pytest.approx(float(found["whole_blur"]))


def test_noise_is_an_error_of_sharpness_and_no_blur(truth, mask):
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.2, truth.shape))
    found = measure(filled(truth, mask, (truth + noise).clamp(0, 1)), truth, mask)
    assert float(found["hole_blur"]) == 0.0
    assert float(found["hole_sharpness_error"]) > 1.0


def test_a_flat_truth_stays_finite_and_a_flat_fill_of_it_is_sharp_enough():
    flat, mask = torch.full((1, 3, 32, 32), 0.5), torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 8:24] = 1
    assert float(measure(flat, flat, mask)["hole_blur"]) == 0.0
    noise = torch.rand(flat.shape, generator=torch.Generator().manual_seed(0))
    assert measure(filled(flat, mask, noise), flat, mask)["hole_sharpness_error"].isfinite().all()
    assert measure(flat, filled(flat, mask, noise), mask)["hole_blur"].isfinite().all()


def test_the_networks_own_answer_is_judged_outside_the_hole_alone(truth, mask):
    answer = filled(truth, mask, torch.zeros_like(truth))
    assert float(measure_answer(answer, truth, mask)["answer_known_l1"]) < 1e-7
    found = measure_answer(truth + 0.25 * (1 - mask) * (truth < 0.5), truth, mask)
    assert set(found) == set(ANSWER_METRICS)
    share = float(((truth < 0.5) * (1 - mask)).sum() / (3 * (1 - mask).sum()))
    assert float(found["answer_known_l1"]) == pytest.approx(0.25 * share, rel=1e-5)
    # An answer beyond the range is what a file would hold of it.
    bright = measure_answer(torch.full_like(truth, 9.0), torch.ones_like(truth), mask)
    assert float(bright["answer_known_l1"]) == 0.0
