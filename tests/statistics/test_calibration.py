"""What the ranking says it is sure of comes true as often as it says, on runs with a known best."""

import numpy as np
import pytest

from lab.statistics import mean_errors, rank
from tests.statistics.simulated_runs import KINDS, simulate_runs

RUNS = 1_000


@pytest.fixture(scope="module")
def runs():
    return simulate_runs(RUNS, seed=7)


@pytest.fixture(scope="module")
def rankings(runs):
    return [rank(run.values, run.photos, higher_is_better=True) for run in runs]


def stated_and_right(runs, rankings, low, high):
    """How sure the ranking is of its leader in cases within a range, and how often it is right."""
    cases = [
        (float(ranking.probability.max()), int(ranking.probability.argmax()) == run.best)
        for run, ranking in zip(runs, rankings, strict=True)
    ]
    chosen = [case for case in cases if low <= case[0] < high]
    stated, right = np.mean(chosen, axis=0)
    return stated, right, len(chosen)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.85), (0.85, 0.95), (0.95, 1.01)]
)
def test_stated_probabilities_come_true(runs, rankings, low, high):
    stated, right, count = stated_and_right(runs, rankings, low, high)
    print(f"said {stated:.2f}, right {right:.2f} of {count}")
    chance = 2.5 * np.sqrt(stated * (1 - stated) / count)
    assert count >= 40
    assert abs(right - stated) < 0.05 + chance


def test_the_set_that_cannot_be_told_apart_holds_the_best(runs, rankings):
    held = [run.best in ranking.tied for run, ranking in zip(runs, rankings, strict=True)]
    print(f"held {np.mean(held):.3f}")
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize("kind", KINDS)
def test_sureness_is_deserved_in_every_kind_of_run(runs, rankings, kind):
    cases = [
        (ranking.probability.max(), ranking.probability.argmax() == run.best)
        for run, ranking in zip(runs, rankings, strict=True)
        if run.kind == kind and ranking.probability.max() >= 0.9
    ]
    print(f"{kind}: {len(cases)} cases, right {np.mean([right for _, right in cases]):.2f}")
    # Where all differ by a tenth of the error, being sure is a mistake, and a rare one.
    if kind == "near ties":
        assert len(cases) < 0.05 * RUNS / len(KINDS)
    else:
        assert np.mean([right for _, right in cases]) > 0.88


def test_the_plain_bootstrap_would_not_pass(runs):
    """The share of draws in which a candidate is best, taken for a probability."""
    cases = []
    for run in runs[:500]:
        errors, _ = mean_errors(run.values, run.photos)
        best = (run.values.mean(axis=0) + errors).argmax(axis=1)
        shares = np.bincount(best, minlength=run.values.shape[1]) / len(best)
        cases.append((shares.max(), shares.argmax() == run.best))
    unsure = [case for case in cases if 0.5 <= case[0] < 0.95]
    stated, right = np.mean(unsure, axis=0)
    print(f"plain bootstrap: said {stated:.2f}, right {right:.2f} of {len(unsure)}")
    assert stated - right > 0.08
