"""W&B is never in the way: switched off, logged out or not answering; and it shows the truth."""

import json
import os
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import wandb
from PIL import Image

from lab.imaging import to_uint8
from lab.tracking import start_wandb
from tests.reporting.wandb_stand_in import StandIn
from tests.tiny import PROJECT, fit_tiny, read_photos, tiny_experiment
from tests.tracking.offline_run import config, history, records

SIX = ("--data.validation_crops=2", "--fit.log_every=1")


class InterruptedError(Exception):
    """Stands for whatever ends a process."""


def interrupt(progress):
    if progress.epoch == 2:
        raise InterruptedError


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """A run of two epochs, interrupted in the second and resumed, tracked offline."""
    folder = tmp_path_factory.mktemp("resumed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        with pytest.raises(InterruptedError):
            fit_tiny(folder, *SIX, "--fit.epochs=2", group="a study", on_step=interrupt)
        fit_tiny(folder, *SIX, "--fit.epochs=2", group="a study")
    return folder


@pytest.fixture(scope="module")
def files(resumed):
    """The files of both halves; W&B's own process may still be writing when the run has ended."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        files = sorted(resumed.glob("wandb/offline-run-*/*.wandb"))
        whole = [any(r.WhichOneof("record_type") == "exit" for r in records(f)) for f in files]
        if len(files) == 2 and all(whole):
            return files
        time.sleep(0.1)
    pytest.fail("W&B never wrote the end of both halves")


def run_records(file):
    return [r.run for r in records(file) if r.WhichOneof("record_type") == "run"]


def scored(file):
    return [step for step in history(file) if "val/hole_psnr" in step]


def test_a_resumed_run_goes_on_as_the_same_run_of_its_study(files):
    (first,), (second,) = (run_records(file) for file in files)
    assert first.run_id == second.run_id
    assert first.run_group == second.run_group == "a study"
    assert first.display_name == second.display_name == "run"
    assert config(files[0]) == config(files[1])


def test_each_half_logs_its_own_epochs_and_how_it_ended(files):
    assert [[step["epochs_trained"] for step in scored(file)] for file in files] == [[1], [2]]
    ends = [
        [r.exit.exit_code for r in records(file) if r.WhichOneof("record_type") == "exit"]
        for file in files
    ]
    assert ends[0] != [0]
    assert ends[1] == [0]


def test_the_metrics_are_the_means_over_the_photos(resumed, files):
    means = read_photos(resumed).groupby(level=("epoch", "metric")).mean()
    for epoch, file in enumerate(files, start=1):
        (step,) = scored(file)
        for metric in means.index.get_level_values("metric").unique():
            assert step[f"val/{metric}"] == pytest.approx(means[epoch, metric], rel=1e-4)


def test_epochs_are_the_steps_of_metrics_and_visuals(files):
    definitions = [r.metric for r in records(files[0]) if r.WhichOneof("record_type") == "metric"]
    steps = {metric.glob_name or metric.name: metric.step_metric for metric in definitions}
    assert steps["val/*"] == steps["visuals/*"] == "epochs_trained"


def test_the_pictures_show_what_their_captions_say(resumed, files):
    samples = tiny_experiment(*SIX).data.validation_samples
    for epoch, file in enumerate(files, start=1):
        (step,) = [s for s in history(file) if any(k.startswith("visuals/") for k in s)]
        for index in range(6):
            sample = samples[index]
            key, folder = f"visuals/{sample.sample}", resumed / "visuals" / str(sample.sample)
            pictures = {
                caption: np.asarray(Image.open(file.parent / "files" / name).convert("RGB"))
                for caption, name in zip(
                    step[f"{key}.captions"], step[f"{key}.filenames"], strict=True
                )
            }
            truth = to_uint8(sample.image)
            hole = sample.mask[0].numpy() == 1
            assert np.array_equal(pictures["truth"], truth)
            assert np.array_equal(pictures["completed"][~hole], truth[~hole])
            assert not np.array_equal(pictures["completed"][hole], truth[hole])
            assert np.array_equal(pictures["completed"][hole], pictures["refined"][hole])
            assert not np.array_equal(pictures["photo with its hole"][hole], truth[hole])
            assert np.array_equal(pictures["photo with its hole"][~hole], truth[~hole])
            for stage in ("coarse", "refined", "completed"):
                on_disk = np.asarray(Image.open(folder / f"epoch-{epoch:03d}-{stage}.png"))
                assert np.array_equal(pictures[stage], on_disk)
            assert np.array_equal(np.asarray(Image.open(folder / "truth.png")), truth)


@pytest.mark.parametrize("mode", ["disabled", "offline"])
def test_disabled_means_no_tracker_and_no_folder(tmp_path, monkeypatch, mode):
    monkeypatch.setenv("WANDB_MODE", mode)
    tracker = start_wandb(tmp_path, "run", None, "0123456789abcdef", {"data": {"size": 32}})
    assert (tracker is None) == (mode == "disabled")
    if tracker is not None:
        tracker.finish()
    assert (tmp_path / "wandb").exists() == (mode == "offline")


def test_a_silent_server_is_waited_for_once_in_a_process(tmp_path, monkeypatch):
    asked = []

    def start(folder, name, group, run_id, config, mode):
        asked.append(mode)
        if mode == "online":
            raise wandb.errors.CommError("timed out")
        return wandb.init(mode="disabled")

    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr("lab.tracking.wandb_tracker._server_is_silent", False)
    monkeypatch.setattr("lab.tracking.wandb_tracker._start", start)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trackers = [start_wandb(tmp_path, "run", None, f"run-{n}", {}) for n in range(3)]
    for tracker in trackers:
        tracker.finish()
    assert asked == ["online", "offline", "offline", "offline"]
    (warning,) = [str(w.message) for w in caught if "did not answer" in str(w.message)]
    assert "timed out" in warning
    assert "later ones of this process are tracked offline" in warning


def start_in_a_process(folder, patience=120.0, connecting=30.0, **environment):
    """Start W&B twice as a person's process would, with standard input open.

    ``patience`` are the seconds that it waits for what is still to be sent, ``connecting`` those
    for the first answer.

    Returns the seconds that each run took, and all that was said.
    """
    script = f"""
        import json, time, warnings
        from pathlib import Path
        from lab.tracking import start_wandb, wandb_tracker

        wandb_tracker._SECONDS_TO_FINISH = {patience}
        wandb_tracker._SECONDS_TO_CONNECT = {connecting}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            seconds = []
            for number in range(2):
                began = time.monotonic()
                tracker = start_wandb(Path({str(folder)!r}), "run", None, f"run{{number}}", {{}})
                tracker.log_epoch(1, {{"val/hole_psnr": 20.0}})
                tracker.finish()
                seconds.append(time.monotonic() - began)
        print(json.dumps([seconds, [str(warning.message) for warning in caught]]))
    """
    folder.mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=folder,
        env={**kept, "HOME": str(folder), "PYTHONPATH": str(PROJECT), **environment},
        stdin=subprocess.PIPE,  # a prompt would wait here
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=150)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    seconds, warned = json.loads(output.splitlines()[-1])
    return seconds, " ".join(warned)


def offline_files(folder):
    return list(Path(folder).glob("wandb/offline-run-*/*.wandb"))


@pytest.mark.slow
def test_who_is_not_logged_in_is_tracked_offline_and_not_asked(tmp_path):
    seconds, warned = start_in_a_process(tmp_path / "run")
    assert max(seconds) < 30
    assert "did not answer" not in warned
    assert [len(scored(file)) for file in offline_files(tmp_path / "run")] == [1, 1]


@pytest.mark.slow
def test_a_server_that_does_not_answer_means_offline_with_a_warning(tmp_path):
    seconds, warned = start_in_a_process(
        tmp_path / "run",
        connecting=5.0,
        WANDB_MODE="online",
        WANDB_BASE_URL="http://127.0.0.1:9",
        WANDB_API_KEY="a" * 40,
    )
    assert seconds[0] < 60
    assert seconds[1] < 15  # the server is not waited for again
    assert warned.count("did not answer") == 1
    assert [len(scored(file)) for file in offline_files(tmp_path / "run")] == [1, 1]


@pytest.mark.slow
def test_a_server_that_stops_answering_is_waited_for_once_and_not_without_end(tmp_path):
    server = StandIn(hangs=True)
    try:
        seconds, warned = start_in_a_process(
            tmp_path / "run",
            patience=5.0,
            WANDB_MODE="online",
            WANDB_BASE_URL=server.url,
            WANDB_API_KEY="0" * 40,
        )
    finally:
        server.close()
    assert "W&B did not take all within 5 s" in warned
    assert 4 < seconds[0] < 60
    assert len(offline_files(tmp_path / "run")) == 1
    assert [len(scored(file)) for file in (tmp_path / "run").glob("wandb/*run-*/*.wandb")] == [1, 1]
