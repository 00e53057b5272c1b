"""The objective: weights, totals, what is computed and how often, and what it keeps out."""

from dataclasses import asdict, fields, replace

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from lab.contracts import Stages
from lab.losses import (
    TERMS,
    LossWeights,
    Objective,
    OncePerImage,
    TermSettings,
    discriminator_loss,
)
from lab.networks import VGG_WEIGHTS, MissingWeightsError, VGGFeatures

NONE = dict.fromkeys(TERMS, 0.0)


def only(**weights: float) -> LossWeights:
    return LossWeights(**(NONE | weights))


def test_every_term_has_a_weight_and_every_weight_a_term():
    assert list(TERMS) == [field.name for field in fields(LossWeights)]
    for name, term in TERMS.items():
        assert f"{name}: {term.meaning}" in LossWeights.__doc__


def test_other_weights_make_another_objective_of_the_same_kind():
    stated = Objective(adversarial_kind="log", r1_penalty=0.5)
    other = stated.with_weights({"ms_ssim": 1.0, "adversarial": 0.0})
    assert other.weights.active() == {
        **{name: weight for name, weight in stated.weights.active().items() if weight > 1},
        "ms_ssim": 1.0,
    }
    assert (other.adversarial_kind, other.r1_penalty) == ("log", 0.5)
    assert stated.weights == Objective().weights
    with pytest.raises(ValueError, match="'ms_ssim'"):
        stated.with_weights({"msssim": 1.0})


def test_the_terms_of_vgg_ask_for_it():
    for name in TERMS:
        if TERMS[name].needs_features:
            with pytest.raises(ValueError, match="features"):
                TERMS[name].build(TermSettings())
        else:
            TERMS[name].build(TermSettings())


def test_the_defaults_are_those_of_inpaint_sanet():
    # 1.2 for each L1 on images in [-1, 1], whose differences are twice those in [0, 1].
    l1 = ("hole_l1", "known_l1", "coarse_hole_l1", "coarse_known_l1")
    assert Objective().weights.active() == {**dict.fromkeys(l1, 2 * 1.2), "adversarial": 0.005}


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_impossible_weights_are_refused(weight):
    with pytest.raises(ValueError, match="weight of style"):
        LossWeights(style=weight)


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(ValueError, match="every weight is 0"):
        LossWeights(**NONE)


def test_the_total_is_the_weighted_sum_of_the_raw_terms(truth, mask, noise, make_inputs):
    weights = only(hole_l1=6.0, known_l2=2.0, ms_ssim=0.5, adversarial=0.1)
    refined = (truth + 0.1 * noise).requires_grad_()
    inputs = make_inputs(refined, truth, mask)
    value = Objective(weights)(inputs)
    assert list(value.terms) == ["hole_l1", "known_l2", "ms_ssim", "adversarial"]
    for name, raw in value.terms.items():
        torch.testing.assert_close(raw, TERMS[name].build(TermSettings())(inputs))
    expected = sum(asdict(weights)[name] * raw for name, raw in value.terms.items())
    torch.testing.assert_close(value.total, expected)
    value.total.backward()
    assert refined.grad.abs().sum() > 0


def test_how_hard_a_term_pulls_is_its_weight_times_its_gradients_norm(
    truth, mask, noise, make_inputs
):
    """By hand: L1's gradient is a sign at each value of a hole, over their number."""
    coarse = (truth + 0.1 * noise).requires_grad_()
    refined = (truth - 0.1 * noise).requires_grad_()
    inputs = make_inputs(refined, truth, mask, coarse=coarse)
    objective = Objective(only(hole_l1=6.0, coarse_hole_l1=0.5))
    value = objective(inputs)
    norms = objective.gradient_norms(value, [refined])
    values = mask.expand_as(truth).sum(dim=(1, 2, 3))
    by_hand = 6.0 * float((1 / values).sum().sqrt()) / len(values)
    assert float(norms["hole_l1"]) == pytest.approx(by_hand, rel=1e-5)
    assert float(norms["coarse_hole_l1"]) == 0.0
    value.total.backward()
    assert float(refined.grad.norm()) == pytest.approx(float(norms["hole_l1"]), rel=1e-5)


def test_a_term_without_weight_is_not_even_built(monkeypatch, truth, mask, make_inputs):
    def refuse(settings):
        raise AssertionError("built in vain")

    unbuilt = {**TERMS, "ms_ssim": replace(TERMS["ms_ssim"], build=refuse)}
    monkeypatch.setattr("lab.losses.objective.TERMS", unbuilt)
    Objective(only(hole_l1=1.0))(make_inputs(truth, truth, mask))


def test_it_says_which_judges_it_asks(truth, mask, make_inputs):
    assert Objective().judges == ["whole"]
    asked = only(edges_feature_matching=1.0, local_adversarial=1.0, feature_matching=1.0)
    assert Objective(asked).judges == ["whole", "local", "edges"]
    plain = Objective(only(hole_l1=1.0))
    assert plain.judges == []
    inputs = replace(make_inputs(truth, truth, mask), judged={})
    assert plain(inputs).total == 0
    with pytest.raises(ValueError, match="asks the judge 'whole'"):
        Objective()(inputs)


def test_the_discriminator_sees_each_image_once(truth, mask, noise, make_inputs):
    refined = (truth + 0.1 * noise).requires_grad_()
    inputs = make_inputs(refined, truth, mask)
    objective = Objective(
        only(adversarial=1.0, feature_matching=1.0), adversarial_kind="relativistic_average"
    )
    objective(inputs).total.backward()
    assert len(inputs.judged["whole"].judge.seen) == 2
    assert inputs.judged["whole"].judge.seen[0] is inputs.completed
    assert inputs.judged["whole"].judge.seen[1] is truth
    # The next evaluation asks anew: the discriminator has learned in between.
    objective(inputs)
    assert len(inputs.judged["whole"].judge.seen) == 4


def test_once_per_image_keeps_gradient_apart():
    image = torch.ones(2, requires_grad=True)
    double = OncePerImage(lambda tensor: 2 * tensor)
    with torch.no_grad():
        assert not double(image).requires_grad
    assert double(image).requires_grad
    assert double(image) is double(image)
    answer = double(image)
    double.forget()
    assert double(image) is not answer


def test_the_discriminator_loss_is_of_the_same_kind():
    real, fake = torch.tensor([[0.5]]), torch.tensor([[-0.3]])
    found = Objective(adversarial_kind="log").discriminator_loss([real, fake], [fake, fake])
    torch.testing.assert_close(
        found,
        (discriminator_loss("log", real, fake) + discriminator_loss("log", fake, fake)) / 2,
    )


@pytest.mark.usefixtures("fake_vgg")
def test_vgg_is_shared_and_sees_each_image_once(monkeypatch, truth, mask, noise, make_inputs):
    seen = []
    forward = VGGFeatures.forward
    monkeypatch.setattr(
        VGGFeatures, "forward", lambda self, image: seen.append(image) or forward(self, image)
    )
    objective = Objective(only(perceptual=0.05, style=120.0))
    truth, mask, noise = (tensor[..., 8:24, 8:24] for tensor in (truth, mask, noise))
    refined = (truth + 0.1 * noise).requires_grad_()
    inputs = make_inputs(refined, truth, mask)
    value = objective(inputs)
    assert len(seen) == 3
    assert {id(image) for image in seen} == {id(truth), id(refined), id(inputs.completed)}
    value.total.backward()
    assert refined.grad.isfinite().all()
    assert refined.grad.abs().sum() > 0
    # Nothing is remembered: another evaluation sees the network's new answer.
    again = objective(inputs)
    assert len(seen) == 6
    torch.testing.assert_close(again.total, value.total)


@pytest.mark.usefixtures("fake_vgg")
def test_vgg_moves_along_but_is_neither_trained_nor_saved():
    objective = Objective(only(style=1.0))
    trainer = nn.ModuleDict({"network": nn.Linear(1, 1), "objective": objective})
    assert list(trainer.state_dict()) == ["network.weight", "network.bias"]
    trainer.load_state_dict(trainer.state_dict(), strict=True)
    assert list(objective.parameters()) == []
    trainer.to("meta")
    assert objective.perceptual_network.features[0].weight.is_meta


def test_without_its_weights_a_study_stops_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    nowhere = replace(VGG_WEIGHTS["vgg19"], address="https://127.0.0.1:9/vgg19.pth")
    monkeypatch.setitem(VGG_WEIGHTS, "vgg19", nowhere)
    with pytest.raises(MissingWeightsError, match=r"vgg19\.pth"):
        Objective(only(style=1.0), perceptual_network="vgg19")
    Objective(only(hole_l1=1.0), perceptual_network="vgg19")


def test_shapes_that_do_not_fit_are_refused(truth, mask, make_inputs):
    inputs = make_inputs(truth, truth, mask)
    objective = Objective(only(hole_l1=1.0))
    with pytest.raises(ValueError, match=r"stage 0 has shape \(1, 3, 33, 47\)"):
        objective(replace(inputs, stages=Stages((truth[:1], truth))))
    with pytest.raises(ValueError, match="mask has shape"):
        objective(replace(inputs, mask=mask[:1]))


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("adversarial_kind", "hing"),
        ("perceptual_network", "vgg11"),
        ("perceptual_images", "all"),
    ],
)
def test_unknown_names_are_refused(argument, name):
    with pytest.raises(ValueError, match=f"{name}.*Known: "):
        Objective(**{argument: name})


def test_it_is_built_from_yaml():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Objective, "objective")
    settings = parser.parse_string(
        "objective: {adversarial_kind: log, weights: {hole_l1: 6, coarse_hole_l1: 0}}"
    )
    objective = parser.instantiate(settings).objective
    assert objective.adversarial_kind == "log"
    assert objective.weights == LossWeights(hole_l1=6.0, coarse_hole_l1=0.0)
    with pytest.raises(Exception, match="hole_l11"):
        parser.parse_string("objective: {weights: {hole_l11: 6}}")
