"""A network that fails on one of several devices, as real ones do."""

import torch

from lab.networks import InpaintSANet
from lab.ranks import rank


class Failing(InpaintSANet):
    """Works for two steps, and fails in the third.

    Args:
        fault: what happens: ``memory``, ``nan``, ``code`` or ``killed``.
        device: where.
    """

    def __init__(self, width=8, fault="memory", device=0):
        super().__init__(width=width)
        self.fault = fault
        self.device = device
        self._calls = 0

    def forward(self, image, mask):
        stages = super().forward(image, mask)
        self._calls += self.training
        if self._calls < 3 or rank() != self.device:
            return stages
        if self.fault == "memory":
            raise torch.cuda.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of "
                "15.77 GiB of which 1.43 GiB is free. See documentation for Memory Management"
            )
        if self.fault == "nan":
            return type(stages)(tuple(image * float("nan") for image in stages.images))
        if self.fault == "killed":
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("a mistake in the code")
