"""A sweep in this process: what it trains, what it finds, what it leaves on disk."""

import io
import json
import re
import threading
import time

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
import yaml
from optuna.trial import TrialState
from PIL import Image
from rich.console import Console

from lab import sweep as command
from lab.checks import UserError
from lab.evaluation import Evaluation, Tasks, judge
from lab.files import network_file_system
from lab.imaging import contact_sheet
from lab.metrics import ANSWER_METRICS, METRICS, measure
from lab.networks import InpaintSANet, describe_network, load_network
from lab.parsing import SettingsError
from lab.results import Run
from lab.runs import fit_run
from lab.strategies import METHODS, Direct
from lab.studies import (
    begin_sweep,
    collect_results,
    default_workers,
    result_table,
    run_sweep,
    sweeping,
)
from lab.studies.result_table import write_sheet
from lab.studies.storage import claim_trial
from lab.studies.worker import run_trials
from tests.studies.conftest import HOLE, LEARNING_RATE, TINY_QUESTION, begin_tiny, write_question
from tests.tiny import fit_tiny, put_photos, read_photos


def run(sweep):
    """Run a sweep; returns its results and what it printed."""
    console = Console(file=io.StringIO(), width=200)
    results = run_sweep(sweep, 1, console)
    return results, console.file.getvalue()


def trial_run(sweep, number):
    return sweep.folder / "trials" / f"trial-{number:03d}"


def claim(sweep, limit):
    study, address, folder = sweep.open(), sweep.storage, sweep.folder
    return claim_trial(study, sweep.question, address, folder, limit, sweep.seed)


def states(sweep):
    return [trial.state for trial in sweep.open().get_trials()]


class Finished:
    """A study of five trials, run once for all tests that only look at it."""

    def __init__(self, folder):
        self.sweep = begin_tiny(folder, {"trials": 5, "baselines": None})
        self.results, self.printed = run(self.sweep)
        self.photos = [read_photos(trial_run(self.sweep, number)) for number in range(5)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        yield Finished(tmp_path_factory.mktemp("study"))


def number_of(row):
    return int(row.label.removeprefix("trial "))


def test_every_trial_is_run_to_its_end(finished):
    assert states(finished.sweep) == [TrialState.COMPLETE] * 5
    for photos in finished.photos:
        index = photos.index
        assert set(index.get_level_values("epoch")) == {1, 2}
        recorded = {*METRICS, *ANSWER_METRICS}
        assert set(index.get_level_values("metric")) == recorded
        assert len(set(index.get_level_values("sample"))) == 6
        assert len(photos) == 2 * 6 * len(recorded)


def test_trials_are_ranked_by_the_goal_at_their_best_epoch(finished):
    best = {}
    for number, photos in enumerate(finished.photos):
        means = photos.xs("hole_psnr", level="metric").groupby("epoch").mean()
        best[number] = (float(means.max()), int(means.idxmax()))
    expected = sorted(best, key=lambda number: -best[number][0])
    ranked = finished.results.study.ranked
    assert [number_of(row) for row in ranked] == expected
    for row in ranked:
        assert row.mean("hole_psnr") == pytest.approx(best[number_of(row)][0], abs=1e-9)
        assert row.best == best[number_of(row)][1]
    assert ranked[0].mean("hole_psnr") > ranked[-1].mean("hole_psnr")


def test_spread_is_the_standard_deviation_over_the_photos_at_that_epoch(finished):
    row = finished.results.study.ranked[0]
    photos = finished.photos[number_of(row)].xs((row.best, "hole_ssim"), level=("epoch", "metric"))
    assert row.mean("hole_ssim") == pytest.approx(photos.mean())
    assert row.spread("hole_ssim") == pytest.approx(np.std(photos, ddof=1))


def test_each_trial_trains_what_its_row_says(finished):
    for row in finished.results.study.ranked:
        config = yaml.safe_load(
            (trial_run(finished.sweep, number_of(row)) / "config.yaml").read_text()
        )
        model = config["model"]["init_args"]
        weights = model["objective"]["init_args"]["weights"]
        assert model["optimization"]["generator_learning_rate"] == row.values[LEARNING_RATE]
        assert weights["hole_l1"] == weights["coarse_hole_l1"] == row.values[HOLE]
        assert config["fit"]["epochs"] == 2
        assert config["data"]["size"] == 32
    first = next(row for row in finished.results.study.ranked if number_of(row) == 0)
    assert first.values == TINY_QUESTION["first"][0]
    assert len({row.values[HOLE] for row in finished.results.study.ranked}) == 5


def test_trials_are_scored_on_the_same_photos_and_holes_as_the_baselines(finished):
    rows = [*finished.results.study.ranked, *finished.results.study.baselines]
    assert [row.label for row in finished.results.study.baselines] == sorted(METHODS)
    assert len(rows) == 5 + len(METHODS)
    for row in rows:
        assert set(row.best_scores.index) == set(rows[0].best_scores.index)
        of_the_answer = set() if row.state == "baseline" else set(ANSWER_METRICS)
        assert set(row.best_scores.columns) == {*METRICS, *of_the_answer, "hole_ratio", "photo"}


@pytest.mark.parametrize("method", METHODS)
def test_the_baselines_are_the_methods(finished, method):
    row = next(run for run in finished.results.study.baselines if run.label == method)
    samples = finished.sweep.data()
    samples.setup("validate")
    for index in (0, 4):
        sample = samples.validation_samples[index]
        image, mask = sample.image[None], sample.mask[None]
        expected = measure(METHODS[method].build()(image, mask), image, mask)
        for name, value in expected.items():
            assert row.best_scores.loc[sample.sample, name] == pytest.approx(
                float(value), rel=1e-4, abs=1e-5
            )


def test_the_checkpoint_to_keep_gives_the_scores_of_its_row(finished):
    row = finished.results.study.ranked[0]
    strategy = Direct(load_network(row.checkpoint))
    judged = judge(strategy, Tasks(Evaluation(), finished.sweep.data()))
    for score in (score for batch in judged for score in batch.scores):
        for name, value in score.metrics.items():
            assert row.best_scores.loc[score.sample, name] == pytest.approx(
                value, rel=1e-4, abs=1e-4
            )


def test_importance_is_shared_out_among_what_was_varied(finished):
    importance = finished.results.importance
    assert set(importance) == {LEARNING_RATE, HOLE}
    assert sum(importance.values()) == pytest.approx(1.0)
    assert min(importance.values()) >= 0.0


def test_the_table_on_disk_has_every_trial_and_baseline(finished):
    table = pd.read_csv(finished.sweep.folder / "results.csv").set_index("label")
    order = [row.label for row in finished.results.study.ranked]
    assert list(table.index) == [*order, *sorted(METHODS)]
    for row in [*finished.results.study.ranked, *finished.results.study.baselines]:
        for metric in METRICS:
            assert table.loc[row.label, metric] == pytest.approx(row.mean(metric), rel=1e-4)
            spread = table.loc[row.label, f"{metric}_spread"]
            assert spread == pytest.approx(row.spread(metric), rel=1e-4)
    best = table.iloc[0]
    assert best[HOLE] == pytest.approx(finished.results.study.ranked[0].values[HOLE], rel=1e-4)
    assert (best["state"], best["epochs"]) == ("complete", 2)
    assert best["checkpoint"].endswith(f"epoch-{int(best['best_epoch']):03d}.pt")


def test_the_contact_sheet_shows_all_six_crops_of_three_photos_enlarged(finished):
    study = finished.results.study
    labels = {*(run.label for run in study.baselines)} & {"telea", "shift-map", "patch-match"}
    worth = {study.worst.name, study.reference.name, study.ranked[0].name}
    columns = len(labels) + len(worth) + 2
    with Image.open(finished.sweep.folder / "contact_sheet.png") as sheet:
        width, height = sheet.size
        pixels = np.asarray(sheet.convert("RGB"), dtype=float)
    side = 2400 // columns // 32 * 32
    assert side >= 256
    assert columns * side < width < 2600
    assert height > 6 * side
    # Six rows of different photos: no band of the sheet is one colour.
    assert all(band.std() > 5 for band in np.array_split(pixels, 6))


def sheet_of(folder, photos, crops, side, columns, monkeypatch):
    """The row titles, column titles and cell size of a sheet of runs that only have pictures."""
    samples = [
        (f"photo{photo}", f"photo{photo}" + (f"~crop{crop}" if crop else ""))
        for crop in range(crops)
        for photo in range(photos)
    ]
    runs = {}
    for column in range(columns):
        run = folder / f"run{column}"
        for _, sample in samples:
            place = run / "visuals" / sample
            place.mkdir(parents=True)
            for name in ("hole", "truth", "epoch-001-completed"):
                Image.new("RGB", (side, side), (9 * column, 80, 120)).save(place / f"{name}.png")
        table = pd.DataFrame(samples, columns=["photo", "sample"])
        table.assign(epoch=1, hole_ratio=0.2, hole_ssim=0.5).to_csv(run / "photos.csv", index=False)
        runs[f"run{column}"] = Run(run.name, run.name, run, "hole_ssim")
    made = []

    def lay_out(rows, headings, titles, cell_size):
        made.append((titles, headings, cell_size))
        return contact_sheet(rows, headings, titles, cell_size)

    monkeypatch.setattr(result_table, "contact_sheet", lay_out)
    write_sheet(folder / "sheet.png", runs)
    return made[0]


@pytest.mark.parametrize(
    ("photos", "crops", "shown"),
    [
        (13, 3, [f"photo{index}" for index in range(12)]),
        (2, 3, [f"photo{index}{crop}" for crop in ("", "~crop1", "~crop2") for index in range(2)]),
    ],
)
def test_a_sheet_has_a_row_a_photo_and_twelve_at_most(tmp_path, monkeypatch, photos, crops, shown):
    titles, headings, _ = sheet_of(tmp_path, photos, crops, 16, 2, monkeypatch)
    assert titles == shown
    assert headings == ["hole", "run0", "run1", "truth"]


@pytest.mark.parametrize(
    ("side", "columns", "cell"),
    [(96, 8, 192), (96, 4, 384), (64, 18, 128), (300, 8, 240), (200, 4, 400)],
)
def test_pictures_are_enlarged_by_whole_numbers_or_shrunk_to_what_a_screen_holds(
    tmp_path, monkeypatch, side, columns, cell
):
    assert sheet_of(tmp_path, 1, 1, side, columns, monkeypatch)[2] == cell


def test_what_is_printed_says_what_to_keep(finished):
    printed, best = finished.printed, finished.results.study.ranked[0]
    assert TINY_QUESTION["question"] in printed
    assert all(method in printed for method in METHODS)
    assert "Importance for hole_psnr" in printed
    assert "Pruning saved" not in printed  # it was off
    assert f"Keep epoch {best.best} of {best.label}: {best.checkpoint}" in printed
    for row in finished.results.study.ranked:
        assert row.label in printed
        assert f"{row.mean('hole_psnr'):.2f}" in printed


def test_the_best_is_compared_photo_by_photo(finished):
    best, worst = finished.results.study.ranked[0], finished.results.study.ranked[-1]
    difference = finished.results.study.compare(best, worst)
    gains = best.best_scores["hole_psnr"] - worst.best_scores["hole_psnr"]
    assert difference.mean == pytest.approx(gains.mean())
    assert (difference.samples, difference.photos) == (6, 3)
    assert finished.results.study.compare(worst, best).mean == pytest.approx(-difference.mean)


@pytest.mark.slow
def test_another_call_trains_only_what_is_new(begin):
    sweep = begin({"trials": 1, "epochs": 1})
    run(sweep)
    file = trial_run(sweep, 0) / "photos.csv"
    before = (file.read_bytes(), file.stat().st_mtime_ns)

    results, printed = run(begin({"trials": 1, "epochs": 1}, trials=2))
    assert "Going on with 1 finished trials" in printed
    assert "trial 0 epoch" not in printed
    assert states(sweep) == [TrialState.COMPLETE] * 2
    assert len(results.study.ranked) == 2
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


@pytest.mark.slow
def test_the_same_seed_gives_the_same_study(tmp_path):
    tables = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sweep = begin_tiny(tmp_path / name, {"trials": 2, "epochs": 1}, seed=seed)
        # Without the tables and pictures of a whole sweep.
        run_trials(sweep, 0, lambda news: None)
        tables.append([read_photos(trial_run(sweep, number)) for number in range(2)])
    for one, other in zip(tables[0], tables[1], strict=True):
        pd.testing.assert_series_equal(one, other)
    assert not np.allclose(tables[0][0], tables[2][0])  # the same values, other first weights
    # Whatever the seed, the photos and their holes are the same.
    assert tables[0][0].index.equals(tables[2][0].index)


AFTER_EACH_STEP = "--fit.checkpoint_minutes=1e-6"
BAD = 0.1  # a learning rate with which the tiny network loses six dB at once


def test_pruning_ends_a_bad_trial_early_and_tells_what_it_saved(begin):
    sweep = begin(
        {
            "search": {LEARNING_RATE: {"choices": [1e-4, BAD]}},
            # Those that are asked for by name run to their end, whatever they are worth.
            "first": [{LEARNING_RATE: 1e-4}, {LEARNING_RATE: BAD}],
            "sampler": "random",
            "trials": 4,
            "epochs": 3,
            "pruning": {"keep_share": 0.5, "startup_trials": 1, "warmup_epochs": 1},
        },
        settings=[AFTER_EACH_STEP],
    )
    results, printed = run(sweep)
    (pruned,) = results.study.others
    assert not list(sweep.folder.rglob("unfinished.ckpt")), "no trial goes on within an epoch"
    assert pruned.state == "pruned"
    assert pruned.values == {LEARNING_RATE: BAD}
    assert pruned.last == 2
    assert [row.last for row in results.study.ranked] == [3, 3, 3]
    assert (results.planned_epochs, results.run_epochs) == (12, 11)
    assert results.saved_share == pytest.approx(1 / 12)
    assert "Pruning saved 8% of the epochs (11 run of 12 planned)" in printed
    assert f"{pruned.label} pruned" in printed
    # It is not taken up again.
    assert claim(sweep, 4) is None


def test_what_has_had_its_last_epoch_is_not_thrown_away(begin):
    sweep = begin(
        {
            "search": {LEARNING_RATE: {"choices": [1e-4, BAD]}},
            "first": [{LEARNING_RATE: 1e-4}, {LEARNING_RATE: BAD}],
            "sampler": "random",
            "trials": 4,
            "epochs": 2,
            "pruning": {"keep_share": 0.5, "startup_trials": 1, "warmup_epochs": 1},
        }
    )
    results, _ = run(sweep)
    assert len(results.study.ranked) == 4
    assert {row.values[LEARNING_RATE] for row in results.study.ranked[2:]} == {BAD}


OVERFLOWING = {
    "search": {HOLE: {"choices": [1e38, 2.4]}},
    "first": [{HOLE: 1e38}, {HOLE: 2.4}],
}


def test_a_trial_that_is_not_finite_fails_with_its_reason_and_the_study_goes_on(begin):
    # With one step an epoch, it is validation that meets what the step broke.
    one_step = ["--data.samples_per_epoch=4"]
    sweep = begin({**OVERFLOWING, "trials": 2, "epochs": 1}, settings=one_step)
    results, printed = run(sweep)
    assert states(sweep) == [TrialState.FAIL, TrialState.COMPLETE]
    (failed,) = results.study.others
    assert (failed.label, failed.state, failed.last) == ("trial 0", "failed", 0)
    assert "not finite" in failed.reason
    assert "trial 0 failed: " in printed
    table = pd.read_csv(sweep.folder / "results.csv").set_index("label")
    assert "not finite" in table.loc["trial 0", "reason"]
    assert [row.label for row in results.study.ranked] == ["trial 1"]
    # A failed trial is not tried again.
    assert claim(sweep, 2) is None


def test_a_study_in_which_every_trial_fails_ends_and_says_so(begin):
    results, printed = run(begin({**OVERFLOWING, "trials": 1}))
    assert results.study.ranked == []
    assert "No trial ran to its end" in printed
    assert "telea" in printed


def importance(sweep, values, lacking=0):
    """What a study says of its options after trials that gave ``values``, without training them.

    So many of them ``lacking`` the weight, as where an option is varied on a condition.
    """
    generator = np.random.default_rng(0)
    study = sweep.open()
    spaces = {
        LEARNING_RATE: optuna.distributions.FloatDistribution(1e-5, 0.1, log=True),
        HOLE: optuna.distributions.FloatDistribution(0.5, 4.0),
    }
    for number in range(20):
        drawn = {
            LEARNING_RATE: 10.0 ** generator.uniform(-5, -1),
            HOLE: generator.uniform(0.5, 4.0),
        }
        if number < lacking:
            del drawn[HOLE]
        own = {path: spaces[path] for path in drawn}
        study.add_trial(
            optuna.trial.create_trial(params=drawn, distributions=own, values=values(drawn))
        )
    return collect_results(sweep, study).importance


def test_importance_asks_what_makes_the_goal_better_also_with_several_goals(begin):
    # Only the learning rate makes it good; the weight makes it bad at one end, never good.
    def quality(drawn):
        good = drawn[LEARNING_RATE] > 1e-2
        return 10.0 * good - 100.0 * (drawn[HOLE] > 3.0)

    psnr = importance(begin(name="one"), lambda drawn: [quality(drawn)])
    changes = {"goal": ["hole_psnr", "hole_l1"]}
    both = importance(begin(changes, name="two"), lambda drawn: [quality(drawn), 0.0])
    assert both == pytest.approx(psnr)
    assert sum(psnr.values()) == pytest.approx(1.0)


def test_an_importance_that_optuna_doubts_is_not_told(begin, recwarn):
    def quality(drawn):
        return [drawn[LEARNING_RATE]]

    assert set(importance(begin(name="one"), quality, lacking=8)) == {LEARNING_RATE, HOLE}
    assert importance(begin(name="two"), quality, lacking=1) == {}
    assert not [warning for warning in recwarn if "importance" in str(warning.message)]


def test_a_question_about_a_network_needs_a_truth(begin, tmp_path):
    network = tmp_path / "network.pt"
    torch.save(describe_network(InpaintSANet(width=8), 1, ""), network)
    settings = ["--evaluation.photos=.", "--evaluation.masks=.", "--evaluation.removal=true"]
    with pytest.raises(SettingsError, match="nobody knows the truth, which hole_psnr needs"):
        begin({"trains": False, "epochs": 1}, settings=settings, checkpoint=network)
    assert not list(tmp_path.rglob("study.db"))


def test_trainings_are_not_compared_with_methods_on_other_holes(begin, tmp_path):
    for settings in (["--evaluation.boundary_attack=1.0"], ["--evaluation.dilation=3"]):
        with pytest.raises(SettingsError, match=r"evaluation\..*(do not follow|need triplets)"):
            begin(settings=settings)
    assert not list(tmp_path.rglob("study.db"))


def test_a_study_does_not_go_on_by_a_measure_that_computes_something_else(begin, monkeypatch):
    goals = {"goal": ["hole_ssim", "hole_texture"]}
    monkeypatch.setattr("lab.studies.sweeping.REVISIONS", {})
    begin(goals)
    monkeypatch.undo()
    with pytest.raises(SettingsError, match=r"hole_texture's form: None then, 3 now.*--fresh"):
        begin(goals)
    assert begin(goals, fresh=True).open().get_trials()


def test_two_commands_that_end_together_take_turns(begin, monkeypatch):
    sweep = begin({"trials": 1, "epochs": 1})
    run(sweep)
    at_once, most = [], []

    def conclude(*_):
        at_once.append(1)
        most.append(len(at_once))
        time.sleep(0.2)
        at_once.pop()

    monkeypatch.setattr("lab.studies.sweeping._conclude", conclude)
    quiet = Console(quiet=True)
    threads = [threading.Thread(target=run_sweep, args=(sweep, 1, quiet)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1]


def test_options_without_effect_have_no_share_of_it(begin):
    assert importance(begin(), lambda drawn: [20.0]) == {}


def test_a_trial_that_was_trained_but_not_told_is_told_and_not_trained_again(begin):
    sweep = begin({"trials": 1, "epochs": 1})
    claimed = claim(sweep, 1)
    fit_run(sweep.build(claimed.values), claimed.folder, "tiny-000")
    claimed.lock.release()  # killed between the last epoch and the study's database
    before = (claimed.folder / "checkpoints" / "epoch-001.pt").stat().st_mtime_ns

    results, _ = run(sweep)
    assert states(sweep) == [TrialState.COMPLETE]
    assert results.study.ranked[0].last == 1
    assert (claimed.folder / "checkpoints" / "epoch-001.pt").stat().st_mtime_ns == before


def test_a_dead_trial_goes_on_from_where_it_was_kept_last(begin, tmp_path):
    sweep = begin({"trials": 1}, settings=[AFTER_EACH_STEP])
    claimed = claim(sweep, 1)

    class KilledError(Exception):
        pass

    def kill(progress):
        if (progress.epoch, progress.step) == (2, 2):
            raise KilledError

    with pytest.raises(KilledError):
        fit_run(sweep.build(claimed.values), claimed.folder, "tiny-000", on_step=kill)
    claimed.lock.release()
    kept = claimed.folder / "checkpoints" / "epoch-001.pt"
    before = kept.stat().st_mtime_ns

    _, printed = run(sweep)
    assert kept.stat().st_mtime_ns == before
    assert re.findall(r"^trial 0 epoch (\d)/2", printed, re.MULTILINE) == ["2"]
    assert "trial 0: Epoch 2 goes on after its step 1\n" in printed
    assert states(sweep) == [TrialState.COMPLETE]
    fit_run(sweep.build(claimed.values), tmp_path / "whole", "whole")
    pd.testing.assert_series_equal(read_photos(claimed.folder), read_photos(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"base": {"data": {"sise": 32}}}, {}, "nearest is --data.size"),
        ({"search": {"model.objective.weights.hole_ll": {"low": 0, "high": 1}}, "first": []}, {},
         "no setting --model.objective.weights.hole_l"),
        ({"search": {HOLE: {"low": 1, "high": 2, "also": ["data.sise"]}}, "first": []}, {},
         "no setting --data.sise"),
        ({}, {"settings": ["--data.sise=32"]}, "no setting --data.sise"),
        ({}, {"settings": ["--fit={seed: 3}"]}, "--fit is a group of settings"),
        ({}, {"settings": ["--data={seed: 3}"]}, "--data is a group of settings"),
        ({}, {"epochs": 0}, "epochs"),
        ({}, {"workers": 0}, "--workers must be at least 1"),
        ({}, {"storage": "nonsense"}, "nonsense cannot be opened"),
    ],
)  # fmt: skip
def test_what_a_trial_would_fail_on_shows_before_any_is_trained(begin, changes, options, message):
    with pytest.raises(UserError, match=message):
        begin(changes, **options)


@pytest.mark.parametrize(
    ("option", "right"),
    [
        ("--fit.threads=4", "--threads"),
        ("--fit.epochs=50", "--epochs"),  # as many as a run has by default
        ("--fit.seed=0", "--seed"),
        ("--data.seed=3", "--seed"),
    ],
)
def test_what_the_sweep_itself_sets_is_refused_by_the_option_that_does(begin, option, right):
    with pytest.raises(SettingsError, match=rf"a sweep sets it itself.* use {right}"):
        begin(settings=[option])


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"data.size": [32, 48]}, r"trial data\.size=48 .* data\.size is 48, and not 32"),
        ({"data.validation_crops": [1, 2]}, r"data\.validation_crops is 1"),
        (
            {"variant": ["published", "deepfill_v2_300m"], HOLE: [1.2]},
            r"trial variant=deepfill_v2_300m would be scored .* data\.size is 128",
        ),
    ],
)
def test_trials_are_not_scored_on_samples_of_their_own(begin, search, said):
    with pytest.raises(SettingsError, match=said):
        begin({"search": search, "first": []})


def test_the_base_of_a_question_cannot_set_it_either(begin):
    base = {**TINY_QUESTION["base"], "fit": {"epochs": 9}}
    with pytest.raises(SettingsError, match=r"--fit\.epochs=9 has no effect.* use --epochs"):
        begin({"base": base})


def test_workers_and_their_threads_are_of_what_the_process_may_use(monkeypatch, tmp_path):
    monkeypatch.setattr("lab.studies.sweeping.usable_processors", lambda: 3)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert default_workers() == 3
    write_question(tmp_path / "sweeps")
    places = {"runs": tmp_path / "runs", "sweeps": tmp_path / "sweeps"}
    assert begin_sweep("tiny", **places).threads == 3
    # Other threads give other weights: the study that is there keeps its own.
    assert begin_sweep("tiny", workers=2, **places).threads == 3
    with pytest.raises(SettingsError, match=r"\(threads: 3 then, 1 now\)"):
        begin_sweep("tiny", threads=1, **places)
    assert begin_sweep("tiny", workers=2, name="other", **places).threads == 1


def test_a_sweep_on_ones_own_photos_says_what_it_found(begin, tmp_path):
    photos = put_photos(tmp_path / "photos", range(6))
    (photos / "notes.txt").write_text("not a photo")
    sweep = begin({"trials": 1, "epochs": 1}, photos=photos)
    results, printed = run(sweep)
    assert "photos for training" in printed
    assert all(name.startswith("photo") for name in results.study.ranked[0].best_scores.index)

    # Where they lie is no matter, but what they show.
    photos.rename(tmp_path / "moved")
    assert begin({"trials": 1, "epochs": 1}, photos=tmp_path / "moved").identity == sweep.identity
    others = put_photos(tmp_path / "others", range(1, 7))
    with pytest.raises(SettingsError, match=r"photos: '.*' then, '.*' now"):
        begin({"trials": 1, "epochs": 1}, photos=others)
    with pytest.raises(SettingsError, match="does not exist"):
        begin({}, photos=tmp_path / "nowhere", name="other")


def test_a_study_goes_on_only_with_the_settings_it_was_begun_with(begin):
    begin()
    begin(trials=9, settings=["--fit.checkpoint_minutes=3"])  # which changes no result
    for changes in (
        {"settings": ["--model.objective.weights.known_l1=1"]},
        {"epochs": 3},
        {"seed": 1},
    ):
        with pytest.raises(SettingsError, match="begun with other settings"):
            begin(**changes)
    assert begin(name="another", seed=1).folder.name == "another"


def test_a_study_goes_on_with_the_files_it_was_begun_with_wherever_they_lie(begin, tmp_path):
    for seed in (0, 1):
        fit_tiny(tmp_path / str(seed), "--fit.epochs=1", f"--fit.seed={seed}")
    first, other = (tmp_path / name / "checkpoints" / "epoch-001.pt" for name in "01")

    def begin_from(network):
        return begin(settings=[f"--model.warm_start={network}"])

    study = begin_from(first).open()
    copied = tmp_path / "copied.pt"
    copied.write_bytes(first.read_bytes())
    begin_from(copied)
    with pytest.raises(SettingsError, match=r"model\.warm_start: 'SHA-256 .*' then, 'SHA-256 "):
        begin_from(other)
    # What it is called is no matter, either.
    copied.write_bytes(other.read_bytes())
    with pytest.raises(SettingsError, match="begun with other settings"):
        begin_from(copied)
    # An earlier version noted where it lay.
    known = dict(study.user_attrs["identity"])
    study.set_user_attr(
        "identity", {**known, "model.warm_start": str(first), "data.photos": "null"}
    )
    begin_from(first)
    with pytest.raises(SettingsError, match="begun with other settings"):
        begin_from(other)


def test_fresh_begins_anew_and_keeps_the_old(begin):
    sweep = begin()
    claim(sweep, 1).lock.release()
    new = begin(fresh=True, settings=["--data.size=40"])
    assert states(new) == [TrialState.WAITING]
    (aside,) = [path for path in sweep.folder.parent.iterdir() if path != sweep.folder]
    assert (aside / "trials" / "trial-000").is_dir()
    assert new.build({}).data.size == 40


def test_the_identity_of_a_study_is_plain_values(begin):
    identity = begin().identity
    assert json.loads(json.dumps(identity)) == identity
    assert HOLE not in identity


def test_the_command_runs_a_study(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "lab.studies.sweeping.usable_processors", lambda: 1
    )  # shares out one thread
    write_question(tmp_path / "sweeps")
    places = ["--runs", str(tmp_path / "runs"), "--sweeps", str(tmp_path / "sweeps")]
    few = ["--trials", "1", "--epochs", "1", "--workers", "1", "--name", "mine"]
    assert command.main(["tiny", *few, *places, "--data.size=40"]) == 0
    printed = capsys.readouterr().out
    assert "trial 0 epoch 1/1: hole_psnr" in printed
    assert (tmp_path / "runs" / "mine" / "results.csv").is_file()

    assert command.main(["tiny", *few, *places]) == 2
    assert "data.size: '40' then, '32' now" in capsys.readouterr().err
    assert command.main(["tny", *places]) == 2
    assert "Did you mean 'tiny'" in capsys.readouterr().err


def test_the_reference_is_the_first_that_the_question_names_not_the_best_of_them(begin):
    named = [{LEARNING_RATE: BAD, HOLE: 2.4}, {LEARNING_RATE: 1e-3, HOLE: 2.4}]
    results, _ = run(begin({"first": named, "trials": 2, "epochs": 2}))
    assert results.study.ranked[0].values == named[1]
    assert results.study.reference.values == named[0]


def test_of_several_goals_the_front_is_shown_and_no_best(begin):
    goals = ["hole_psnr", "hole_sharpness_error"]
    results, printed = run(begin({"goal": goals, "trials": 3, "epochs": 1}))
    front = results.study.front
    assert f"Pareto front of {' and '.join(goals)}: {len(front)} of 3 runs" in printed
    assert "Best by" not in printed
    assert len(re.findall(r"^ +front ", printed, re.MULTILINE)) == 2 * len(front)
    for trial in front:
        assert f"Keep epoch {trial.best} of {trial.label}" in printed


WIDTH = "model.network.width"


def test_drawn_values_that_cannot_be_built_fail_their_trial_and_use_up_nothing(begin):
    search = {WIDTH: {"low": 8, "high": 14, "whole": True}}
    sweep = begin({"search": search, "first": [{WIDTH: 8}], "trials": 3, "epochs": 1})
    results, printed = run(sweep)
    finished = states(sweep).count(TrialState.COMPLETE)
    assert results.invalid
    assert finished == 3 or results.gave_up_drawing
    assert all("width" in trial.user_attrs["reason"] for trial in results.invalid)
    assert "no run can be built with what was drawn" in printed
    assert "Traceback" not in printed


def test_a_step_draws_only_what_can_be_built(begin):
    search = {WIDTH: {"low": 8, "high": 16, "whole": True, "step": 4}}
    sweep = begin({"search": search, "first": [{WIDTH: 8}], "trials": 4, "epochs": 1})
    results, _ = run(sweep)
    assert states(sweep) == [TrialState.COMPLETE] * 4
    assert {trial.params[WIDTH] for trial in sweep.open().get_trials()} <= {8, 12, 16}
    assert results.is_whole


def test_failed_trials_are_tried_again_when_asked(begin):
    sweep = begin({**OVERFLOWING, "trials": 2, "epochs": 1})
    run(sweep)
    assert states(sweep) == [TrialState.FAIL, TrialState.COMPLETE]
    console = Console(file=io.StringIO(), width=200)
    results = run_sweep(sweep, 1, console, again=True)
    printed = console.file.getvalue()
    assert "Trying again: trial 0" in printed
    # It fails again, as nothing was mended; the old folder stays, and it counts once.
    assert states(sweep) == [TrialState.FAIL, TrialState.COMPLETE, TrialState.FAIL]
    assert [trial.number for trial in results.failed] == [2]
    assert (
        "(tried again as trial 2)"
        in results.study.results.set_index("label").loc["trial 0", "reason"]
    )
    assert trial_run(sweep, 0).is_dir()
    console = Console(file=io.StringIO(), width=200)
    run_sweep(sweep, 1, console)
    assert "Trying again" not in console.file.getvalue()
    assert len(states(sweep)) == 3


def test_photos_deleted_during_a_sweep_end_it_in_one_line_and_lose_nothing(begin, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    generator = np.random.default_rng(0)
    for number in range(6):
        content = generator.integers(0, 256, (48, 64, 3), np.uint8)
        Image.fromarray(content).save(photos / f"{number}.png")
    sweep = begin({"trials": 2, "epochs": 1}, photos=photos)
    run(sweep)
    removed = (photos / "3.png").read_bytes()
    (photos / "3.png").unlink()
    with pytest.raises(UserError, match="has changed since it began") as caught:
        run(sweep)
    assert "\n" not in str(caught.value)
    (photos / "3.png").write_bytes(removed)
    results, _ = run(sweep)
    assert results.is_whole


def test_another_goal_may_be_asked_for(begin):
    assert begin().question.goals == ["hole_psnr"]
    one = begin(name="true", goals=["hole_ssim"])
    assert (one.question.goals, one.folder.name) == (["hole_ssim"], "true")
    assert begin(name="both", goals=["hole_ssim", "hole_texture"]).question.directions == [
        "maximize",
        "minimize",
    ]
    with pytest.raises(SettingsError, match="no metric is called 'hole_sim'"):
        begin(name="wrong", goals=["hole_sim"])


MOUNTS = """\
24 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
80 24 0:45 / {folder} rw shared:9 - {kind} server:/export rw,vers=4.2
81 80 8:2 / {folder}/of\\040its\\040own rw - xfs /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("kind", "storage", "said"),
    [
        ("nfs4", None, "study.db lies on nfs4, where SQLite is safe for one machine at a time"),
        ("lustre", "journal:{}/study.log", "study.log lies on lustre. Several machines may run"),
        ("ext4", None, None),
    ],
)
def test_what_is_safe_on_a_network_file_system_is_said(
    begin, tmp_path, monkeypatch, kind, storage, said
):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(folder=tmp_path, kind=kind))
    monkeypatch.setattr("lab.files._MOUNTS", mounts)
    sweep = begin({"trials": 1, "epochs": 1}, storage=storage and storage.format(tmp_path))
    sentences = list(sweeping._what_is_safe(sweep))
    if said is None:
        assert sentences == []
    else:
        assert said in sentences[0]
        assert "--storage postgresql://" in sentences[0]
    assert network_file_system(tmp_path / "of its own" / "runs") is None


def test_a_study_of_an_earlier_version_goes_on_where_what_is_new_stands_at_its_default(begin):
    changes = {"trials": 1, "epochs": 1}
    sweep = begin(changes)
    run_sweep(sweep, 1)
    study = optuna.load_study(study_name="tiny", storage=f"sqlite:///{sweep.folder / 'study.db'}")
    known = dict(study.user_attrs["identity"])
    for unknown in ("data.smallest_crop", "model.objective.weights.ms_ssim"):
        del known[unknown]
    study.set_user_attr("identity", known)
    results = run_sweep(begin(changes), 1)
    assert len(results.study.ranked) == 1
    with pytest.raises(SettingsError, match=r"data\.smallest_crop: None then, '0\.7' now"):
        run_sweep(begin(changes, settings=["--data.smallest_crop=0.7"]), 1)


def test_nfs_3_is_advised_against_and_a_short_patience_refused_on_nfs(begin, tmp_path, monkeypatch):
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr("lab.files._MOUNTS", mounts)
    changes, storage = {"trials": 1, "epochs": 1}, f"journal:{tmp_path}/study.log"
    mounts.write_text(MOUNTS.format(folder=tmp_path, kind="nfs4"))
    # Measured: where a client died, others waited 87 seconds for what it had read.
    with pytest.raises(SettingsError, match=r"--lost-after 60 is too short on nfs4 .* 180"):
        begin(changes, storage=storage, lost_after=60.0)
    sweep = begin(changes, storage=storage, lost_after=180.0)
    assert not any("NFS 3" in said for said in sweeping._what_is_safe(sweep))
    mounts.write_text(MOUNTS.format(folder=tmp_path, kind="nfs"))
    said = " ".join(sweeping._what_is_safe(sweep))
    assert "keeps the locks of a machine that died until that is started again" in said
