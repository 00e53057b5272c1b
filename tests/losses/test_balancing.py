"""Balancing within a run: against hand-computed weights of two numbers, and what is refused."""

import math

import pytest
import torch
from torch import nn

from lab.losses import (
    TERMS,
    GradientRatio,
    GradNorm,
    LossWeights,
    Objective,
    StatedWeights,
    UncertaintyWeighting,
)

STATED = {"hole_l1": 2.0, "hole_ssim": 0.5, "adversarial": 0.1, "feature_matching": 3.0}


@pytest.fixture
def layer():
    """A last layer of two numbers, (3, 4)."""
    return nn.Parameter(torch.tensor([3.0, 4.0]))


def terms_of(layer):
    """Terms whose gradients at the layer are (1, 0), (0, 2 * 4), (-3, 4) / 10 and (1, 1)."""
    return {
        "hole_l1": layer[0],
        "hole_ssim": layer[1] ** 2,
        "adversarial": (layer * torch.tensor([-0.3, 0.4])).sum(),
        "feature_matching": layer.sum(),
    }


RAW = {"hole_l1": 3.0, "hole_ssim": 16.0, "adversarial": 0.7, "feature_matching": 7.0}


def total_of(weights):
    return sum((STATED | weights)[name] * raw for name, raw in RAW.items())


def test_stated_weights_are_the_weighted_sum(layer):
    found = StatedWeights(STATED)(terms_of(layer), ())
    assert found.total.item() == pytest.approx(2 * 3 + 0.5 * 16 + 0.1 * 0.7 + 3 * 7)
    assert found.weights == {}


def test_uncertainty_divides_each_term_by_its_variance(layer):
    balancing = UncertaintyWeighting(STATED)
    assert balancing.terms == ("hole_l1", "hole_ssim")
    assert balancing(terms_of(layer), ()).total.item() == pytest.approx(total_of({}))
    with torch.no_grad():
        balancing.log_variances.copy_(torch.tensor([math.log(4.0), math.log(0.5)]))
    found = balancing(terms_of(layer), ())
    # exp(-s) is 1/4 and 2.
    assert {name: value.item() for name, value in found.weights.items()} == pytest.approx(
        {"hole_l1": 0.5, "hole_ssim": 1.0}
    )
    expected = total_of({"hole_l1": 0.5, "hole_ssim": 1.0}) + math.log(4.0) + math.log(0.5)
    assert found.total.item() == pytest.approx(expected)
    found.total.backward()
    # d/ds (exp(-s) l + s) = 1 - exp(-s) l, with l the stated term.
    expected = torch.tensor([1 - 0.25 * 6.0, 1 - 2 * 8.0])
    torch.testing.assert_close(balancing.log_variances.grad, expected)
    weighted = torch.tensor([0.5, 1.0 * 8.0]) + 0.1 * torch.tensor([-0.3, 0.4]) + 3.0
    torch.testing.assert_close(layer.grad, weighted)


def test_uncertainty_settles_where_every_term_contributes_one(layer):
    balancing = UncertaintyWeighting(STATED)
    descent = torch.optim.Adam(balancing.parameters(), 0.05)
    for _ in range(800):
        descent.zero_grad()
        found = balancing(terms_of(layer.detach()), ())
        found.total.backward()
        descent.step()
    for name, weight in found.weights.items():
        assert weight.item() * RAW[name] == pytest.approx(1.0, rel=1e-3)


def test_a_term_that_is_always_zero_ends_nothing(layer):
    # As the known pixels' L1 of a network that corrects a fill in the hole alone.
    for balancing in (UncertaintyWeighting(STATED, learning_rate=0.9), GradNorm(STATED)):
        descent = torch.optim.Adam(balancing.parameters(), 0.9)
        for _ in range(300):
            descent.zero_grad()
            found = balancing({**terms_of(layer), "hole_ssim": layer[1] * 0.0}, (layer,))
            found.total.backward()
            descent.step()
        assert found.total.isfinite()
        assert all(weight.isfinite() for weight in found.weights.values())


def test_a_variance_comes_back_from_its_bound(layer):
    balancing = UncertaintyWeighting(STATED)
    with torch.no_grad():
        balancing.log_variances.fill_(-90.0)
    balancing(terms_of(layer), ()).total.backward()
    assert (balancing.log_variances == -10.0).all()
    assert (balancing.log_variances.grad < 0).all()


def test_grad_norm_begins_with_a_terms_first_value_above_zero(layer):
    balancing = GradNorm(STATED, alpha=0.5)
    balancing({**terms_of(layer), "hole_ssim": layer[1] * 0.0}, (layer,))
    assert balancing.first_values.tolist() == [6.0, 0.0]
    found = balancing(terms_of(layer), (layer,))
    assert balancing.first_values.tolist() == [6.0, 8.0]
    # Both stand at their first values: nothing is to pull harder but for its gradient.
    sizes = torch.tensor([2.0, 4.0])
    own = (sizes - sizes.mean()).abs().sum().item()
    assert found.total.item() == pytest.approx(total_of({}) + own)


def test_grad_norm_follows_the_papers_equations(layer):
    balancing = GradNorm(STATED, alpha=0.5)
    with torch.no_grad():
        balancing.factors.copy_(torch.tensor([0.8, 1.2]))
        balancing.first_values.copy_(torch.tensor([12.0, 8.0]))
    found = balancing(terms_of(layer), (layer,))
    # Norms of the stated terms' gradients: 2 * 1 and 0.5 * 8; shares of the first values: 6 of 12
    # and 8 of 8, so that the rates are 0.5 and 1 over 0.75.
    sizes = [0.8 * 2.0, 1.2 * 4.0]
    mean = (sizes[0] + sizes[1]) / 2
    wanted = [mean * (0.5 / 0.75) ** 0.5, mean * (1.0 / 0.75) ** 0.5]
    own = sum(abs(size - want) for size, want in zip(sizes, wanted, strict=True))
    weights = {"hole_l1": 2.0 * 0.8, "hole_ssim": 0.5 * 1.2}
    assert {name: value.item() for name, value in found.weights.items()} == pytest.approx(weights)
    assert found.total.item() == pytest.approx(total_of(weights) + own)
    found.total.backward()
    signs = [1.0 if size > want else -1.0 for size, want in zip(sizes, wanted, strict=True)]
    assert signs == [-1.0, 1.0]
    # The target counts as a constant, and the network does not descend L_grad.
    torch.testing.assert_close(balancing.factors.grad, torch.tensor([-2.0, 4.0]))
    weighted = torch.tensor([1.6, 0.6 * 8.0]) + 0.1 * torch.tensor([-0.3, 0.4]) + 3.0
    torch.testing.assert_close(layer.grad, weighted)


def test_grad_norm_adds_up_to_the_number_of_terms_and_evens_the_gradients(layer):
    balancing = GradNorm(STATED, alpha=0.0)
    descent = torch.optim.SGD(balancing.parameters(), 1e-3)
    for _ in range(2000):
        descent.zero_grad()
        found = balancing(terms_of(layer), (layer,))
        assert balancing.factors.sum().item() == pytest.approx(2.0, abs=1e-5)
        found.total.backward()
        descent.step()
    torch.testing.assert_close(balancing.first_values, torch.tensor([6.0, 8.0]))
    # Of norms 2 and 4, factors that add up to 2 make the same: 4/3 and 2/3.
    weights = [value.item() for value in found.weights.values()]
    assert weights == pytest.approx([2.0 * 4 / 3, 0.5 * 2 / 3], abs=0.02)


def test_grad_norm_leaves_alone_what_does_not_reach_the_last_layer(layer):
    other = nn.Parameter(torch.tensor(5.0))
    stated = {"hole_l1": 2.0, "hole_ssim": 0.5, "coarse_hole_l1": 4.0}
    balancing = GradNorm(stated)
    with torch.no_grad():
        balancing.factors.copy_(torch.tensor([3.0, 3.0, 1.0]))
    terms = {**terms_of(layer), "coarse_hole_l1": other * 1.0}
    found = balancing({name: terms[name] for name in stated}, (layer,))
    assert found.weights["coarse_hole_l1"].item() == pytest.approx(4.0)
    assert found.weights["hole_l1"].item() == pytest.approx(2.0)  # 3 and 3 become 1 and 1
    found.total.backward()
    assert balancing.factors.grad[2] == 0.0
    assert other.grad.item() == pytest.approx(4.0)


def test_the_ratio_is_of_the_gradients_at_the_last_layer(layer):
    found = GradientRatio(STATED)(terms_of(layer), (layer,))
    # Of 2 * (1, 0) + 0.5 * (0, 8), and of (-0.3, 0.4).
    weight = 0.1 * math.hypot(2.0, 4.0) / 0.5
    assert found.weights["adversarial"].item() == pytest.approx(weight, rel=1e-5)
    assert found.total.item() == pytest.approx(total_of({"adversarial": weight}), rel=1e-5)
    found.total.backward()
    pulled = torch.tensor([2.0, 4.0]) + weight * torch.tensor([-0.3, 0.4]) + 3.0
    torch.testing.assert_close(layer.grad, pulled)  # no gradient through the ratio


def test_the_ratio_is_bounded(layer):
    terms = terms_of(layer) | {"adversarial": 0.0 * layer.sum()}
    found = GradientRatio(STATED)(terms, (layer,))
    assert found.weights["adversarial"].item() == pytest.approx(0.1 * 1e4)


HINGE = "goes below 0.*so that it keeps its weight"


@pytest.mark.parametrize(
    ("balancing", "options", "message"),
    [
        (UncertaintyWeighting, {"terms": ["hole_l1", "adversarial"]}, HINGE),
        (GradNorm, {"terms": ["hole_l1", "adversarial"]}, HINGE),
        (UncertaintyWeighting, {"terms": []}, "at least 1 of the terms"),
        (GradNorm, {"terms": ["hole_l1"]}, "at least 2 of the terms"),
        (GradNorm, {"terms": ["hole_l1", "style"]}, "style"),
        (GradNorm, {"alpha": -1.0}, "alpha must be"),
        (GradNorm, {"learning_rate": 0.0}, "learning_rate must lie"),
    ],
)
def test_what_cannot_be_balanced_is_refused(balancing, options, message):
    with pytest.raises(ValueError, match=message):
        Objective(balancing=lambda stated: balancing(stated, **options))


def test_the_ratio_wants_both_sides():
    with pytest.raises(ValueError, match="adversarial"):
        GradientRatio({"hole_l1": 1.0})
    with pytest.raises(ValueError, match="no term with a weight"):
        GradientRatio({"adversarial": 1.0, "feature_matching": 1.0})


def test_terms_that_cannot_fall_below_zero_may_be_balanced():
    terms = ["hole_l1", "adversarial", "feature_matching"]
    weights = LossWeights(**(dict.fromkeys(TERMS, 0.0) | STATED))
    for kind in ("log", "least_squares", "relativistic_average"):
        built = Objective(weights, kind, balancing=lambda stated: GradNorm(stated, terms))
        assert built.balancing.terms == tuple(terms)


def test_an_objective_says_what_its_terms_weigh(truth, mask, noise, make_inputs):
    weights = LossWeights(**(dict.fromkeys(TERMS, 0.0) | {"hole_l1": 2.0, "ms_ssim": 1.0}))
    refined = (truth + 0.1 * noise).requires_grad_()
    inputs = make_inputs(refined, truth, mask)
    assert Objective(weights)(inputs).weights == {}
    balanced = Objective(weights, balancing=UncertaintyWeighting)
    assert {name: value.item() for name, value in balanced(inputs).weights.items()} == {
        "hole_l1": 2.0,
        "ms_ssim": 1.0,
    }
    assert set(balanced.state_dict()) == {"balancing.log_variances"}
    assert not Objective(weights).state_dict()
