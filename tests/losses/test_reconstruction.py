"""Reconstruction terms against a few lines of numpy."""

import numpy as np
import pytest

from lab.losses import Reconstruction


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


@pytest.mark.parametrize(
    "names", [("l3", "hole", "refined"), ("l1", "holes", "refined"), ("l1", "hole", "fine")]
)
def test_unknown_names_are_refused(names):
    with pytest.raises(ValueError, match="Known: "):
        Reconstruction(*names)
