"""Penalties on a judge's gradients, against judges whose gradients are known."""

import math

import pytest
import torch

from lab.contracts import DiscriminatorOutput
from lab.layers import SelfAttention
from lab.losses import Objective, gradient_penalty, r1_penalty
from lab.networks import PatchDiscriminator


def linear(slope):
    """A judge whose gradient is the same at every pixel of every image."""
    return lambda image: DiscriminatorOutput((slope * image.flatten(1).sum(1, keepdim=True),), ())


def images(batch=3, size=4):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 3, size, size, generator=generator)


@pytest.mark.parametrize("slope", [0.0, 0.1, 2.0])
def test_a_known_slope_costs_what_the_papers_say(slope):
    pixels = 3 * 4 * 4
    norm = slope * math.sqrt(pixels)
    found = gradient_penalty(linear(slope), images(), 1.0 - images())
    assert float(found) == pytest.approx((norm - 1.0) ** 2, rel=1e-5)
    assert float(r1_penalty(linear(slope), images())) == pytest.approx(norm**2, abs=1e-6)


def test_r1_looks_at_real_images_and_the_other_penalty_between():
    def judge(image):
        return DiscriminatorOutput((image.square().flatten(1).sum(1, keepdim=True),), ())

    real, fake = torch.full((2, 1, 2, 2), 0.5), torch.zeros(2, 1, 2, 2)
    assert float(r1_penalty(judge, real)) == pytest.approx(4 * (2 * 0.5) ** 2)
    torch.manual_seed(0)
    shares = torch.rand(2, 1, 1, 1)
    torch.manual_seed(0)
    expected = ((2 * 0.5 * shares * 2.0 - 1.0) ** 2).mean()
    assert float(gradient_penalty(judge, real, fake)) == pytest.approx(float(expected), rel=1e-5)


def test_r1_is_of_the_sum_over_a_judges_patches_as_in_lamas_code():
    patches = torch.nn.Conv2d(3, 1, 3, padding=1)

    def judge(image):
        return DiscriminatorOutput((patches(image),), ())

    real = images(size=5).requires_grad_()
    (gradients,) = torch.autograd.grad(patches(real).sum(), real)
    expected = (gradients.view(len(real), -1).norm(2, dim=1) ** 2).mean()
    assert float(r1_penalty(judge, real)) == pytest.approx(float(expected), rel=1e-5)


def test_it_trains_the_judge_and_neither_image():
    weight = torch.tensor(0.3, requires_grad=True)
    real, fake = images().requires_grad_(), (1.0 - images()).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        paid = Objective(gradient_penalty=10.0, r1_penalty=0.5).penalties(
            linear(weight), real, fake
        )
    assert list(paid) == ["gradient_penalty", "r1_penalty"]
    assert all(value.dtype == torch.float32 for value in paid.values())
    sum(paid.values()).backward()
    assert weight.grad.isfinite()
    assert weight.grad != 0
    assert real.grad is None
    assert fake.grad is None


def test_nothing_is_paid_unless_asked_for():
    assert Objective().penalties(linear(1.0), images(), images()) == {}
    with pytest.raises(ValueError, match="r1_penalty is -1"):
        Objective(r1_penalty=-1.0)


def test_a_judge_with_attention_pays_too():
    judge = PatchDiscriminator(size=64, width=8, depth=3)
    photos, mask = images(size=64), torch.zeros(3, 1, 64, 64)
    bound = lambda image: judge(image, mask)  # noqa: E731
    (gradient_penalty(bound, photos, 1.0 - photos) + r1_penalty(bound, photos)).backward()
    (attention,) = (part for part in judge.modules() if isinstance(part, SelfAttention))
    for name, one in attention.named_parameters():
        assert one.grad is not None, name
        assert one.grad.isfinite().all(), name
