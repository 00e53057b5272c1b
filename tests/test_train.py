"""`python -m lab.train` as a person uses it: what it says while it trains and at its end."""

import re

import pytest

from lab import train
from lab.runs import StepProgress, TimeLeft
from lab.variants import VARIANTS
from tests.tiny import TINY


def test_it_ends_with_the_commands_that_go_on(tmp_path, capsys):
    command = [*TINY, "--runs", str(tmp_path), "--name", "first", "--fit.epochs=2"]
    assert train.main(command) == 0
    printed = capsys.readouterr().out
    folder = tmp_path / "first"
    assert f"Look at it: python -m lab.report {folder}\n" in printed
    best = re.search(r"Best by hole_ssim: epoch (\d)", printed)[1]
    assert f"--checkpoint {folder}/checkpoints/epoch-00{best}.pt -o OUT" in printed
    before = (folder / "photos.csv").stat().st_mtime_ns
    assert train.main(command) == 0
    again = capsys.readouterr().out
    assert f"The run in {folder} has its 2 epochs already" in again
    assert f"Look at it: python -m lab.report {folder}\n" in again
    assert (folder / "photos.csv").stat().st_mtime_ns == before


def test_a_table_that_was_damaged_is_one_line_after_training_too(tmp_path, capsys):
    options = [*TINY, "--runs", str(tmp_path), "--fit.epochs=1"]
    assert train.main(options) == 0
    table = tmp_path / "train" / "photos.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*lines[:2], *lines[1:]]))
    capsys.readouterr()
    assert train.main([*options[:-1], "--fit.epochs=2"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: ")
    assert "two rows of one epoch and sample" in said[-1]


def test_settings_that_only_evaluations_follow_are_refused(tmp_path, capsys, monkeypatch):
    command = [*TINY, "--runs", str(tmp_path), "--fit.epochs=1", "--evaluation.boundary_attack=0.3"]
    assert train.main(command) == 2
    said = capsys.readouterr().err
    assert "evaluation.boundary_attack is 0.3, which trainings do not follow" in said
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())
    # A run that was begun with one, when it was passed over in silence, goes on.
    with monkeypatch.context() as earlier:
        earlier.setattr("lab.runs.refuse_evaluation", lambda experiment: None)
        assert train.main(command) == 0
    assert train.main([*command, "--fit.epochs=2"]) == 0


def test_variants_are_listed_and_taken_in_either_form(tmp_path, capsys):
    assert train.main(["--variant", "list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed and variant.title in listed for name, variant in VARIANTS.items())
    for form in (["--variant", "both_gates"], ["--variant=both_gates"]):
        options = [*form, "--model.network.gct_norm=l2", "--print-config"]
        assert train.main(options) == 0
        printed = capsys.readouterr().out
        assert "gate: both\n" in printed
        assert "gct_norm: l2\n" in printed


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--trainer.accelerator=gpu", "Here it is a setting: --fit.device=VALUE"),
        ("--trainer.max_epochs=3", "--fit.epochs=VALUE"),
        ("--lr=0.1", "--model.optimization.generator_learning_rate=VALUE"),
    ],
)
def test_what_others_call_it_is_answered_by_our_name(option, said, capsys):
    with pytest.raises(SystemExit):
        train.main([option])
    assert said in capsys.readouterr().err


def test_the_time_left_follows_the_steps_of_this_call(monkeypatch):
    now = iter([100.0, 110.0, 120.0])
    monkeypatch.setattr("lab.runs.fitting.time.monotonic", lambda: next(now))
    left = TimeLeft()
    # Resumed in the second of three epochs: five steps in ten seconds, then as many again.
    assert left.after(StepProgress(2, 3, 5, 20, 1.0)) == "–"
    assert left.after(StepProgress(2, 3, 10, 20, 1.0)) == "1:00"
    assert left.after(StepProgress(2, 3, 15, 20, 1.0)) == "0:50"
