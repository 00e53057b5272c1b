"""The smallest runs that still train, half a second each: for tests of what surrounds them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from lab.runs import fit_run
from lab.settings import build_experiment, parse_experiment
from tests import forking

PROJECT = Path(__file__).parents[1]

TINY = (
    "--fit.threads=1",
    "--fit.precision=float32",
    "--fit.device=cpu",
    "--model.network=lab.networks.InpaintSANet",
    "--model.network.width=8",
    "--model.judges.whole=lab.networks.PatchDiscriminator",
    "--model.judges.whole.width=8",
    "--model.judges.whole.depth=2",
    "--data.size=32",
    "--data.batch_size=4",
    "--data.samples_per_epoch=8",
    "--data.validation_photos=3",
    "--data.validation_crops=2",
)


def tiny_experiment(*options):
    return build_experiment(parse_experiment([*TINY, *options]))


def put_photos(folder, seeds=range(8)):
    """Photos of blotches in a folder, and nothing else of theirs; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("photo*.png"):
        path.unlink()
    for seed in seeds:
        small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize((64, 48)).save(folder / f"photo{seed}.png")
    return folder


def fit_tiny(folder, *options, **reports):
    """Train a tiny run in ``folder``; returns the numbers of the epochs that were trained."""
    trained = []
    on_epoch = reports.pop("on_epoch", lambda score: None)

    def note(score):
        trained.append(score.epoch)
        on_epoch(score)

    fit_run(tiny_experiment(*options), folder, folder.name, on_epoch=note, **reports)
    return trained


def read_photos(run):
    """``photos.csv`` as it is on disk: a value for each (epoch, sample, metric)."""
    table = pd.read_csv(run / "photos.csv", keep_default_na=False)
    assert not table.duplicated(["epoch", "sample"]).any()
    values = table.drop(columns=["photo", "hole_ratio"]).set_index(["epoch", "sample"])
    return values.rename_axis(columns="metric").stack().astype(float).sort_index()


def start_command(command, *arguments, folder, tracking="disabled", before=(), cold=False):
    """Start ``python -m lab.<command>`` as its own process group; its output is to be read.

    It is forked from a process that has imported what it imports (`tests.forking`), where that is
    possible.

    Args:
        command: of ``lab``.
        arguments: its options.
        folder: where it runs.
        tracking: W&B's mode.
        before: the words of a command that runs it, such as ``unshare``.
        cold: begin by a new Python, as where the start itself matters.
    """
    environment = {
        **os.environ,
        **forking.BEGUN_WITH,
        "PYTHONWARNINGS": "ignore",
        "COLUMNS": "200",
        "WANDB_MODE": tracking,
    }
    words = [f"lab.{command}", *map(str, arguments)]
    streams = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    if forking.POSSIBLE and not before and not cold:
        return forking.Forked(words, folder, environment, **streams)
    return subprocess.Popen(
        [*map(str, before), sys.executable, "-m", *words],
        cwd=folder,
        env=environment,
        **streams,
        start_new_session=True,
        # Where the tests run in the background, Ctrl-C may be switched off, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_until(process, condition, seconds=300):
    """Wait for what a process does on disk."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def is_newer(path, other):
    """Whether both files are there, and ``path`` was written after ``other``."""
    try:
        return path.stat().st_mtime_ns > other.stat().st_mtime_ns
    except FileNotFoundError:
        return False
