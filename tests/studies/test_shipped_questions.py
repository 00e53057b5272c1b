"""Every question that ships can be asked: its trials build, from end to end of what is searched."""

from pathlib import Path

import pytest
import torch

from lab.networks import InpaintSANet, describe_network
from lab.parsing import SettingsError
from lab.studies import begin_sweep, read_question
from lab.training import Distillation

SWEEPS = Path(__file__).parents[2] / "sweeps"
NAMES = sorted(path.stem for path in SWEEPS.glob("*.yaml"))
ASKED_IN_VAIN = {
    # What weights are wanted for, a teacher, or people who were really removed, and what is said
    # without.
    "superres": "FSRCNN",
    "adversarial": "vgg16",
    "style": "vgg16",
    "distillation": "model.teacher",
    "distillation_of_fills": "model.teacher",
    "dilation": "evaluation.set",
    "threshold": "evaluation.set",
}


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "network.pt"
    torch.save(describe_network(InpaintSANet(width=8), 1, ""), path)
    return path


def no_network(*given):
    raise OSError("there is no network")


def about(question, checkpoint):
    """What a question is about, where it is about a network that is there."""
    return {} if question.trains else {"checkpoint": checkpoint}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ASKED_IN_VAIN])
def test_a_shipped_question_can_be_asked(name, tmp_path, checkpoint):
    question = read_question(name, SWEEPS)
    sweep = begin_sweep(name, runs=tmp_path, sweeps=SWEEPS, **about(question, checkpoint))
    waiting = [trial.system_attrs["fixed_params"] for trial in sweep.open().get_trials()]
    assert waiting[: len(question.first)] == question.first
    if question.sampler == "grid":
        assert len(waiting) == sweep.question.trials == len(question.combinations)
    # What is named first, and the ends, were built as it began.
    for values in waiting:
        if values not in (*question.first, *question.extremes):
            sweep.build(values)


@pytest.mark.parametrize(("name", "lacks"), ASKED_IN_VAIN.items())
def test_a_question_that_lacks_something_says_what_at_once(
    name, lacks, tmp_path, checkpoint, monkeypatch
):
    # Also where a person has the weights, or could fetch them.
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("lab.networks.weight_files._download", no_network)
    asked = about(read_question(name, SWEEPS), checkpoint)
    with pytest.raises(SettingsError, match=lacks):
        begin_sweep(name, runs=tmp_path, sweeps=SWEEPS, **asked)
    assert not list(tmp_path.rglob("study.db"))


@pytest.mark.parametrize(
    "name", [name for name, lacks in ASKED_IN_VAIN.items() if lacks == "model.teacher"]
)
def test_a_question_of_what_a_teacher_adds_is_asked_with_one(name, tmp_path, checkpoint):
    teacher = [f"--model.teacher={checkpoint}"]
    sweep = begin_sweep(name, runs=tmp_path, sweeps=SWEEPS, settings=teacher)
    for trial in sweep.open().get_trials():
        model = sweep.build(trial.system_attrs["fixed_params"]).model
        assert isinstance(model, Distillation)


def test_a_question_about_a_network_wants_one(tmp_path, checkpoint):
    with pytest.raises(SettingsError, match=r"'erosion' is about a trained network.*--checkpoint"):
        begin_sweep("erosion", runs=tmp_path, sweeps=SWEEPS)
    with pytest.raises(SettingsError, match=r"no-such\.pt"):
        begin_sweep("erosion", runs=tmp_path, sweeps=SWEEPS, checkpoint=tmp_path / "no-such.pt")
    with pytest.raises(SettingsError, match=r"trains its own networks.*--model\.warm_start"):
        begin_sweep("gate", runs=tmp_path, sweeps=SWEEPS, checkpoint=checkpoint)
