"""The command: what it prints at 80 columns, writes, deletes and refuses."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from lab import select
from lab.files import lock_run
from lab.selection.votes import add_vote, draw_pairs, vote
from tests.selection.run_folders import write_run, write_study
from tests.tiny import PROJECT, fit_tiny


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def networks(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("epoch-*.pt"))


def test_a_real_run_is_ranked_and_every_guard_finds_its_figures(tmp_path, capsys):
    fit_tiny(tmp_path / "run", "--fit.epochs=2", "--data.validation_crops=2")
    assert select.main([str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "2 checkpoints by hole_ssim" in printed
    assert "is not judged" not in printed
    assert "are not judged" not in printed
    losses = pd.read_csv(tmp_path / "run" / "losses.csv")
    assert {"total", "discriminator", "real_logit", "fake_logit"} <= set(losses)
    assert losses.notna().all(axis=None)


def test_it_fits_80_columns_and_writes_what_it_says(tmp_path, capsys):
    study = write_study(tmp_path, [[0.5, 0.61], [0.62, 0.62, 0.615], [0.3] * 12], photos=12)
    assert select.main([str(study), "--metric", "hole_ssim", "hole_psnr"]) == 0
    printed = capsys.readouterr().out
    tables = [line for line in printed.splitlines() if not line.startswith(("Chosen", "Note"))]
    assert max(map(len, tables)) <= 80
    assert "can't be told apart by hole_ssim" in printed
    table = pd.read_csv(study / "selection.csv")
    assert list(table["rank"]) == list(range(1, 18))
    assert table["probability_best"].sum() == pytest.approx(1.0, abs=1e-4)
    content = json.loads((study / "selection.json").read_text())
    assert content["chosen"] == table.loc[table["chosen"], "checkpoint"].item()
    assert content["metrics"] == ["hole_ssim", "hole_psnr"]
    assert content["checkpoints"][0]["checkpoint"] == table["checkpoint"][0]


def test_keep_deletes_the_rest_and_nothing_else(tmp_path, capsys):
    study = write_study(tmp_path, [[0.5, 0.6], [0.4, 0.8]])
    before = networks(study)
    assert select.main([str(study), "--keep", "2", "--dry-run"]) == 0
    assert "Would delete 2 networks" in capsys.readouterr().out
    assert networks(study) == before
    assert select.main([str(study), "--keep", "2"]) == 0
    assert "Deleting 2 networks" in capsys.readouterr().out
    assert networks(study) == [
        "trials/trial-000/checkpoints/epoch-002.pt",
        "trials/trial-001/checkpoints/epoch-002.pt",
    ]
    assert len(list(study.rglob("last.ckpt"))) == 2
    # Again: what is gone is marked, and nothing more goes.
    assert select.main([str(study), "--keep", "2"]) == 0
    assert "Deleting 0 networks" in capsys.readouterr().out
    assert len(networks(study)) == 2


def test_the_chosen_one_stays_though_marked_ones_score_better(tmp_path):
    blur = {"hole_blur": lambda epoch: 2.0 if epoch < 3 else 0.1}
    run = write_run(tmp_path, [0.8, 0.7, 0.6, 0.1], **blur)
    assert select.main([str(run), "--keep", "1"]) == 0
    assert networks(run) == ["checkpoints/epoch-003.pt"]


def test_what_the_votes_prefer_stays_too(tmp_path):
    run = write_run(tmp_path, [0.8, 0.7, 0.6])
    (pair,) = draw_pairs({"photo0": ["epoch-002", "epoch-003"]}, 1, seed=0)
    choice = "left" if pair.left == "epoch-003" else "right"
    add_vote(run, vote(pair, choice, "anna"))
    assert select.main([str(run), "--keep", "1"]) == 0
    assert networks(run) == ["checkpoints/epoch-001.pt", "checkpoints/epoch-003.pt"]


def test_nothing_is_deleted_while_a_process_writes(tmp_path, capsys):
    study = write_study(tmp_path, [[0.5, 0.6], [0.4, 0.8]])
    before = networks(study)
    lock = lock_run(study / "trials" / "trial-001")
    try:
        assert select.main([str(study), "--keep", "1"]) == 2
        assert "a process is writing" in capsys.readouterr().err
        assert select.main([str(study)]) == 0, "looking is always possible"
    finally:
        lock.release()
    assert networks(study) == before
    assert select.main([str(study), "--keep", "1"]) == 0
    assert lock_run(study / "trials" / "trial-000") is not None, "the locks are given back"


def test_a_run_that_trains_holds_the_lock(tmp_path, monkeypatch, capsys):
    from lab import train
    from tests.tiny import TINY

    lock = lock_run(tmp_path / "runs" / "first")
    assert train.main([*TINY, "--runs", str(tmp_path / "runs"), "--name", "first"]) == 2
    assert "another process is writing" in capsys.readouterr().err
    lock.release()
    held = []

    def watch(*arguments, **options):
        held.append(lock_run(tmp_path / "runs" / "first") is None)

    monkeypatch.setattr("lab.runs.fit_run", watch)
    monkeypatch.setattr(train, "print_next_steps", lambda folder: None)
    assert train.main([*TINY, "--runs", str(tmp_path / "runs"), "--name", "first"]) == 0
    assert held == [True]


def test_votes_are_ranked_and_compared_with_the_metrics(tmp_path, capsys):
    run = write_run(tmp_path, [0.2, 0.5, 0.8])
    names = ["epoch-001", "epoch-002", "epoch-003"]
    for pair in draw_pairs({f"photo{index}": names for index in range(6)}, 18, seed=0):
        add_vote(run, vote(pair, "left" if pair.left > pair.right else "right", "anna"))
    assert select.main([str(run), "--votes"]) == 0
    printed = capsys.readouterr().out
    assert "Blind votes of anna" in printed
    assert "hole_ssim" in printed
    content = json.loads((run / "selection.json").read_text())
    assert [item["checkpoint"] for item in content["votes"]] == names[::-1]
    (found,) = [item for item in content["agreement"] if item["metric"] == "hole_ssim"]
    assert (found["share"], found["votes"]) == (1.0, 18)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--keep", "0"], "at least 1"), (["--dry-run"], "give --keep"), (["--vote"], "--votes")],
)
def test_options_that_make_no_sense_are_refused(tmp_path, capsys, arguments, said):
    with pytest.raises(SystemExit):
        select.main([str(tmp_path), *arguments])
    assert said in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_refused(tmp_path, capsys):
    assert select.main([str(tmp_path)]) == 2
    assert "neither a run" in capsys.readouterr().err


def test_help_does_not_wait_for_pytorch():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "lab.select", "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "example:" in done.stdout
    assert "import torch" not in done.stderr
    assert " torch\n" not in done.stderr
