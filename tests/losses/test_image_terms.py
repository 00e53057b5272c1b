"""MS-SSIM, total variation, perceptual and style terms against a few lines of numpy."""

import numpy as np
import pytest
import torch

import lab.losses.texture
from lab.imaging.similarity import ms_ssim
from lab.losses import (
    MSSSIM,
    HoleSSIM,
    HoleTexture,
    Perceptual,
    RimTotalVariation,
    Style,
    gram_matrix,
)
from lab.metrics import measure
from lab.metrics.texture import patch_directions


def test_ms_ssim_is_of_the_completed_image(truth, mask, noise, make_inputs):
    inputs = make_inputs(truth + 0.3 * noise, truth, mask)
    expected = 1.0 - ms_ssim(inputs.completed, truth).mean()
    assert float(MSSSIM()(inputs)) == pytest.approx(float(expected), rel=1e-5)
    assert 0.0 < float(expected) < 1.0


def test_ms_ssim_works_down_to_32_pixels(truth, mask, noise, make_inputs):
    refined = (truth + 0.3 * noise)[..., :32, :32].requires_grad_()
    MSSSIM()(make_inputs(refined, truth[..., :32, :32], mask[..., :32, :32])).backward()
    assert refined.grad.isfinite().all()


def test_total_variation_is_that_of_the_dilated_hole(truth, mask, noise, make_inputs):
    inputs = make_inputs(truth + 0.1 * noise, truth, mask)
    completed, hole = inputs.completed.double().numpy(), mask.numpy()[:, 0] == 1
    total = 0.0
    for image, inside in zip(completed, hole, strict=True):
        padded = np.pad(inside, 1)
        height, width = inside.shape
        region = np.zeros_like(inside)
        for down in range(3):
            for right in range(3):
                region |= padded[down : down + height, right : right + width]
        sideways = np.abs(np.diff(image, axis=2)) * (region[:, 1:] & region[:, :-1])
        downwards = np.abs(np.diff(image, axis=1)) * (region[1:] & region[:-1])
        total += sideways.sum() + downwards.sum()
    expected = total / completed.size
    assert float(RimTotalVariation()(inputs)) == pytest.approx(expected, rel=1e-5)


def test_total_variation_sees_a_step_at_the_rim_and_nothing_far_away(truth, mask, make_inputs):
    flat = torch.full_like(truth, 0.5)
    assert float(RimTotalVariation()(make_inputs(flat + 0.2, flat, mask))) > 0
    busy = flat.clone()
    busy[0, :, :5] = torch.rand(5, 47, generator=torch.Generator().manual_seed(4))
    inputs = make_inputs(busy, busy, mask * torch.tensor([1.0, 0.0]).view(2, 1, 1, 1))
    assert float(RimTotalVariation()(inputs)) == 0.0


def mean_texture(inputs):
    torch.manual_seed(1)
    return np.mean([float(HoleTexture()(inputs)) for _ in range(30)])


def test_texture_is_the_metric_by_directions_of_its_own(
    truth, mask, noise, make_inputs, monkeypatch
):
    inputs = make_inputs((truth + 0.2 * noise).clamp(0, 1), truth, mask)
    measured = float(measure(inputs.completed, truth, mask)["hole_texture"].mean())
    assert HoleTexture()(inputs) != HoleTexture()(inputs), "drawn anew"
    assert mean_texture(inputs) == pytest.approx(measured, rel=0.05)
    monkeypatch.setattr(lab.losses.texture, "draw_directions", lambda count: patch_directions())
    assert float(HoleTexture()(inputs)) == pytest.approx(measured, rel=1e-5)


def test_texture_asks_what_patches_there_are_and_not_where(make_inputs):
    stripes = torch.arange(96) % 8 < 4
    photo, mask = stripes.float().expand(1, 3, 96, -1), torch.zeros(1, 1, 96, 96)
    mask[..., 20:76, 16:80] = 1.0
    shifted, blurred = photo.roll(4, dims=-1), torch.full_like(photo, 0.5)
    texture = [mean_texture(make_inputs(fill, photo, mask)) for fill in (shifted, blurred)]
    l1 = [float((fill - photo).abs().mean()) for fill in (shifted, blurred)]
    assert texture[0] < 0.5 * texture[1]
    assert l1[0] > l1[1]


def test_the_gram_matrix_is_divided_by_all_its_sums(noise):
    found = gram_matrix(noise).numpy()
    flat = noise.double().numpy().reshape(2, 3, -1)
    expected = np.einsum("bip,bjp->bij", flat, flat) / flat[0].size
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("images", ["refined", "completed", "both"])
@pytest.mark.parametrize("term", [Perceptual, Style])
def test_distances_of_features_are_summed_over_layers_and_images(
    term, images, features, truth, mask, noise, make_inputs
):
    inputs = make_inputs(truth + 0.1 * noise, truth, mask)
    compared = {
        "refined": [inputs.stages.refined],
        "completed": [inputs.completed],
        "both": [inputs.stages.refined, inputs.completed],
    }[images]
    describe = gram_matrix if term is Style else lambda found: found
    target = features(truth)
    expected = sum(
        np.abs(describe(found).numpy() - describe(target[layer]).numpy()).mean()
        for image in compared
        for layer, found in features(image).items()
    )
    assert float(term(features, images)(inputs)) == pytest.approx(expected, rel=1e-5)


def test_hole_ssim_is_what_the_metric_measures(truth, mask, noise, make_inputs):
    inputs = make_inputs((truth + 0.3 * noise).clamp(0, 1), truth, mask)
    measured = measure(inputs.completed, truth, mask)["hole_ssim"]
    assert float(HoleSSIM()(inputs)) == pytest.approx(1.0 - float(measured.mean()), rel=1e-5)
