"""Apple's GPUs have no float64: nothing that is computed on the device asks for it."""

import os

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lab.devices import compute_device, sum_precision
from lab.metrics import hole_ratio, measure
from lab.processors import usable_processors
from tests.tiny import fit_tiny


class WithoutFloat64(TorchDispatchMode):
    """Refuses what Apple's GPUs refuse; on the processor, float64 comes from plain numbers only."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        answer = function(*args, **(kwargs or {}))
        given = [value for value in args if isinstance(value, torch.Tensor)]
        made = answer if isinstance(answer, tuple | list) else [answer]
        for value in made:
            if (
                isinstance(value, torch.Tensor)
                and value.dtype == torch.float64
                and given
                and given[0].dtype != torch.float64
            ):
                raise TypeError(f"{function} makes float64 of {given[0].dtype}")
        return answer


def samples(count=2, side=48):
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(count, 3, side, side, generator=generator)
    completed = (truth + 0.1 * torch.rand(truth.shape, generator=generator)).clamp(0, 1)
    mask = torch.zeros(count, 1, side, side)
    mask[:, :, 10:30, 12:34] = 1
    return completed, truth, mask


def test_the_guard_guards():
    with pytest.raises(TypeError, match="float64"), WithoutFloat64():
        torch.ones(3).double()


def test_metrics_need_no_float64():
    with WithoutFloat64():
        assert torch.isfinite(measure(*samples())["hole_ssim"]).all()


def test_training_needs_no_float64(tmp_path, monkeypatch):
    recorder = "lab.tracking.epoch_recorder"
    for room in (recorder, "lab.training.completion_module"):
        monkeypatch.setattr(f"{room}.sum_precision", lambda _: sum_precision(torch.device("mps")))
    # On the processor, whose float64 is meant here, it would be refused.
    monkeypatch.setattr(f"{recorder}.hole_ratio", lambda mask: mask.flatten(1).mean(1))
    with WithoutFloat64():
        assert fit_tiny(tmp_path / "run", "--fit.epochs=1") == [1]


def test_losses_are_added_up_in_what_the_device_has():
    assert sum_precision(torch.device("mps")) == torch.float32
    assert sum_precision(torch.device("cpu")) == torch.float64
    assert sum_precision(torch.device("cuda")) == torch.float64


def test_a_holes_share_is_exact_and_lies_on_the_processor():
    mask = torch.zeros(3, 1, 1, 10)
    for index, count in enumerate((0, 7, 10)):
        mask[index, ..., :count] = 1
    ratios = hole_ratio(mask)
    assert ratios.tolist() == [0.0, 0.7, 1.0]
    assert (ratios.dtype, ratios.device.type) == (torch.float64, "cpu")
    with WithoutFloat64(), pytest.raises(TypeError):
        mask.flatten(1).mean(1, dtype=torch.float64)


def test_macos_says_nothing_of_which_processors_a_process_may_use(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert usable_processors() == 1
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_processors() == 1


def test_a_gpu_is_whatever_the_accelerator_is(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("mps"))
    assert compute_device("auto") == torch.device("mps")
    assert compute_device("cpu") == torch.device("cpu")
