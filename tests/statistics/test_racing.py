"""Racing spends seeds where they can decide something, and throws out no true best."""

import numpy as np
import pytest

from lab.statistics import race
from tests.statistics.simulated_studies import (
    KINDS,
    race_studies,
    run_race,
    simulate_study,
    summary,
)


def hold_what_is_promised(raced, chance):
    figures = summary(raced)
    print({name: f"{figure:.1%}" for name, figure in figures.items()})
    assert figures["spent"] <= 0.5
    assert figures["kept"] >= 0.95
    assert figures["false comparisons"] <= 0.025
    assert figures["false findings"] <= 0.05 + chance
    assert figures["found"] > 0.3  # doing nothing would spend less


def test_studies_spend_half_of_a_fixed_design_and_call_nothing_better_that_is_not():
    hold_what_is_promised(race_studies(45, seed=3), chance=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("photos", [13, 33, 100])
def test_three_hundred_studies(photos):
    hold_what_is_promised(race_studies(300, seed=0, photos=photos), chance=0.0)


def gains(*means, seeds=1, photos=30, deviation=0.001):
    """Settings whose seeds differ little: ``(1 goal, samples, seeds)`` each."""
    draws = np.random.default_rng(0)
    return [
        mean + draws.normal(0, deviation, (1, 1, seeds)) + draws.normal(0, 1e-4, (1, photos, seeds))
        for mean in means
    ]


PHOTOS = [f"photo{index}" for index in range(30)]


def test_at_first_the_reference_and_the_best_are_repeated():
    found = race(gains(0.1, 0.5, 0.3, 0.2), PHOTOS, seeds=3, reference=3)
    assert found.contenders == [0, 1, 2, 3]
    assert found.due == [3, 1, 2, 0]
    # What somebody else trains already is not trained twice.
    assert race(gains(0.1, 0.5, 0.3, 0.2), PHOTOS, 3, [1, 3, 1, 2], reference=3).due == [2, 0, 3]


def test_a_clear_best_ends_the_race():
    settings = [*gains(0.1, 0.5, seeds=3), *gains(0.3, 0.2)]
    found = race(settings, PHOTOS, seeds=5, reference=0)
    assert found.contenders == [1]
    assert found.due == []


def test_where_only_the_best_two_are_close_only_they_get_seeds():
    settings = [*gains(0.1, 0.5, 0.499, seeds=2, deviation=5e-4), *gains(0.2, 0.3)]
    settings += gains(0.05, 0.06, seeds=2, deviation=5e-4)
    found = race(settings, PHOTOS, seeds=5)
    assert found.contenders == [1, 2]
    assert set(found.due) <= {1, 2}


def test_equal_settings_are_a_tie_before_they_have_all_seeds():
    draws = np.random.default_rng(1)
    raced = [run_race(simulate_study(draws, "all equal", 10, 5, 33)) for _ in range(10)]
    assert np.mean([one.spent for one in raced]) < 0.4


def test_the_front_keeps_what_no_other_beats_by_every_goal():
    def both(first, second):
        return np.concatenate([gains(first, seeds=3)[0], gains(second, seeds=3)[0]])

    settings = [both(0.5, 0.1), both(0.1, 0.5), both(0.05, 0.05), both(0.4, 0.05)]
    found = race(settings, PHOTOS, seeds=4)
    assert found.contenders == [0, 1]


def test_the_same_seed_in_two_workers_is_never_given():
    draws = np.random.default_rng(2)
    for kind in KINDS:
        study = simulate_study(draws, kind, 6, 4, 33)
        raced = run_race(study, at_once=3)
        assert raced.spent <= 1.0
        assert raced.kept


@pytest.mark.parametrize(
    ("settings", "photos", "seeds"),
    [(gains(0.5), PHOTOS, 3), (gains(0.1, 0.5), PHOTOS, 1), (gains(0.1, 0.5), ["one"] * 30, 3)],
)
def test_what_no_seed_can_decide_gets_none(settings, photos, seeds):
    found = race(settings, photos, seeds)
    assert found.contenders == list(range(len(settings)))
    assert found.due == []
