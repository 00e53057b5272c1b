"""What is chosen from the files of a run or a study, and in which words."""

import math

import numpy as np
import optuna
import pandas as pd
import pytest

from lab.results import ResultsError, open_study
from lab.selection.choosing import choose, explain
from lab.statistics import paired_difference, rank
from lab.tracking import SampleScore, write_scores
from tests.selection.run_folders import ALIVE, write_run, write_study

METRICS = ["hole_ssim", "hole_psnr"]


def names(selection, indices):
    return [selection.checkpoints[index].name for index in indices]


def kinds(selection):
    return [[mark.kind for mark in marks] for marks in selection.marks]


def test_a_clear_best_is_chosen_and_said_to_be_sure(tmp_path):
    selection = choose(open_study(write_run(tmp_path, [0.5, 0.6, 0.55])), METRICS)
    assert names(selection, [selection.chosen]) == ["epoch-002"]
    assert selection.ranking.probability[1] > 0.99
    assert explain(selection) == ["Epoch 2 is the best by hole_ssim, with a probability of > 99 %."]


def test_epochs_that_cannot_be_told_apart_are_named_with_the_earliest(tmp_path):
    quality = [0.3, 0.4, 0.5, 0.6, 0.6, 0.6]
    selection = choose(open_study(write_run(tmp_path, quality)), METRICS)
    assert sorted(names(selection, selection.ranking.tied)) == [
        "epoch-004",
        "epoch-005",
        "epoch-006",
    ]
    assert (
        "Epochs 4 to 6 can't be told apart by hole_ssim; 4 is the earliest" in explain(selection)[0]
    )


def test_the_metrics_direction_counts(tmp_path):
    run = write_run(tmp_path, [0.5, 0.6, 0.7], hole_l1=lambda epoch: 0.1 * epoch, whole_l1=0.0)
    assert names(choose(open_study(run), ["hole_l1"]), [0])[0] == "epoch-001"
    assert choose(open_study(run), ["hole_l1"]).ranking.order == [0, 1, 2]
    selection = choose(open_study(run), ["hole_ssim", "hole_l1"])
    assert selection.ranking.order == [2, 1, 0]
    assert selection.pareto == [0, 1, 2]
    assert choose(open_study(run), ["hole_ssim", "hole_psnr"]).pareto == [2]


def test_a_study_ranks_all_epochs_of_all_trials(tmp_path):
    study = write_study(tmp_path, [[0.5, 0.52], [0.4, 0.7], [0.3, 0.2]])
    selection = choose(open_study(study), METRICS)
    assert names(selection, selection.ranking.order)[0] == "trial-001/epoch-002"
    assert len(selection.checkpoints) == 6
    assert explain(selection)[0].startswith("Trial 1, epoch 2 is the best")


def test_crops_of_one_photo_are_no_further_photos(tmp_path):
    selection = choose(open_study(write_run(tmp_path, [0.5, 0.6], photos=3, crops=8)), METRICS)
    assert selection.ranking.photos == 3
    assert len(selection.scores.samples) == 24
    assert "rests on 3 photos" in explain(selection)[-1]
    draws = np.random.default_rng(0)
    # Photos differ in what they say; their crops repeat it.
    said = np.repeat(draws.normal(0.5, 1.0, 8), 50) + draws.normal(0, 0.01, 400)
    photos = [f"p{index // 50}" for index in range(400)]
    apart = paired_difference(said, np.zeros(400), True)
    together = paired_difference(said, np.zeros(400), True, photos)
    assert together.high - together.low > 4 * (apart.high - apart.low)


@pytest.mark.parametrize("photos", [3, 6, 12])
def test_intervals_hold_with_few_photos(photos):
    draws = np.random.default_rng(photos)
    held = 0
    for seed in range(400):
        gain = 0.3 + np.repeat(draws.normal(0, 1, photos), 4) + draws.normal(0, 0.5, 4 * photos)
        names = [f"p{index // 4}" for index in range(4 * photos)]
        difference = paired_difference(gain, np.zeros(4 * photos), True, names, seed)
        held += difference.low <= 0.3 <= difference.high
    print(f"{photos} photos: the interval holds the truth in {held / 4:.1f} %")
    assert 0.92 * 400 <= held <= 0.99 * 400


def test_one_photo_tells_nothing(tmp_path):
    selection = choose(open_study(write_run(tmp_path, [0.5, 0.9], photos=1, crops=5)), METRICS)
    assert selection.ranking.probability.tolist() == [0.5, 0.5]
    assert "one photo says nothing about others" in explain(selection)[0]
    assert math.isinf(selection.ranking.behind[0].high)


def test_probabilities_add_up_and_repeat():
    values = np.random.default_rng(0).normal(0, 1, (30, 25))
    photos = [str(index) for index in range(30)]
    first, again = (rank(values, photos, True, seed=3) for _ in range(2))
    assert first.probability.sum() == pytest.approx(1.0)
    assert (first.probability == again.probability).all()
    assert rank(-values, photos, False, seed=3).order == first.order


def test_what_is_the_same_network_shares_what_it_is_worth():
    draws = np.random.default_rng(0)
    one = draws.normal(0, 1, 20)
    worse = one - 1.0 + draws.normal(0, 0.1, 20)
    ranking = rank(np.stack([worse, one, one, one], axis=1), [str(n) for n in range(20)], True)
    assert ranking.probability == pytest.approx([0.0, 1 / 3, 1 / 3, 1 / 3], abs=1e-3)
    assert ranking.tied == [1, 2, 3]


def test_bins_of_hole_ratio_are_ranked_on_their_own(tmp_path):
    made = open_study(write_run(tmp_path, [0.5, 0.6])).runs[0]
    for epoch, large in ((1, 0.9), (2, 0.1)):
        small = made.scores_at(epoch)["hole_ssim"]
        scores = [
            SampleScore(photo, photo, 0.2, {"hole_ssim": value}) for photo, value in small.items()
        ]
        scores += [
            SampleScore(f"large{index}", f"large{index}", 0.6, {"hole_ssim": large})
            for index in range(9)
        ]
        write_scores(tmp_path / "bins", epoch, scores)
    selection = choose(open_study(tmp_path / "bins"), ["hole_ssim"])
    assert {name: ranking.order[0] for name, ranking in selection.bins.items()} == {
        "0.0-0.3": 1,
        "0.5-0.7": 0,
    }
    assert {name: ranking.photos for name, ranking in selection.bins.items()} == {
        "0.0-0.3": 20,
        "0.5-0.7": 9,
    }


@pytest.mark.parametrize(
    ("kind", "metrics"),
    [
        # Known pixels are three quarters of the photo, the hole's part in its error is 0.025.
        ("known pixels", {"whole_l1": lambda epoch: 0.025 + (0.03 * 0.75 if epoch == 2 else 0)}),
        ("known pixels", {"answer_known_l1": lambda epoch: 0.2 if epoch == 2 else 0.02}),
        ("blur", {"hole_blur": lambda epoch: 1.2 if epoch == 2 else 0.2}),
        (
            "judge",
            {"losses": lambda epoch: {**ALIVE, "fake_logit": 0.8 if epoch == 2 else 0}},
        ),
        (
            "judge",
            {"losses": lambda epoch: {**ALIVE, "discriminator": 1e-4 if epoch == 2 else 1.0}},
        ),
    ],
)
def test_a_marked_checkpoint_is_not_chosen_however_well_it_scores(tmp_path, kind, metrics):
    selection = choose(open_study(write_run(tmp_path, [0.5, 0.7, 0.6], **metrics)), METRICS)
    assert kinds(selection) == [[], [kind], []]
    assert names(selection, [selection.chosen]) == ["epoch-003"]
    assert f"Epoch 2 is marked ({kind}: " in explain(selection)[-1]


def test_where_all_are_marked_the_best_is_chosen_and_it_is_said(tmp_path):
    selection = choose(open_study(write_run(tmp_path, [0.5, 0.7], hole_blur=2.0)), METRICS)
    assert selection.chosen == 1
    assert "Every checkpoint is marked; epoch 2 is the best of them." in explain(selection)


def test_a_checkpoint_whose_file_is_gone_is_not_chosen(tmp_path):
    run = write_run(tmp_path, [0.5, 0.7, 0.6])
    (run / "checkpoints" / "epoch-002.pt").unlink()
    selection = choose(open_study(run), METRICS)
    assert names(selection, [selection.chosen]) == ["epoch-003"]


def test_what_was_not_recorded_is_not_judged_and_said(tmp_path):
    run = write_run(tmp_path, [0.5, 0.7], losses=None)
    table = pd.read_csv(run / "photos.csv").drop(columns="hole_blur")
    table.to_csv(run / "photos.csv", index=False)
    notes = " ".join(choose(open_study(run), METRICS).notes)
    assert "blur was not recorded" in notes
    assert "judges are not checked" in notes


def test_an_epoch_with_a_value_that_is_not_finite_is_left_out_and_said(tmp_path):
    run = write_run(tmp_path, [0.5, 0.7, 0.6], hole_psnr=lambda e: math.nan if e == 2 else 20.0)
    selection = choose(open_study(run), METRICS)
    assert names(selection, range(2)) == ["epoch-001", "epoch-003"]
    assert (
        "epoch-002 is left out: hole_psnr was not recorded (it has hole_ssim," in selection.notes[0]
    )


def test_an_epoch_that_lacks_samples_is_left_out_and_said(tmp_path):
    run = write_run(tmp_path, [0.5, 0.7, 0.6])
    table = pd.read_csv(run / "photos.csv")
    of_second = table.index[table["epoch"] == 2]
    table.drop(of_second[:3]).to_csv(run / "photos.csv", index=False)
    selection = choose(open_study(run), METRICS)
    assert names(selection, range(2)) == ["epoch-001", "epoch-003"]
    said = "epoch-002 is left out: hole_ssim is missing or not finite on 3 of 20 samples"
    assert said in selection.notes[0]


def test_trials_without_a_scored_epoch_are_left_out_and_said(tmp_path):
    study = write_study(tmp_path, [[0.5, 0.6]])
    optuna.load_study(study_name=None, storage=f"sqlite:///{study / 'study.db'}").ask()
    assert "trial-001 has no scored epoch yet" in choose(open_study(study), METRICS).notes


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nowhere", "is no folder"),
        (lambda folder: folder, "neither a run"),
        (lambda folder: _empty_run(folder), "no epoch is scored"),
        (lambda folder: _broken_run(folder), "is not what a run writes"),
    ],
)
def test_folders_that_cannot_be_ranked_are_refused_in_words(tmp_path, make, said):
    with pytest.raises(ResultsError, match=said):
        choose(open_study(make(tmp_path)), METRICS)


def test_an_unknown_metric_names_the_nearest(tmp_path):
    with pytest.raises(ResultsError, match="hole_ssim"):
        choose(open_study(write_run(tmp_path, [0.5])), ["hole_sim"])


def _empty_run(folder):
    (folder / "config.yaml").write_text("fit: {}\n")
    return folder


def _broken_run(folder):
    (folder / "photos.csv").write_text('epoch,photo,hole_ratio,metric,value\n1,"a,0.2,hole')
    return folder
