"""The board: every variant against the published network, on the same photos."""

import math
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from lab import evaluate, select
from lab import sweep as command
from lab.results import open_run, open_study
from lab.selection.choosing import choose
from lab.selection.keeping import spare_checkpoints
from lab.strategies import METHODS
from lab.studies import begin_sweep, run_sweep
from lab.studies.board import _csv_lines, make_board, markdown
from lab.variants import VARIANTS
from tests.studies.conftest import write_question

SWEEPS = Path(__file__).parents[2] / "sweeps"
SMALL = {
    "search": {
        "variant": {"choices": ["published", "channel_gate", "recurrent_without_vgg"]},
        # Of one value: no trial is called by it.
        "model.optimization.gradient_clip": {"choices": [1.0]},
    },
    "first": [{"variant": "published"}],
    "applied": {"repeated": {"model.strategy.erosion": 1}, "tiled": {}},
    "sampler": "grid",
    "goal": ["hole_ssim", "hole_texture"],
    "epochs": 1,
}


class Finished:
    def __init__(self, folder):
        write_question(folder / "sweeps", **SMALL)
        self.sweep = begin_sweep("tiny", runs=folder / "runs", sweeps=folder / "sweeps")
        with (folder / "printed.txt").open("w") as file:
            console = Console(file=file, width=80)
            self.results = run_sweep(self.sweep, 1, console)
        self.printed = (folder / "printed.txt").read_text()
        self.folder = self.sweep.folder
        self.board = make_board(self.sweep, self.results)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        yield Finished(tmp_path_factory.mktemp("board"))


def test_each_variant_trains_once_and_the_others_are_put_on_the_reference(finished):
    assert finished.sweep.question.trials == 3
    assert {row.label for row in finished.results.study.ranked} == set(
        SMALL["search"]["variant"]["choices"]
    )
    assert [row.label for row in finished.results.study.applied] == ["repeated", "tiled"]
    reference = finished.results.study.reference
    assert reference.label == "published"
    for row in finished.results.study.applied:
        assert row.checkpoint == reference.checkpoint
        assert list(row.best_scores.index) == list(reference.best_scores.index)


def test_differences_are_paired_by_photo(finished):
    reference = finished.results.study.reference
    for line in finished.board.lines:
        if line.run.state == "baseline":
            continue
        scores = open_run(line.run.folder).scores_at(1)["hole_ssim"]
        against = open_run(reference.folder).scores_at(1)["hole_ssim"]
        gain = scores - against[scores.index]
        found = line.differences["hole_ssim"]
        assert found.mean == pytest.approx(gain.mean(), abs=1e-6)
        assert found.share_won == pytest.approx(((gain > 0) + 0.5 * (gain == 0)).mean())
        assert found.verdict == "no difference" or not found.low <= 0 <= found.high
        counted = sum(difference.samples for difference in line.by_bin.values())
        assert counted == found.samples == 6
        assert found.photos == 3


def test_the_board_is_left_as_csv_markdown_and_pictures(finished):
    table = pd.read_csv(finished.folder / "board.csv", index_col="variant")
    names = ["published", *(line.run.label for line in finished.board.lines)]
    assert list(table.index) == names
    assert math.isnan(table.loc["published", "hole_ssim_difference"])
    for goal in SMALL["goal"]:
        assert set(table[f"{goal}_verdict"].dropna()) <= {"better", "worse", "no difference"}
        assert table[f"{goal}_difference"].notna().sum() == len(names) - 1
    # RFR is another network; a gate costs a few parameters; a strategy none.
    assert table.loc["channel_gate", "parameters"] > table.loc["published", "parameters"]
    assert table.loc["tiled", "parameters"] == table.loc["published", "parameters"]
    assert table.loc["tiled", "multiply_adds"] > table.loc["published", "multiply_adds"]
    assert table.loc["telea", "parameters"] == 0

    text = (finished.folder / "board.md").read_text()
    compared = text.partition("| cost of one photo")[0]  # what follows was measured anew
    assert markdown(finished.board).startswith(compared)
    for name in names:
        title = f"{VARIANTS[name].number}: {VARIANTS[name].title}" if name in VARIANTS else name
        assert title in text
    assert "pasted between; here erosion 1)" in text
    sheet = np.asarray(Image.open(finished.folder / "board.png"))
    # A column a row of the board, its hole and its truth, of 128 pixels or more.
    assert sheet.shape[1] > (len(names) + 2) * 128
    assert "no difference" in finished.printed
    # A folder's name is not broken into lines, and may be longer than the terminal is wide.
    lines = [line for line in finished.printed.splitlines() if "/" not in line]
    assert max(map(len, lines)) <= 200


def test_a_study_can_be_asked_again_and_says_the_same(finished, tmp_path):
    with (tmp_path / "again.txt").open("w") as file:
        again = run_sweep(finished.sweep, 1, Console(file=file, width=80))
    assert [row.mean("hole_ssim") for row in again.study.applied] == pytest.approx(
        [row.mean("hole_ssim") for row in finished.results.study.applied]
    )


@pytest.mark.slow
def test_the_shipped_board_of_variants_runs_on_starter_photos(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("COLUMNS", "80")
    options = ["--data.samples_per_epoch=8", "--data.validation_crops=1", "--data.size=32"]
    arguments = ["variants", "--epochs", "1", "--workers", "1", "--runs", str(tmp_path), *options]
    assert command.main([*arguments, "--sweeps", str(SWEEPS)]) == 0
    table = pd.read_csv(tmp_path / "variants" / "board.csv")
    assert len(table) == 12 + 5 + len(METHODS)
    assert "failed" not in capsys.readouterr().out


def test_a_question_about_a_network_scores_it_under_every_setting(
    tmp_path, finished, monkeypatch, capsys
):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    write_question(
        tmp_path / "sweeps",
        trains=False,
        epochs=1,
        sampler="grid",
        search={"model.strategy.rows": {"choices": [1, 2], "also": ["model.strategy.columns"]}},
        first=[{"model.strategy.rows": 1}],
        base={
            "model": {"strategy": "lab.strategies.Tiled"},
            "data": {"size": 32, "validation_photos": 3, "validation_crops": 2},
        },
    )
    reference = finished.results.study.reference
    sweep = begin_sweep(
        "tiny", runs=tmp_path, sweeps=tmp_path / "sweeps", checkpoint=reference.checkpoint
    )
    with (tmp_path / "printed.txt").open("w") as file:
        results = run_sweep(sweep, 1, Console(file=file, width=100))
    assert len(results.study.ranked) == 2
    # One tile is the network as it is: the scores of its own run.
    assert results.study.reference.best_scores["hole_ssim"].to_numpy() == pytest.approx(
        reference.best_scores["hole_ssim"].to_numpy(), abs=2e-3
    )
    printed = (tmp_path / "printed.txt").read_text()
    (use,) = re.findall(r"Use it: python -m lab\.evaluate (.*)", printed)
    assert evaluate.main([*shlex.split(use), "--runs", str(tmp_path / "used")]) == 0
    again = open_study(tmp_path / "used" / "evaluation").runs[0]
    best = results.study.ranked[0].best_scores["hole_ssim"]
    assert again.best_scores["hole_ssim"].to_numpy() == pytest.approx(best.to_numpy(), abs=1e-6)
    assert "Pruning" not in printed
    # The network is a person's own file, which choosing among its settings deletes in no case.
    assert select.main([str(sweep.folder), "--keep", "1"]) == 2
    assert "a file of your own" in capsys.readouterr().err
    assert spare_checkpoints(choose(open_study(sweep.folder), ["hole_ssim"]), 1) == []
    assert reference.checkpoint.exists()


def test_trials_of_one_name_keep_their_own_numbers(finished):
    board = finished.board
    # As where a question varies variants alone, and draws one again.
    alike = [
        replace(line, run=replace(line.run, label=board.reference.label)) for line in board.lines
    ]
    board = replace(board, lines=alike)
    table = _csv_lines(board)
    differences = [line.get("hole_ssim_difference") for line in table]
    assert differences[0] is None, "of the reference to itself there is none"
    assert differences[1:] == [line.differences["hole_ssim"].mean for line in board.lines]
