"""What completing one photo costs: parameters, multiply-adds, time, memory."""

import time
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from lab.contracts import Strategy
from lab.guides import blank_guides, guides_of

_ROUNDS = 5
# No photo comes again in a process: fills of the same one are remembered.
_SHADES = (number / 10_007 % 1.0 for number in count(1))


@dataclass(frozen=True)
class Cost:
    """Of one square photo, on the processor, in float32.

    The hole is three quarters of the height and a quarter of the width, in the middle.

    Attributes:
        parameters: of the network.
        multiply_adds: of its convolutions, attention and matrix products; what is skipped (a tile
            without a hole) is not counted.
        milliseconds: median of five calls.
        peak_bytes: the most that tensors made along the way hold at one time; weights and what a
            kernel keeps to itself are not counted.
    """

    parameters: int
    multiply_adds: int
    milliseconds: float
    peak_bytes: int


def measure_cost(strategy: Strategy, network: nn.Module, size: int) -> Cost:
    """Complete one photo of ``size`` x ``size`` pixels several times; its guides are blank."""
    # What is in the photo does not matter to the cost. The hole is a tall person's.
    images = [torch.full((1, 3, size, size), next(_SHADES)) for _ in range(_ROUNDS + 1)]
    mask = torch.zeros(1, 1, size, size)
    mask[..., size // 8 : -size // 8, 3 * size // 8 : -3 * size // 8] = 1.0
    guides = blank_guides(guides_of(network), images[0])
    with FlopCounterMode(display=False) as counter, _LiveMemory() as memory:
        strategy(images.pop(), mask, guides)
    seconds = []
    for image in images:
        started = time.perf_counter()
        strategy(image, mask, guides)
        seconds.append(time.perf_counter() - started)
    return Cost(
        sum(parameter.numel() for parameter in network.parameters()),
        counter.get_total_flops() // 2,
        1e3 * median(seconds),
        memory.peak,
    )


class _LiveMemory(TorchDispatchMode):
    """Adds up the storages of tensors that operations return and that are still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._live: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 (PyTorch's signature)
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                storage = leaf.untyped_storage()
                reference = StorageWeakRef(storage)
                self._live[reference.cdata] = (reference, storage.nbytes())
        self._live = {key: held for key, held in self._live.items() if not held[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self._live.values()))
        return result
