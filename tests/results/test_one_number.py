"""One comparison, one number: terminal, page, W&B report, board and choice say the same."""

import io
import json
import re

import pandas as pd
import pytest
from rich.console import Console

from lab import select
from lab.report import main as report
from lab.reporting.wandb_report import build_wandb_report
from lab.results import findings, open_study
from lab.studies import run_sweep
from tests.studies.conftest import begin_tiny


@pytest.fixture(scope="module", params=[1, pytest.param(3, marks=pytest.mark.slow)])
def finished(request, tmp_path_factory):
    """A study whose samples are two crops of each of three photos, and what was printed.

    With three seeds its settings have several runs each, and every reader means the setting.
    """
    folder = tmp_path_factory.mktemp("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        sweep = begin_tiny(folder, {"trials": 3, "epochs": 2, "seeds": request.param})
        console = Console(file=io.StringIO(), width=200)
        run_sweep(sweep, 1, console)
        return sweep, console.file.getvalue()


def test_every_reader_says_the_same_of_the_same_two_trials(finished, capsys, monkeypatch):
    sweep, printed = finished
    study = open_study(sweep.folder)
    best, second = study.ranked[:2]
    found = study.compare(best, second)
    assert (found.samples, found.photos) == (6, 3)
    assert study.counts_seeds == (sweep.question.seeds > 1)
    assert (found.trainings is not None) == study.counts_seeds
    # As if the six were independent, the interval would be another one.
    assert found.sentence in printed
    assert f"{found.samples} samples of {found.photos} photos" in found.sentence

    assert report([str(sweep.folder)]) == 0
    page = (sweep.folder / "report" / "index.html").read_text()
    data = json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )
    assert any(found.sentence in line for line in data["findings"])
    assert data["findings"] == findings(study)
    assert all(line in printed for line in data["findings"])

    in_wandb = str(build_wandb_report(study, "somebody", "project").blocks)
    assert found.interval in in_wandb

    numbers = data["comparison"]["byMetric"]["hole_psnr"]
    for run in (run for run in study.settings if run is not study.reference):
        against = study.compare(run, study.reference)
        assert numbers[run.name]["text"] == against.interval
        assert numbers[run.name]["basis"] == against.basis
    assert numbers.keys() == {run.name for run in study.settings} - {study.reference.name}
    means = {run["name"]: run["mean"]["hole_psnr"] for run in data["runs"]}
    table = pd.read_csv(sweep.folder / "results.csv").set_index("run")
    assert list(table.index) == [run.name for run in study.settings]
    for run in study.settings:
        mean = run.mean("hole_psnr")
        assert means[run.name] == pytest.approx(mean, rel=1e-4)
        assert table.loc[run.name, "hole_psnr"] == pytest.approx(mean, rel=1e-4)
        assert table.loc[run.name, "seeds"] == run.trainings
        assert f"{mean:.2f} ±" in printed

    if study.counts_seeds:
        return  # a choice among networks is not one among settings
    assert select.main([str(sweep.folder), "--metric", "hole_psnr"]) == 0
    choice = pd.read_csv(sweep.folder / "selection.csv").set_index("checkpoint")
    row = choice.loc[f"{second.name}/epoch-{second.best:03d}"]
    numbers = (row["behind_first"], row["behind_low"], row["behind_high"])
    assert numbers == pytest.approx((found.mean, found.low, found.high), abs=1e-5)


def test_the_board_says_the_same_against_the_reference(finished):
    sweep, printed = finished
    study = open_study(sweep.folder)
    reference = study.reference
    board = pd.read_csv(sweep.folder / "board.csv", index_col="variant")
    text = (sweep.folder / "board.md").read_text()
    for run in (*study.ranked, *study.baselines):
        if run is reference:
            continue
        found = study.compare(run, reference)
        row = board.loc[run.label]
        assert row["seeds"] == run.trainings
        assert row["hole_psnr"] == pytest.approx(run.mean("hole_psnr"), rel=1e-4)
        numbers = (row["hole_psnr_difference"], row["hole_psnr_low"], row["hole_psnr_high"])
        assert numbers == pytest.approx((found.mean, found.low, found.high), rel=1e-4, abs=1e-5)
        assert row["hole_psnr_verdict"] == found.verdict
        assert found.interval in text
    if study.ranked[0] is not reference:
        best = study.compare(study.ranked[0], reference)
        assert f"{reference.label}, which the question names: {best.sentence}" in printed


def test_every_seed_remains_a_run_of_its_own(finished):
    sweep, printed = finished
    study = open_study(sweep.folder)
    for setting in study.ranked:
        for number, run in enumerate((setting, *setting.repeats)):
            assert run.seed == sweep.seed + number
            assert run.checkpoint.exists()
            assert list(run.epochs.index) == [1, 2]
            assert len(run.pictures)
            assert run in study.trials
            # The same photos, crops and holes for every seed.
            assert run.scores["hole_ratio"].equals(setting.scores["hole_ratio"])
    if study.counts_seeds:
        repeated = next(run for run in study.ranked if run.repeats)
        first, second = (run.scores["hole_psnr"] for run in (repeated, repeated.repeats[0]))
        assert not first.equals(second)
        assert (
            f"{len(study.trials)} trainings of the 9 that 3 seeds of every setting take" in printed
        )
