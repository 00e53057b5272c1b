"""Settings with several seeds: what is compared with what, and over what the intervals are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lab.formats.runs import photo_table
from lab.results import Run, Study
from lab.statistics import compare_scores, paired_difference

PHOTOS = [f"photo{index}" for index in range(20)]


@pytest.fixture
def study(tmp_path):
    """Two settings, of three seeds and of one, a variant on the first's network, and a method."""
    draws = np.random.default_rng(0)

    def run(name, worth, state="complete", **known):
        values = worth + draws.normal(0, 0.01, len(PHOTOS))
        rows = {"photo": PHOTOS, "sample": PHOTOS, "hole_ratio": 0.2, "hole_ssim": values}
        photo_table(tmp_path / name).write_epoch(1, pd.DataFrame(rows))
        return Run(name, name, tmp_path / name, "hole_ssim", state, **known)

    repeats = [run(f"again{seed}", 0.5 + 0.02 * seed, "repeat", setting="one") for seed in (1, 2)]
    one = run("one", 0.5, is_reference=True, repeats=tuple(repeats))
    two = run("two", 0.51)
    rest = [run("tiled", 0.52, "applied"), run("telea", 0.4, "baseline")]
    return Study("study", tmp_path, "?", ["hole_ssim"], [one, two, *repeats, *rest])


def named(study, name):
    return next(run for run in study.runs if run.name == name)


def test_means_are_over_seeds_and_samples_count_once(study):
    one = named(study, "one")
    runs = [one, *one.repeats]
    assert one.mean("hole_ssim") == pytest.approx(
        np.mean([run.scores["hole_ssim"].mean() for run in runs])
    )
    assert one.rests_on == "20 photos"
    assert one.best_seed.name == "again2"
    assert [run.name for run in study.ranked] == ["one", "two"]
    assert [run.name for run in study.settings] == ["one", "two", "tiled", "telea"]


def test_intervals_are_over_photos_and_seeds(study):
    one, two, telea = (named(study, name) for name in ("one", "two", "telea"))
    found = study.compare(two, one)
    photos = compare_scores(two.best_scores, one.best_scores, "hole_ssim")
    assert found.mean == photos.mean
    assert found.high - found.low > 3 * (photos.high - photos.low)  # seeds differ by 0.02
    assert found.trainings == (1, 3)
    # What is not trained has no seeds, but what it is compared with has.
    against = study.compare(one, telea)
    assert against.trainings == (3, 0)
    assert 0 < against.low < against.high
    assert study.compare(telea, telea).trainings is None


def test_what_is_on_the_references_network_is_compared_with_that_network(study):
    one, tiled = named(study, "one"), named(study, "tiled")
    found = study.compare(tiled, one)
    first = [run.scores["hole_ssim"].to_numpy() for run in (tiled, one)]
    assert found == paired_difference(*first, True, PHOTOS)
    assert study.compare(tiled, named(study, "two")).trainings == (1, 1)


def test_one_seed_everywhere_leaves_intervals_over_photos(study):
    alone = replace(study, runs=[replace(run, repeats=()) for run in study.runs])
    one, two = named(alone, "one"), named(alone, "two")
    found = alone.compare(two, one)
    assert found == compare_scores(two.best_scores, one.best_scores, "hole_ssim")
    assert found.trainings is None


def test_seeds_lower_the_probability_of_the_leader(study):
    alone = replace(study, runs=[replace(run, repeats=()) for run in study.runs])
    assert max(alone.chances().values()) > 0.9  # two is 0.01 ahead on every photo
    assert max(study.chances().values()) < 0.8
    assert sum(study.chances().values()) == pytest.approx(1.0)
