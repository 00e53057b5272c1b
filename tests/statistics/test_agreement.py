"""Agreement with votes: the metric that a voter follows comes first, and chance is chance."""

from dataclasses import dataclass

import numpy as np
import pytest

from lab.statistics import Agreement, agreement

NAMES = [f"fill{index}" for index in range(5)]
METRICS = ("hole_ssim", "hole_texture", "rim_seam", "hole_psnr")


@dataclass(frozen=True)
class Vote:
    photo: str
    left: str
    right: str
    choice: str


def scores(photos=20, crops=1, seed=0):
    """For each metric a value of (sample, fill); the metrics know nothing of each other."""
    draws = np.random.default_rng(seed)
    return {
        metric: {
            (f"photo{photo}~{crop}", name): float(draws.random())
            for photo in range(photos)
            for crop in range(crops)
            for name in NAMES
        }
        for metric in METRICS
    }


def photos_of(values):
    return {sample: sample.split("~")[0] for sample, _ in values["hole_ssim"]}


def voters(values, choose, count=200, seed=1):
    """Votes on random pairs; ``choose`` says by how much left is better."""
    draws = np.random.default_rng(seed)
    samples = sorted(photos_of(values))
    votes = []
    for _ in range(count):
        sample = samples[draws.integers(len(samples))]
        left, right = draws.permutation(NAMES)[:2]
        side = "left" if choose(draws, sample, left, right) > 0 else "right"
        votes.append(Vote(sample, str(left), str(right), side))
    return votes


def following(values, metric, sign, mistakes=0.0):
    def choose(draws, sample, left, right):
        lead = sign * (values[metric][sample, left] - values[metric][sample, right])
        return -lead if draws.random() < mistakes else lead

    return choose


@pytest.mark.parametrize(("metric", "sign"), [("hole_ssim", 1), ("rim_seam", -1)])
def test_the_metric_that_the_voters_follow_comes_first(metric, sign):
    """In the metric's own direction: less seam is better."""
    values = scores()
    exact = voters(values, following(values, metric, sign))
    first, *others = agreement(exact, values, photos_of(values))
    assert (first.metric, first.share, first.votes, first.photos) == (metric, 1.0, 200, 20)
    assert 0.8 < first.low < 1.0 == first.high
    assert all(item.share < 0.75 for item in others)

    first, *_ = agreement(
        voters(values, following(values, metric, sign, mistakes=0.2)), values, photos_of(values)
    )
    assert first.metric == metric
    assert first.low < 0.8 < first.high
    assert first.low > 0.6


def test_of_voters_by_chance_every_interval_holds_one_half():
    values = scores(seed=3)
    found = agreement(
        voters(values, lambda draws, *_: draws.random() - 0.5), values, photos_of(values)
    )
    assert len(found) == len(METRICS)
    for item in found:
        assert item.low < 0.5 < item.high
        assert item.high - item.low < 0.3


def test_a_metric_without_a_difference_counts_half_and_a_tie_chooses_no_fill():
    votes = [Vote("a~0", "x", "y", choice) for choice in ("left", "left", "right", "tie")]
    votes += [Vote("b~0", "x", "y", "left"), Vote("b~0", "x", "unknown", "left")]
    photos = {"a~0": "a", "b~0": "b"}
    on_the_left = {("a~0", "x"): 2.0, ("a~0", "y"): 1.0, ("b~0", "x"): 3.0, ("b~0", "y"): 3.0}
    values = {
        "hole_l1": on_the_left,
        "hole_psnr": on_the_left,
        "hole_ssim": {},
        "rim_ssim": {**on_the_left, ("b~0", "y"): float("nan")},
    }
    found = agreement(votes, values, photos)
    assert [(item.metric, item.share, item.votes, item.photos) for item in found] == [
        ("rim_ssim", pytest.approx(2 / 3), 3, 1),
        ("hole_psnr", (2 + 0.5) / 4, 4, 2),
        ("hole_l1", (1 + 0.5) / 4, 4, 2),
    ]
    assert found[0] == Agreement("rim_ssim", 2 / 3, 0.0, 1.0, 3, 1), "one photo gives no interval"


def test_votes_of_one_photo_do_not_make_the_interval_narrow():
    """Three photos alike within, voted on ten times or a thousand times, are three photos."""
    photos = {f"{photo}~0": photo for photo in "abc"}
    values = {
        "hole_ssim": {(sample, name): float(name == "x") for sample in photos for name in "xy"}
    }
    widths = []
    for count in (10, 1000):
        votes = [
            Vote(sample, "x", "y", "right" if sample == "c~0" else "left")
            for sample in photos
            for _ in range(count)
        ]
        (item,) = agreement(votes, values, photos)
        assert item.share == pytest.approx(2 / 3)
        widths.append(item.high - item.low)
    assert widths[0] == pytest.approx(widths[1])
    assert widths[0] > 0.8


@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_intervals_hold_the_true_share_about_as_often_as_they_say(alike):
    """Photos differ in how often voters and metric agree on them: by nothing, or much."""
    values = scores(photos=12, crops=2)
    photos = photos_of(values)
    held = []
    for seed in range(300):
        draws = np.random.default_rng(seed)
        mean = draws.uniform(0.5, 0.9)
        strength = 1e6 if alike == 0.0 else (1 - alike) / alike * 4
        rates = {
            photo: draws.beta(mean * strength, (1 - mean) * strength)
            for photo in sorted(set(photos.values()))
        }

        def choose(draws, sample, left, right, rates=rates):
            lead = values["hole_ssim"][sample, left] - values["hole_ssim"][sample, right]
            return lead if draws.random() < rates[photos[sample]] else -lead

        votes = voters(values, choose, count=100, seed=seed)
        found = agreement(votes, {"hole_ssim": values["hole_ssim"]}, photos)[0]
        held.append(found.low <= mean <= found.high)
    print(f"intervals hold {np.mean(held):.3f}")
    assert 0.92 <= np.mean(held) <= 0.99
