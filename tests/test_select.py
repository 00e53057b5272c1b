"""The command: what it prints at 80 columns, writes, deletes and refuses."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lab import select
from lab.files import lock_run
from lab.selection.votes import add_vote, draw_pairs, vote
from tests.selection.run_folders import write_run, write_study, write_untrained
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


def voted_study(folder, photos=12):
    """Two trials and two methods, voted on by who follows ``hole_ssim``; two bins of ratios."""
    study = write_study(folder, [[0.5], [0.6]], photos=photos)
    draws = np.random.default_rng(0)
    for name in ("telea", "patch-match"):
        write_untrained(study / "baselines" / name, 0, draws.normal(0.6, 0.2, photos))
    scored = {}
    for path in sorted(study.glob("*/*/photos.csv")):
        table = pd.read_csv(path)
        large = table["photo"].str.removeprefix("photo").astype(int) >= photos // 2
        table.loc[large, "hole_ratio"] = 0.4
        table.to_csv(path, index=False)
        name = (
            f"{path.parent.name}" if path.parts[-3] == "trials" else f"baselines/{path.parent.name}"
        )
        scored[f"{name}/epoch-{table['epoch'][0]:03d}"] = table.set_index("sample")["hole_ssim"]
    completions = {f"photo{index}": sorted(scored) for index in range(photos)}
    for pair in draw_pairs(completions, 60, seed=0):
        lead = scored[pair.left][pair.photo] - scored[pair.right][pair.photo]
        add_vote(study, vote(pair, "left" if lead > 0 else "right", "anna"))
    return study


def test_votes_between_trials_and_methods_say_which_metric_agrees(tmp_path, capsys):
    study = voted_study(tmp_path)
    assert select.main([str(study), "--votes"]) == 0
    printed = capsys.readouterr().out
    tables = [line for line in printed.splitlines() if not line.startswith(("Chosen", "Note"))]
    assert max(map(len, tables)) <= 80
    assert "patch-match" in printed
    assert "trial 1, epoch 1" in printed
    table = pd.read_csv(study / "agreement.csv")
    assert list(table) == ["hole_ratio", "metric", "share", "low", "high", "votes", "photos"]
    assert set(table["hole_ratio"]) == {"all", "0.0-0.3", "0.3-0.5"}
    first = table.iloc[0]
    assert (first["metric"], first["share"], first["votes"], first["photos"]) == (
        "hole_ssim",
        1.0,
        60,
        12,
    )
    # All else is the same of every fill, and sees no difference.
    everything = table[table["hole_ratio"] == "all"]
    assert (everything["share"][1:] == 0.5).all()
    bins = table[(table["metric"] == "hole_ssim") & (table["hole_ratio"] != "all")]
    assert bins["votes"].sum() == 60
    content = json.loads((study / "selection.json").read_text())
    assert {item["checkpoint"] for item in content["votes"]} == {
        "trial-000/epoch-001",
        "trial-001/epoch-001",
        "baselines/telea/epoch-000",
        "baselines/patch-match/epoch-000",
    }


def test_few_votes_are_said_to_be_few_and_have_no_bins(tmp_path, capsys):
    study = voted_study(tmp_path)
    lines = (study / "votes" / "anna.jsonl").read_text().splitlines(keepends=True)
    (study / "votes" / "anna.jsonl").write_text("".join(lines[:7]))
    assert select.main([str(study), "--votes"]) == 0
    assert "7 votes chose a fill that is scored: too few" in capsys.readouterr().out
    assert set(pd.read_csv(study / "agreement.csv")["hole_ratio"]) == {"all"}


def test_votes_on_what_is_not_there_are_told_and_left_out(tmp_path, capsys):
    study = write_study(tmp_path, [[0.5], [0.6]])
    (pair,) = draw_pairs({"photo0": ["trial-007/epoch-001", "baselines/gone/epoch-000"]}, 1, seed=0)
    add_vote(study, vote(pair, "left", "anna"))
    assert select.main([str(study), "--votes"]) == 0
    assert "1 votes are on checkpoints or photos without scores here" in capsys.readouterr().out
    assert not (study / "agreement.csv").exists()


def test_a_method_that_wins_the_votes_does_not_cost_the_network_that_comes_next(tmp_path):
    study = write_study(tmp_path, [[0.8, 0.7, 0.6]])
    names = ["trial-000/epoch-003", "baselines/telea/epoch-000"]
    write_untrained(study / "baselines" / "telea", 0, [0.5] * 20)
    (pair,) = draw_pairs({"photo0": names}, 1, seed=0)
    add_vote(study, vote(pair, "left" if pair.left == names[1] else "right", "anna"))
    assert select.main([str(study), "--keep", "1"]) == 0
    assert networks(study) == [
        f"trials/trial-000/checkpoints/epoch-{epoch:03d}.pt" for epoch in (1, 3)
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--keep", "0"], "at least 1"),
        (["--dry-run"], "give --keep"),
        (["--vote"], "--votes"),
        (["--seed", "-1"], "must not be negative"),
    ],
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
