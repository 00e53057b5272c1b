"""The contract of every loss term: right at perfection, right sign, right gradient, never NaN."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from lab.contracts import LossInputs, Stages
from lab.losses import TERMS, Adversarial, AdversarialKind, TermSettings

# A term whose least value is not 0, and what it is.
MINIMUM = {name: 1e-3 for name in TERMS if name.endswith("charbonnier")}
# Hinge has no least value: the more a discriminator believes, the lower. test_adversarial has more.
BOUNDED = sorted(name for name in TERMS if not name.endswith("adversarial"))
# Terms that look at the completed image alone, or at features in the hole: of the refined stage,
# they see nothing else.
OF_COMPLETED = {
    *("ms_ssim", "hole_ssim", "hole_texture", "rim_total_variation", "shift_guidance"),
    "teacher_perceptual",
    *(name for name, term in TERMS.items() if term.judge),
}


@pytest.fixture
def build(features):
    settings = TermSettings(features=features)

    def term_of(name):
        term = TERMS[name].build(settings)

        def with_the_same_draws(inputs):
            torch.manual_seed(0)
            return term(inputs)

        return with_the_same_draws

    return term_of


def leaves(truth, noise):
    """A refined and a coarse stage, near the truth, that record their gradients."""
    refined = (truth + 0.1 * noise).requires_grad_()
    coarse = (truth - 0.2 * noise).requires_grad_()
    return refined, coarse


@pytest.mark.parametrize("name", BOUNDED)
def test_perfection_has_the_least_value(name, build, truth, mask, make_inputs):
    if name == "rim_total_variation":  # the truth's own variation counts, so it must have none
        truth = torch.full_like(truth, 0.4)
    value = build(name)(make_inputs(truth, truth, mask))
    assert value.shape == ()
    assert float(value) == pytest.approx(MINIMUM.get(name, 0.0), abs=1e-6)


@pytest.mark.parametrize("name", TERMS)
def test_a_worse_prediction_costs_more(name, build, truth, mask, noise, make_inputs):
    term = build(name)
    values = [
        float(term(make_inputs(truth + amount * noise, truth, mask)))
        for amount in (0.0, 0.02, 0.1, 0.3)
    ]
    assert values == sorted(values)
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("name", TERMS)
def test_gradient_flows_to_its_stage_alone(name, build, truth, mask, noise, make_inputs):
    refined, coarse = leaves(truth, noise)
    truth.requires_grad_()
    build(name)(make_inputs(refined, truth, mask, coarse)).backward()
    touched, untouched = (coarse, refined) if name.startswith("coarse") else (refined, coarse)
    assert touched.grad is not None
    assert touched.grad.isfinite().all()
    assert touched.grad.abs().sum() > 0
    assert untouched.grad is None
    assert truth.grad is None


@pytest.mark.parametrize("name", TERMS)
def test_gradient_stays_in_its_region(name, build, truth, mask, noise, make_inputs):
    refined, coarse = leaves(truth, noise)
    build(name)(make_inputs(refined, truth, mask, coarse)).backward()
    touched = coarse if name.startswith("coarse") else refined
    assert touched.grad is not None
    if "hole" in name.split("_") or name in OF_COMPLETED:
        assert not (touched.grad * (1.0 - mask)).any()
        assert (touched.grad * mask).any()
    elif "known" in name.split("_"):
        assert not (touched.grad * mask).any()
    else:
        assert (touched.grad * mask).any()
        assert (touched.grad * (1.0 - mask)).any()


@pytest.mark.parametrize("name", TERMS)
def test_an_empty_and_a_full_hole_do_no_harm(name, build, truth, mask, noise, make_inputs):
    refined, coarse = leaves(truth, noise)
    mask[0], mask[1] = 0.0, 1.0
    value = build(name)(make_inputs(refined, truth, mask, coarse))
    value.backward()
    assert value.isfinite()
    for stage in (refined, coarse):
        assert stage.grad is None or stage.grad.isfinite().all()


@pytest.mark.parametrize("fill", [0.0, 1.0])
@pytest.mark.parametrize("name", BOUNDED)
def test_a_batch_without_its_region_costs_nothing(
    name, fill, build, truth, mask, noise, make_inputs
):
    mask[:] = fill
    empty_hole = fill == 0.0 and ("hole" in name.split("_") or name in OF_COMPLETED)
    empty_known = fill == 1.0 and "known" in name.split("_")
    value = float(build(name)(make_inputs(truth + 0.1 * noise, truth, mask)))
    if empty_hole or empty_known:
        assert value == pytest.approx(0.0, abs=1e-6)
    else:
        assert value > 0


@pytest.mark.parametrize("name", TERMS)
def test_half_precision_stages_give_a_float32_value(name, build, truth, mask, noise, make_inputs):
    refined, coarse = truth + 0.1 * noise, truth - 0.2 * noise
    exact = build(name)(make_inputs(refined, truth, mask, coarse))
    inputs = make_inputs(refined.bfloat16(), truth, mask, coarse.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = build(name)(inputs)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, exact, rtol=0.02, atol=0.0)


@pytest.mark.parametrize("name", [name for name in TERMS if not TERMS[name].judge])
def test_autocast_changes_nothing(name, build, truth, mask, noise, make_inputs):
    inputs = make_inputs(truth + 0.1 * noise, truth, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = build(name)(inputs)
    torch.testing.assert_close(value, build(name)(inputs))


@pytest.mark.parametrize("name", [name for name in TERMS if TERMS[name].judge])
def test_terms_of_a_judge_ask_for_it(name, build, truth, mask, make_inputs):
    inputs = make_inputs(truth, truth, mask)
    without = LossInputs(inputs.stages, truth, mask, inputs.completed)
    with pytest.raises(ValueError, match=f"asks the judge '{TERMS[name].judge}'"):
        build(name)(without)


@pytest.mark.parametrize("name", [name for name in TERMS if TERMS[name].asks])
def test_terms_of_a_network_ask_for_what_it_has(name, build, truth, mask, make_inputs):
    inputs = make_inputs(truth, truth, mask)
    for without in (
        replace(inputs, **{TERMS[name].asks: None}),
        replace(inputs, stages=Stages(inputs.stages.images)),
    ):
        with pytest.raises(ValueError, match=f"term {name} asks a network with {TERMS[name].asks}"):
            build(name)(without)


@pytest.mark.parametrize("name", [name for name in TERMS if TERMS[name].needs_teacher])
def test_terms_of_a_teacher_ask_for_it(name, build, truth, mask, make_inputs):
    without = replace(make_inputs(truth, truth, mask), lesson=None)
    with pytest.raises(ValueError, match=f"term {name.removeprefix('coarse_')} asks a teacher"):
        build(name)(without)


@pytest.mark.parametrize("kind", get_args(AdversarialKind))
def test_every_adversarial_kind_costs_more_for_worse(kind, truth, mask, noise, make_inputs):
    values = [
        float(Adversarial(kind)(make_inputs(truth + amount * noise, truth, mask)))
        for amount in (0.0, 0.1, 0.3, 0.6)
    ]
    assert values == sorted(values)
    assert len(set(values)) == len(values)
