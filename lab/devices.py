"""Where tensors are computed."""

from typing import Literal

import torch

from lab.checks import UserError

Device = Literal["auto", "cpu", "gpu"]

# Of devices that cannot compute in float64: Apple's GPUs.
_WITHOUT_FLOAT64 = ("mps",)


def compute_device(asked: Device = "auto") -> torch.device:
    """The device that is meant: for "auto" a GPU where PyTorch finds one.

    Raises:
        UserError: a GPU is asked for, and there is none.
    """
    accelerator = None
    if asked != "cpu" and torch.accelerator.is_available():
        accelerator = torch.accelerator.current_accelerator()
    if accelerator is not None:
        return accelerator
    if asked == "gpu":
        raise UserError("gpu is asked for, but PyTorch finds none here: leave the device at auto")
    return torch.device("cpu")


def sum_precision(device: torch.device) -> torch.dtype:
    """The type in which many values are added up on a device: float64 where it has that."""
    return torch.float32 if device.type in _WITHOUT_FLOAT64 else torch.float64
