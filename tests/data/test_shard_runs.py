"""Runs on shards: through the command, and interrupted as one likes."""

import os
import re
import shutil
import signal

import pandas as pd
import pytest
import torch

from lab import train
from lab.faults import in_one_line
from lab.parsing import SettingsError
from lab.runs import change_of_devices
from lab.studies.sweeping import begin_sweep
from tests.data.shards import pack
from tests.tiny import TINY, fit_tiny, read_photos, tiny_experiment

OPTIONS = (
    "--data.samples_per_epoch=null",
    "--fit.epochs=3",
    # Large steps, so that another order of photos would show.
    "--model.optimization.generator_learning_rate=0.01",
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return pack(tmp_path_factory.mktemp("runs"), count=16)


class InterruptedError(Exception):
    """Stands for whatever ends a process."""


def networks(run):
    return [
        torch.load(run / "checkpoints" / f"epoch-{epoch:03d}.pt", weights_only=True)["state"]
        for epoch in (1, 2, 3)
    ]


def assert_same_run(run, whole):
    for found, expected in zip(networks(run), networks(whole), strict=True):
        for name, tensor in expected.items():
            torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-6)
    pd.testing.assert_series_equal(read_photos(run), read_photos(whole), atol=1e-6)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_run_goes_on_with_the_next_epoch_and_ends_the_same(
    shards, tmp_path, workers
):
    options = (f"--data.photos={shards}", f"--data.workers={workers}", *OPTIONS)
    assert fit_tiny(tmp_path / "whole", *options) == [1, 2, 3]

    def interrupt(progress):
        if (progress.epoch, progress.step) == (2, 3):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_tiny(tmp_path / "run", *options, on_step=interrupt)
    assert fit_tiny(tmp_path / "run", *options) == [2, 3]
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    scored = {name for _, name, _ in read_photos(tmp_path / "run").index}
    assert len(scored) == 6  # of three photos
    pictures = {path.name for path in (tmp_path / "run" / "visuals").iterdir()}
    assert pictures == scored


def test_train_says_what_it_found_and_refuses_altered_shards(shards, tmp_path, capsys):
    command = [*TINY, *OPTIONS, f"--data.photos={shards}", "--runs", str(tmp_path)]
    assert train.main([*command, "--fit.epochs=1"]) == 0
    output = capsys.readouterr().out
    assert "16 photos for training in 6 shards, 3 for validation (by their splits)" in output
    (shards / "train-000001.tar").rename(tmp_path / "away.tar")
    try:
        assert train.main([*command, "--name", "other"]) == 2
    finally:
        (tmp_path / "away.tar").rename(shards / "train-000001.tar")
    assert re.search(r"error: the shard .*train-000001.tar is missing", capsys.readouterr().err)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shard_that_is_damaged_meanwhile_fails_no_trial(shards, tmp_path, workers):
    packed = shutil.copytree(shards, tmp_path / "packed")
    whole = [path.read_bytes() for path in sorted(packed.glob("train-*.tar"))]
    options = (f"--data.photos={packed}", f"--data.workers={workers}", *OPTIONS)

    def damage(score):
        for path, content in zip(sorted(packed.glob("train-*.tar")), whole, strict=True):
            path.write_bytes(content[: len(content) // 2])

    with pytest.raises(Exception, match=r"is damaged \(at byte") as ended:
        fit_tiny(tmp_path / "run", *options, on_epoch=damage)
    said = in_one_line(ended.value)
    assert "pack the photos again" in said
    assert said.endswith("the same command goes on")
    assert "\n" not in said
    for path, content in zip(sorted(packed.glob("train-*.tar")), whole, strict=True):
        path.write_bytes(content)
    assert fit_tiny(tmp_path / "run", *options) == [2, 3]


def test_what_changes_with_the_devices_is_said_of_shards_and_of_folders(shards, tmp_path):
    run = tmp_path / "run"
    fit_tiny(run, "--fit.epochs=1")
    of_shards, of_folder = (
        change_of_devices(tiny_experiment(*options, "--fit.devices=2"), run)
        for options in ([f"--data.photos={shards}"], [])
    )
    for each in (of_shards, of_folder):
        assert each.startswith("The run had 1 device and goes on with 2: steps")
        assert each.endswith("begins anew on those that were not there")
    assert "steps, batches, crops, masks and learning rates stay as they were. Sums" in of_folder
    assert "batches" not in of_shards
    assert "but other photos meet in a batch" in of_shards


@pytest.mark.slow
def test_a_study_knows_the_shards_it_was_begun_with(shards, tmp_path):
    runs = tmp_path / "runs"
    settings = [option for option in TINY if not option.startswith("--fit.")]
    sweep = begin_sweep("loss_weights", settings=settings, photos=shards, runs=runs)
    source = sweep.data().source
    assert sweep.identity["photos"] == f"16 + 3, digest {source.digest}"
    other = pack(tmp_path, count=15)
    with pytest.raises(SettingsError, match="photos"):
        begin_sweep("loss_weights", settings=settings, photos=other, runs=runs)


@pytest.mark.slow
def test_a_killed_command_given_again_ends_as_if_never_killed(shards, tmp_path, start):
    options = (f"--data.photos={shards}", "--data.workers=1", *OPTIONS)
    longer = (*options, "--data.samples_per_epoch=64")
    command = [*TINY, *longer, "--name", "run", "--runs", tmp_path / "runs"]
    process = start("train", *command, folder=tmp_path)
    for line in process.stdout:
        if line.startswith("epoch 1:"):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not (tmp_path / "runs" / "run" / "checkpoints" / "epoch-003.pt").exists()
    process = start("train", *command, folder=tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert fit_tiny(tmp_path / "whole", *longer) == [1, 2, 3]
    assert_same_run(tmp_path / "runs" / "run", tmp_path / "whole")
