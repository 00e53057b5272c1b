"""Intervals over photos and seeds: how often they hold the truth, and what a setting borrows."""

import numpy as np
import pytest

from lab.statistics import paired_difference, rank, seed_spread
from tests.statistics.simulated_studies import simulate_study

STUDIES = 250


def covered(photos, seeds, settings, deviation):
    """How often the interval between two equal settings holds 0."""
    draws = np.random.default_rng([photos, seeds, settings])
    held = 0
    for _ in range(STUDIES):
        study = simulate_study(
            draws, "all equal", settings, seeds, photos, seed_deviation=deviation
        )
        held += not compare(study, seeds).is_clear
    return held / STUDIES


def compare(study, seeds, spread=True):
    values = study.values[:, :, :seeds]
    return paired_difference(
        values[0].mean(axis=1),
        values[1].mean(axis=1),
        True,
        study.photos,
        spread=seed_spread(list(study.values), study.photos) if spread else None,
        trainings=(seeds, seeds),
    )


@pytest.mark.parametrize("photos", [13, 33, 100])
@pytest.mark.parametrize(("seeds", "settings"), [(2, 2), (2, 12), (3, 4)])
@pytest.mark.parametrize("deviation", [0.006, 0.02])
def test_intervals_over_photos_and_seeds_hold_the_truth_as_often_as_they_say(
    photos, seeds, settings, deviation
):
    share = covered(photos, seeds, settings, deviation)
    print(f"{photos} photos, {seeds} seeds, {settings} settings: {share:.1%}")
    # Two standard errors of a share of 250 are 2.8 %.
    assert 0.91 <= share <= 0.995


def test_intervals_over_photos_alone_do_not():
    draws = np.random.default_rng(3)
    studies = [simulate_study(draws, "all equal", 2, 2, 33, seed_deviation=0.02) for _ in range(50)]
    assert np.mean([compare(study, 2, spread=False).is_clear for study in studies]) > 0.5


def test_a_setting_with_one_seed_borrows_the_spread_of_the_others():
    draws = np.random.default_rng(4)
    held = 0
    for _ in range(STUDIES):
        study = simulate_study(draws, "all equal", 8, 3, 33)
        values = [one[:, :1] if index < 2 else one for index, one in enumerate(study.values)]
        found = paired_difference(
            values[0][:, 0],
            values[1][:, 0],
            True,
            study.photos,
            spread=seed_spread(values, study.photos),
            trainings=(1, 1),
        )
        held += not found.is_clear
    assert 0.91 <= held / STUDIES <= 0.995


def test_the_spread_is_pooled_with_its_degrees_of_freedom():
    one = np.array([[1.0, 3.0], [2.0, 4.0], [0.0, 2.0]])  # seeds two apart on every photo
    other = np.array([[5.0, 5.0, 8.0], [5.0, 5.0, 8.0], [5.0, 5.0, 8.0]])
    alone = np.array([[9.0], [9.0], [9.0]])
    photos = ["a", "b", "c"]
    found = seed_spread([one, other, alone], photos)
    assert found.freedom == 3
    assert found.variance == pytest.approx((1 * np.var([1, 3], ddof=1) + 2 * 3.0) / 3)
    assert found.of_photos == 0.0  # each seed does the same on every photo
    assert found.own == found.variance


def test_what_seeds_do_on_single_photos_is_not_counted_twice():
    draws = np.random.default_rng(5)
    spreads = []
    for _ in range(200):
        study = simulate_study(draws, "all equal", 4, 3, 33, seed_deviation=0.0)
        spread = seed_spread(list(study.values), study.photos)
        spreads.append((spread.variance, spread.of_photos))
    variance, of_photos = np.mean(spreads, axis=0)
    assert of_photos == pytest.approx(variance, rel=0.15)


def test_without_a_second_seed_or_a_second_photo_nothing_is_known_of_seeds():
    values = np.zeros((3, 1))
    assert seed_spread([values, values], ["a", "b", "c"]) is None
    assert seed_spread([np.zeros((3, 2))], ["a", "a", "a"]) is None


def test_one_seed_everywhere_gives_the_interval_over_photos():
    draws = np.random.default_rng(6)
    first, second = draws.normal(size=20), draws.normal(size=20)
    plain = paired_difference(first, second, True)
    assert paired_difference(first, second, True, spread=None, trainings=(1, 1)) == plain
    assert plain.trainings is None
    assert "seed" not in plain.sentence


def test_what_is_not_trained_has_no_error_of_seeds():
    draws = np.random.default_rng(7)
    study = simulate_study(draws, "all equal", 4, 3, 33, seed_deviation=0.02)
    spread = seed_spread(list(study.values), study.photos)
    errors = spread.errors([0, 1, 4])
    assert not errors[:, 0].any()
    # Normal over a chi-squared of 8: the spread of Student's t with so many degrees.
    assert errors[:, 1].std() == pytest.approx(np.sqrt(spread.own * 8 / 6), rel=0.1)
    assert errors[:, 2].std() == pytest.approx(errors[:, 1].std() / 2, rel=0.1)
    first, method = study.values[0].mean(axis=1), study.values[1, :, 0]
    found = paired_difference(first, method, True, study.photos, spread=spread, trainings=(3, 0))
    assert found.sentence.endswith("99 samples of 33 photos, 3 seeds against no training")
    plain = paired_difference(method, first, True, study.photos, spread=spread, trainings=(0, 0))
    assert plain == paired_difference(method, first, True, study.photos)


def test_the_probability_of_being_the_best_setting_counts_the_seeds():
    """No more sure than right; settings taken for networks as they are would be ranked so."""
    draws = np.random.default_rng(8)
    said, plain, right = [], [], []
    for _ in range(300):
        study = simulate_study(draws, "in between", 4, 2, 33)
        values = study.values.mean(axis=2).T
        spread = seed_spread(list(study.values), study.photos)
        found = rank(values, study.photos, True, spread=spread, trainings=[2] * 4)
        said.append(found.probability.max())
        plain.append(rank(values, study.photos, True).probability.max())
        right.append(int(found.probability.argmax()) in study.best)
    print(f"said {np.mean(said):.2f}, over photos {np.mean(plain):.2f}, right {np.mean(right):.2f}")
    assert np.mean(right) - 0.12 < np.mean(said) < np.mean(right) + 0.03
    assert np.mean(plain) > np.mean(right) + 0.04
