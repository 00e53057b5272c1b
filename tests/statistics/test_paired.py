"""Paired comparison: the direction, the interval, and what one photo can say."""

import math

import numpy as np
import pandas as pd
import pytest

from lab.statistics import compare_scores, paired_difference


def test_above_zero_means_the_first_is_better_whatever_the_metrics_direction():
    worse, better = [20.0, 21.0, 22.0], [21.0, 22.5, 22.5]
    assert paired_difference(better, worse, higher_is_better=True).mean == pytest.approx(1.0)
    assert paired_difference(better, worse, higher_is_better=False).mean == pytest.approx(-1.0)


def test_pairing_sees_what_the_spread_between_photos_hides():
    draws = np.random.default_rng(0)
    photos = draws.normal(20.0, 5.0, 60)  # photos differ by 5 dB, the methods by 0.2
    gain = draws.normal(0.2, 0.1, 60)
    difference = paired_difference(photos + gain, photos, higher_is_better=True)
    assert difference.is_clear
    assert difference.low < gain.mean() < difference.high
    # The normal approximation of the same interval: mean ± 1.96 standard errors.
    half = 1.96 * gain.std(ddof=1) / math.sqrt(60)
    assert difference.low == pytest.approx(gain.mean() - half, abs=0.2 * half)
    assert difference.high == pytest.approx(gain.mean() + half, abs=0.2 * half)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    draws = np.random.default_rng(1)
    covered = 0
    for seed in range(100):
        gain = draws.normal(0.3, 1.0, 40)
        difference = paired_difference(gain, np.zeros(40), higher_is_better=True, seed=seed)
        covered += difference.low <= 0.3 <= difference.high
    assert 88 <= covered <= 100


def test_no_difference_is_called_none():
    draws = np.random.default_rng(2)
    first, second = draws.normal(20, 3, 30), draws.normal(20, 3, 30)
    difference = paired_difference(first, second, higher_is_better=True)
    assert not difference.is_clear
    assert "no clear difference" in str(difference)


def test_one_photo_tells_nothing_about_others():
    difference = paired_difference([21.0], [20.0], higher_is_better=True)
    assert difference.mean == 1.0
    assert not difference.is_clear


def test_ties_count_half():
    assert paired_difference([1, 2, 3, 4], [1, 2, 2, 5], True).share_won == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.3, 0.5, 0.4, 0.35], "+0.388 [+0.261, +0.534]"),
        ([0.0030, 0.0050, 0.0040, 0.0035], "+0.00387 [+0.00261, +0.00534]"),
        ([3.0, 5.0, 4.0, 3.5], "+3.88 [+2.61, +5.34]"),
        ([1.0], "+1.00 (one photo gives no interval): no clear difference"),
    ],
)
def test_numbers_have_the_places_that_their_size_deserves(values, shown):
    assert str(paired_difference(values, [0.0] * len(values), True)) == shown


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [([1.0], [1.0, 2.0], "one length"), ([], [], "one length"), ([math.nan], [1.0], "finite")],
)
def test_what_cannot_be_compared_is_refused(first, second, found):
    with pytest.raises(ValueError, match=found):
        paired_difference(first, second, higher_is_better=True)


def test_scores_are_compared_on_what_both_have_and_by_the_metrics_direction():
    samples, photos = ["a", "a~crop1", "b", "b~crop1", "c"], ["a", "a", "b", "b", "c"]
    first = pd.DataFrame({"photo": photos, "hole_psnr": [3.0, 4, 5, 6, 9], "hole_l1": 0.1}, samples)
    second = pd.DataFrame(
        {"photo": photos[:4], "hole_psnr": [1.0, 1, 1, 1], "hole_l1": 0.2}, samples[:4]
    )
    found = compare_scores(first, second, "hole_psnr")
    alone = paired_difference([3, 4, 5, 6], [1, 1, 1, 1], True, ["a", "a", "b", "b"])
    assert found == alone  # crops of one photo count as one
    assert found.sentence.endswith("better on 100% of 4 samples of 2 photos")
    assert found.high - found.low > 2 * (
        (as_if := paired_difference([3, 4, 5, 6], [1, 1, 1, 1], True)).high - as_if.low
    )
    assert compare_scores(first, second, "hole_l1").mean == pytest.approx(0.1)
