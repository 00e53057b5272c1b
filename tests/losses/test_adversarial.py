"""Adversarial losses: their formulas, their signs, and that generator and discriminator match."""

from typing import get_args

import numpy as np
import pytest
import torch

from lab.losses import (
    Adversarial,
    AdversarialKind,
    FeatureMatching,
    discriminator_loss,
    generator_loss,
)

KINDS = get_args(AdversarialKind)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


@pytest.fixture
def real() -> torch.Tensor:
    return 2.0 * torch.randn(3, 7, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def fake() -> torch.Tensor:
    return 2.0 * torch.randn(3, 7, generator=torch.Generator().manual_seed(3)) - 0.5


def test_the_formulas_of_the_papers(real, fake):
    r, f = real.double().numpy(), fake.double().numpy()
    above_fake, above_real = r - f.mean(), f - r.mean()
    expected = {
        "hinge": (
            -f.mean(),
            np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
        ),
        "log": (
            -np.log(sigmoid(f)).mean(),
            -np.log(sigmoid(r)).mean() - np.log(1 - sigmoid(f)).mean(),
        ),
        "least_squares": (
            ((f - 1) ** 2).mean() / 2,
            ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        ),
        "wasserstein": (-f.mean(), f.mean() - r.mean()),
        "relativistic_average": (
            -np.log(sigmoid(above_real)).mean() - np.log(1 - sigmoid(above_fake)).mean(),
            -np.log(sigmoid(above_fake)).mean() - np.log(1 - sigmoid(above_real)).mean(),
        ),
    }
    for kind, (of_generator, of_discriminator) in expected.items():
        assert float(generator_loss(kind, fake, real)) == pytest.approx(of_generator, rel=1e-5)
        assert float(discriminator_loss(kind, real, fake)) == pytest.approx(
            of_discriminator, rel=1e-5
        )


@pytest.mark.parametrize("kind", KINDS)
def test_they_pull_the_logits_opposite_ways(kind, real, fake):
    # Inside (-1, 1) neither hinge nor least squares is satisfied yet.
    real, fake = (real.tanh() * 0.9).requires_grad_(), (fake.tanh() * 0.9).requires_grad_()
    discriminator_loss(kind, real, fake).backward()
    assert (real.grad < 0).all()  # a step against the gradient raises them
    if kind == "least_squares":  # the target of a fake is 0, and it may lie on either side
        assert (fake.grad * fake >= 0).all()
    else:
        assert (fake.grad > 0).all()
    real.grad = fake.grad = None
    generator_loss(kind, fake, real).backward()
    assert (fake.grad < 0).all()
    assert real.grad is None


@pytest.mark.parametrize(
    ("kind", "real", "fake"),
    [
        ("hinge", 1.0, -1.0),
        ("log", 40.0, -40.0),
        ("least_squares", 1.0, 0.0),
        ("relativistic_average", 40.0, -40.0),
    ],
)
def test_a_right_discriminator_costs_nothing_and_a_wrong_one_more(kind, real, fake):
    real, fake = torch.full((2, 3), real), torch.full((2, 3), fake)
    assert float(discriminator_loss(kind, real, fake)) == pytest.approx(0.0, abs=1e-6)
    assert float(discriminator_loss(kind, fake, real)) > 0.9
    assert generator_loss(kind, real, fake) < generator_loss(kind, fake, real)


@pytest.mark.parametrize("kind", KINDS)
def test_huge_logits_stay_finite(kind):
    for size in (1e4, -1e4):
        real = torch.full((2, 3), size, requires_grad=True)
        fake = torch.full((2, 3), -size, requires_grad=True)
        value = generator_loss(kind, fake, real) + discriminator_loss(kind, real, fake)
        value.backward()
        assert value.isfinite()
        assert real.grad.isfinite().all()
        assert fake.grad.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_logits_give_float32(kind, real, fake):
    real, fake = real.bfloat16(), fake.bfloat16()
    assert generator_loss(kind, fake, real).dtype == torch.float32
    assert discriminator_loss(kind, real, fake).dtype == torch.float32


def test_wrong_arguments_are_refused(real, fake):
    with pytest.raises(ValueError, match="Did you mean 'hinge'"):
        generator_loss("hing", fake)
    with pytest.raises(ValueError, match="Did you mean 'log'"):
        discriminator_loss("logs", real, fake)
    with pytest.raises(ValueError, match="real_logits"):
        generator_loss("relativistic_average", fake)


@pytest.mark.parametrize("kind", KINDS)
def test_the_term_judges_the_completed_image(kind, truth, mask, noise, make_inputs):
    inputs = make_inputs(truth + 0.1 * noise, truth, mask)
    expected = generator_loss(
        kind,
        *inputs.judged["whole"].judge(inputs.completed).logits,
        *inputs.judged["whole"].judge(truth).logits,
    )
    torch.testing.assert_close(Adversarial(kind)(inputs), expected)


def test_the_relativistic_term_gives_the_truth_no_gradient(truth, mask, noise, make_inputs):
    refined = (truth + 0.1 * noise).requires_grad_()
    inputs = make_inputs(refined, truth.requires_grad_(), mask)
    Adversarial("relativistic_average")(inputs).backward()
    assert truth.grad is None
    assert refined.grad.abs().sum() > 0


def test_feature_matching_is_the_mean_over_the_layers(truth, mask, noise, make_inputs):
    inputs = make_inputs(truth + 0.1 * noise, truth, mask)
    with torch.no_grad():
        ours, theirs = (
            inputs.judged["whole"].judge(inputs.completed).features,
            inputs.judged["whole"].judge(truth).features,
        )
    layers = [np.abs(a.numpy() - b.numpy()).mean() for a, b in zip(ours, theirs, strict=True)]
    assert float(FeatureMatching()(inputs)) == pytest.approx(np.mean(layers), rel=1e-5)
