"""Reconstruction terms against a few lines of numpy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from lab.losses import LossWeights, Objective, Reconstruction


@pytest.mark.parametrize("stage", ["coarse", "refined"])
@pytest.mark.parametrize("region", ["hole", "known", "whole"])
@pytest.mark.parametrize("distance", ["l1", "l2", "charbonnier"])
def test_it_is_the_mean_inside_the_region(distance, region, stage, truth, mask, noise, make_inputs):
    refined, coarse = truth + 0.1 * noise, truth - 0.2 * noise
    value = Reconstruction(distance, region, stage)(make_inputs(refined, truth, mask, coarse))

    difference = ((coarse if stage == "coarse" else refined) - truth).numpy().astype(np.float64)
    hole = np.broadcast_to(mask.numpy() == 1, difference.shape)
    where = {"hole": hole, "known": ~hole, "whole": np.ones_like(hole)}[region]
    pixels = {
        "l1": np.abs(difference),
        "l2": difference**2,
        "charbonnier": np.sqrt(difference**2 + 1e-6),
    }[distance]
    samples = [found[inside].mean() for found, inside in zip(pixels, where, strict=True)]
    assert float(value) == pytest.approx(np.mean(samples), rel=1e-5)


def test_holes_of_different_sizes_are_comparable(truth, mask, make_inputs):
    term = Reconstruction("l1", "hole", "refined")
    value = float(term(make_inputs(truth + 0.25, truth, mask)))
    mask[:, :, :5] = 1.0
    assert float(term(make_inputs(truth + 0.25, truth, mask))) == pytest.approx(value)


def test_a_hole_of_one_pixel_counts_fully(truth, mask, make_inputs):
    mask.zero_()
    mask[:, :, 3, 4] = 1.0
    value = Reconstruction("l1", "hole", "refined")(make_inputs(truth + 0.25, truth, mask))
    assert float(value) == pytest.approx(0.25, rel=1e-5)


def test_an_empty_region_counts_as_exactly_zero(truth, mask, make_inputs):
    mask[0] = 0.0
    value = Reconstruction("l1", "hole", "refined")(make_inputs(truth + 0.25, truth, mask))
    assert float(value) == pytest.approx(0.25 / 2, rel=1e-5)


def discounted_l1(answer, truth, mask, discount):
    """The mean over each hole's area of what its pixels weigh, pixel by pixel."""
    samples = []
    for ours, true, hole in zip(answer.numpy(), truth.numpy(), mask.numpy()[:, 0], strict=True):
        depth = ndimage.distance_transform_edt(hole)
        pixels = [
            np.abs(ours - true).astype(np.float64)[:, row, column].mean()
            * discount ** depth[row, column]
            for row, column in zip(*hole.nonzero(), strict=True)
        ]
        samples.append(np.mean(pixels))
    return np.mean(samples)


@pytest.mark.parametrize("discount", [0.9, 0.99, 1.0])
@pytest.mark.parametrize("stage", ["coarse", "refined"])
def test_a_discounted_hole_of_any_shape_weighs_less_the_deeper(
    discount, stage, truth, mask, noise, make_inputs
):
    # An L that touches the border, and what is left between random islands and a thin line.
    mask[0, :, :6, 3:15] = 1.0
    islands = torch.rand(mask[1].shape, generator=torch.Generator().manual_seed(2)) < 0.02
    mask[1] = torch.where(islands, 0.0, 1.0)
    mask[1, :, 20] = 0.0
    coarse, refined = truth - 0.2 * noise, truth + 0.1 * noise
    term = Reconstruction("l1", "discounted_hole", stage, discount)
    value = float(term(make_inputs(refined, truth, mask, coarse)))
    asked = coarse if stage == "coarse" else refined
    assert value == pytest.approx(discounted_l1(asked, truth, mask, discount), rel=1e-5)
    plain = float(Reconstruction("l1", "hole", stage)(make_inputs(refined, truth, mask, coarse)))
    assert value == pytest.approx(plain) if discount == 1.0 else value < 0.99 * plain


def test_of_a_rectangle_the_discount_is_the_published_one(truth, mask, make_inputs):
    # The published codes' max(gamma ** min(i, h - i), gamma ** min(j, w - j)) from 1 on all sides.
    height, width = 15, 18
    rows, columns = np.mgrid[1 : height + 1, 1 : width + 1]
    depth = np.minimum(
        np.minimum(rows, height + 1 - rows), np.minimum(columns, width + 1 - columns)
    )
    value = Reconstruction("l1", "discounted_hole", "refined", 0.9)(
        make_inputs(truth[:1] + 0.25, truth[:1], mask[:1])
    )
    assert float(value) == pytest.approx(0.25 * (0.9**depth).mean(), rel=1e-5)


def test_where_nothing_is_known_nothing_is_discounted(truth, mask, make_inputs):
    inputs = make_inputs(truth + 0.25, truth, torch.ones_like(mask))
    value = Reconstruction("l1", "discounted_hole", "refined")(inputs)
    assert float(value) == pytest.approx(0.25, rel=1e-5)


def test_an_objective_discounts_as_it_is_told(truth, mask, noise, make_inputs):
    others = dict.fromkeys(LossWeights().active(), 0.0)
    weights = LossWeights(**others | {"coarse_discounted_hole_l1": 2.0})
    inputs = make_inputs(truth + noise, truth, mask, truth + 0.1 * noise)
    objective = Objective(weights, spatial_discount=0.9)
    for told in (objective, objective.with_weights({"coarse_discounted_hole_l1": 2.0})):
        wanted = 2.0 * discounted_l1(truth + 0.1 * noise, truth, mask, 0.9)
        assert float(told(inputs).total) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("discount", [0.0, -0.5, 1.1, float("nan")])
def test_a_discount_out_of_range_is_refused(discount):
    with pytest.raises(ValueError, match=f"discount is {discount}, but must lie above 0"):
        Reconstruction("l1", "discounted_hole", "refined", discount)
    with pytest.raises(ValueError, match=f"discount is {discount}, but must lie above 0"):
        Objective(spatial_discount=discount)


@pytest.mark.parametrize(
    "names", [("l3", "hole", "refined"), ("l1", "holes", "refined"), ("l1", "hole", "fine")]
)
def test_unknown_names_are_refused(names):
    with pytest.raises(ValueError, match="Known: "):
        Reconstruction(*names)
