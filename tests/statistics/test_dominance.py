"""Pruning by several goals: against the formulas, and on studies that are known to their end."""

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_rel

from lab.statistics import RISK, dominated_by
from tests.statistics.known_studies import KnownStudy, kept, replay, simulate_study

PHOTOS = [f"photo{index}" for index in range(8)]
LOOKS = 5
GAINS = (0.10, 0.12, 0.11)


def finished(lead, gains=GAINS, spread=0.01, seed=0):
    """Three trials of two goals, the first ahead of a trial of zeros by ``lead`` on 8 photos."""
    noise = np.random.default_rng(seed).normal(0, spread, (3, 8, 2))
    now = noise - noise.mean(axis=1, keepdims=True) + np.array([lead, -9.0, -9.0])[:, None, None]
    return np.zeros((8, 2)), now, now + np.array(gains)[:, None, None]


def dominator(trial, now, last, photos=PHOTOS, higher=(True, True), looks=LOOKS):
    return dominated_by(trial, now, last, photos, higher, looks)


def test_the_lead_must_be_above_what_is_left_to_gain():
    # At its end the first has lead + 0.10; a further trial gains at most this, by Student's t.
    spread = np.std(GAINS, ddof=1) * np.sqrt(1 + 1 / 3)
    reached = np.mean(GAINS) + student.isf(RISK / 2, 2) * spread
    needed = reached - GAINS[0]
    assert needed > 0.05
    assert dominator(*finished(needed + 1e-6)) == 0
    assert dominator(*finished(needed - 1e-6)) is None


def test_the_lead_must_be_clear_over_photos_for_so_many_trials_and_looks():
    def clear(lead, looks):
        trial, now, _ = finished(lead, spread=0.2)
        level = 1 - 2 * RISK / (3 * looks)
        return all(
            ttest_rel(now[0, :, goal], trial[:, goal]).confidence_interval(level).low > 0
            for goal in range(2)
        )

    found = {}
    for looks in (1, 5, 200):
        # Nothing is left to gain, so that photos alone decide.
        leads = np.arange(0.1, 1.2, 0.01)
        dominated = [
            dominator(*finished(lead, gains=(0.0, 0.0, 0.0), spread=0.2), looks=looks) == 0
            for lead in leads
        ]
        assert dominated == [clear(lead, looks) for lead in leads]
        found[looks] = leads[dominated.index(True)]
    assert found[1] < found[5] < found[200]


def test_all_goals_must_hold_each_in_its_own_direction():
    trial, now, last = finished(1.0)
    assert dominator(trial, now, last) == 0
    assert dominator(-trial, -now, -last, higher=(False, False)) == 0
    mixed = np.array([1.0, -1.0])
    assert dominator(trial * mixed, now * mixed, last * mixed, higher=(True, False)) == 0
    assert dominator(trial * mixed, now * mixed, last * mixed) is None


def test_of_several_the_clearest_is_named():
    trial, now, last = finished(1.0)
    now[2] += 12.0
    last[2] += 12.0
    assert dominator(trial, now, last) == 2


def test_crops_of_one_photo_count_once():
    trial, now, last = finished(0.25, gains=(0.0, 0.0, 0.0), spread=0.2)
    assert dominator(trial, now, last) is None
    crops = [np.repeat(scores, 4, axis=-2) for scores in (trial, now, last)]
    assert dominator(*crops, photos=list(np.repeat(PHOTOS, 4))) is None
    assert dominator(*crops, photos=[str(index) for index in range(32)]) == 0


def test_what_says_nothing_ends_nothing():
    trial, now, last = finished(1.0)
    assert dominator(trial, now[:1], last[:1]) is None
    assert dominator(trial, now, last, photos=["one"] * 8) is None
    for part in (trial, now, last):
        part[..., 3, 1] = np.nan
        assert dominator(trial, now, last) is None
        part[..., 3, 1] = 1.0


def test_a_trial_that_rises_late_is_let_go_on():
    """Behind by every goal for certain, but others as far behind have caught up since."""
    generator = np.random.default_rng(3)
    ends = generator.normal(0, 0.01, (5, 8, 2)) + 1.0
    left = np.array([0.0, 0.5, 0.1, 0.4, 0.3])[:, None, None]
    trial = ends[0] - 0.45
    assert dominator(trial, ends - left, ends) is None
    steady = ends - 0.1
    assert dominator(trial, steady, ends) is not None


@pytest.fixture(scope="module")
def replayed():
    """Studies of 40 trials with 20 epochs, each with what pruning makes of it."""
    studies = [simulate_study(seed) for seed in range(16)]
    return np.array([kept(study, replay(study)) for study in studies], dtype=float)


def test_the_front_is_kept_in_at_most_60_percent_of_the_epochs(replayed):
    whole, volume, epochs = replayed.T
    print(f"front kept {whole.mean():.2f}, least volume {volume.min():.4f}, {epochs.mean():.3f}")
    assert whole.mean() >= 0.9
    assert volume.min() > 0.99
    assert epochs.mean() <= 0.60


def test_nothing_is_ended_where_all_lie_on_the_front():
    ends = np.linspace(0, 1, 6)
    means = np.stack([ends, 1 - ends], axis=1)[:, None, None] * np.ones((1, 6, 8, 1))
    study = KnownStudy(means, PHOTOS, (True, True))
    assert replay(study) == [6] * 6
