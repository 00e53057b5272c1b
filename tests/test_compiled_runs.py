"""A compiled training is the same training, and its runs are as any other's."""

import pytest
import torch
from torch._dynamo.utils import counters

from lab.compiling import compile_call
from lab.formats.runs import last_checkpoint
from tests.networks.test_contract import SMALL, build, samples
from tests.tiny import TINY, fit_tiny, read_photos

FAST = (
    "--model.network=lab.networks.GlobalLocal",
    "--model.network.width=4",
    "--data.samples_per_epoch=16",
)


def graphs():
    return counters["stats"]["unique_graphs"]


def weights(run):
    return torch.load(last_checkpoint(run), weights_only=True)["state_dict"]


def assert_alike(run, other, most):
    ours, theirs = weights(run), weights(other)
    assert list(ours) == list(theirs)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=0, atol=most, msg=name)
    assert float((read_photos(run) - read_photos(other)).abs().max()) <= most


@pytest.mark.slow
def test_a_compiled_training_is_the_eager_one_and_either_goes_on_with_the_other(tmp_path):
    compiled = "--fit.compile=true"
    eager, whole, mixed, parted = (
        tmp_path / name for name in ("eager", "whole", "mixed", "parted")
    )
    fit_tiny(eager, *FAST, "--fit.epochs=2")
    before = graphs()
    fit_tiny(whole, *FAST, "--fit.epochs=2", compiled)
    assert graphs() > before
    # Eight steps of Adam at 1e-4 turn what rounding does to a tiny gradient into 2e-4 a weight.
    assert_alike(whole, eager, 1e-3)
    # Begun without, and on with: what was compiled for another run is not taken.
    fit_tiny(mixed, *FAST, "--fit.epochs=1")
    assert fit_tiny(mixed, *FAST, "--fit.epochs=2", compiled) == [2]
    assert_alike(mixed, eager, 1e-3)
    # Interrupted or not, bit for bit; and on without.
    fit_tiny(parted, *FAST, "--fit.epochs=1", compiled)
    assert fit_tiny(parted, *FAST, "--fit.epochs=2", compiled) == [2]
    assert_alike(parted, whole, 0.0)
    assert fit_tiny(parted, *FAST, "--fit.epochs=3") == [3]


def test_without_a_compiler_nothing_is_begun(tmp_path, start):
    asked = [*TINY, *FAST, "--fit.compile=true", "--name=run", f"--runs={tmp_path / 'runs'}"]
    process = start("train", *asked, folder=tmp_path, before=("env", "CXX=/nowhere/g++"))
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 2
    (line,) = errors.strip().splitlines()
    assert "fit.compile is on, but PyTorch cannot compile here (InvalidCxxCompiler" in line
    assert "leave fit.compile out" in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_two_devices_compile_what_they_train_and_train_as_one(tmp_path, start):
    """Batch normalization, within the compiled call, waits for the other device."""
    fit_tiny(tmp_path / "runs" / "one", *FAST, "--fit.epochs=2")
    asked = [*TINY, *FAST, "--fit.epochs=2", "--fit.compile=true", "--fit.devices=2"]
    process = start("train", *asked, "--name=two", f"--runs={tmp_path / 'runs'}", folder=tmp_path)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    assert_alike(tmp_path / "runs" / "two", tmp_path / "runs" / "one", 3e-3)


@pytest.mark.parametrize("name", ["FillSelector", "ShiftNet"])
def test_another_hole_is_not_compiled_anew(name):
    network = build(name, SMALL[name][0]).train()
    call = compile_call(lambda *planes: network(*planes).refined, backend="eager")
    image, mask = samples(32, 32)
    call(image, mask)
    compiled = graphs()
    for other in (mask.roll(5, -1), mask.flip(-2), (mask + mask.roll(7, -1)).clamp(max=1.0)):
        expected = network(image, other).refined
        torch.testing.assert_close(call(image, other), expected, rtol=0, atol=1e-5)
    assert graphs() == compiled > 0
