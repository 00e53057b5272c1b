"""A study small enough for a test: two options, networks that train in half a second."""

import pytest
import yaml

from lab.studies import begin_sweep

LEARNING_RATE = "model.optimization.generator_learning_rate"
HOLE = "model.objective.weights.hole_l1"

TINY_QUESTION = {
    "question": "Does it matter?",
    "goal": "hole_psnr",
    "search": {
        LEARNING_RATE: {"low": 1e-5, "high": 0.1, "log": True},
        HOLE: {"low": 0.5, "high": 4.0, "also": ["model.objective.weights.coarse_hole_l1"]},
    },
    "first": [{LEARNING_RATE: 1e-4, HOLE: 2.4}],
    "trials": 3,
    "epochs": 2,
    "pruning": {"enabled": False},
    # All of them, as by default, take longer than the trials: tests/studies/test_sweeping.py.
    "baselines": ["telea"],
    "base": {
        "model": {
            "network": {"class_path": "lab.networks.InpaintSANet", "init_args": {"width": 8}},
            "judges": {
                "whole": {
                    "class_path": "lab.networks.PatchDiscriminator",
                    "init_args": {"width": 8, "depth": 2},
                },
            },
        },
        "data": {
            "size": 32,
            "batch_size": 4,
            "samples_per_epoch": 8,
            "validation_photos": 3,
            "validation_crops": 2,
        },
        "fit": {"precision": "float32", "device": "cpu"},
    },
}


def write_question(sweeps, name="tiny", **changes):
    sweeps.mkdir(parents=True, exist_ok=True)
    (sweeps / f"{name}.yaml").write_text(yaml.safe_dump({**TINY_QUESTION, **changes}))


def begin_tiny(folder, changes=None, **options):
    """A sweep whose question, runs and study lie in ``folder``; one thread for all of it."""
    write_question(folder / "sweeps", **(changes or {}))
    options = {"threads": 1, **options}
    return begin_sweep("tiny", runs=folder / "runs", sweeps=folder / "sweeps", **options)


@pytest.fixture
def begin(tmp_path):
    return lambda changes=None, **options: begin_tiny(tmp_path, changes, **options)


@pytest.fixture
def address(server):
    return server.database()
