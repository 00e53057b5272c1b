"""What completing one photo costs: parameters, multiply-adds, time, memory."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from lab.contracts import Strategy
from lab.guides import ask_network, blank_guides, guides_of

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
        convolutions: the share of them that its convolutions take.
        milliseconds: median of five calls.
        peak_bytes: the most that tensors made along the way hold at one time; weights and what a
            kernel keeps to itself are not counted.
    """

    parameters: int
    multiply_adds: int
    convolutions: int
    milliseconds: float
    peak_bytes: int


def measure_cost(strategy: Strategy, network: nn.Module, size: int) -> Cost:
    """Complete one photo of ``size`` x ``size`` pixels several times; its guides are blank."""
    # What is in the photo does not matter to the cost.
    images = [torch.full((1, 3, size, size), next(_SHADES)) for _ in range(_ROUNDS + 1)]
    mask = _hole(size)
    guides = blank_guides(guides_of(network), images[0])
    with _counter() as counter, _LiveMemory() as memory:
        strategy(images.pop(), mask, guides)
    seconds = []
    for image in images:
        started = time.perf_counter()
        strategy(image, mask, guides)
        seconds.append(time.perf_counter() - started)
    return Cost(
        count_parameters(network),
        *_read(counter),
        1e3 * median(seconds),
        memory.peak,
    )


def count_parameters(network: nn.Module) -> int:
    """How many numbers training may change; a network on the meta device will do."""
    return sum(parameter.numel() for parameter in network.parameters())


class Counted(NamedTuple):
    """Multiply-adds of one photo, as in `Cost`: in all, and the convolutions' share."""

    multiply_adds: int
    convolutions: int


def count_multiply_adds(build: Callable[[], nn.Module], size: int) -> Counted:
    """What the network takes for one photo of ``size`` x ``size`` pixels, as in `Cost`.

    Shapes alone say it, so that nothing is computed and no memory is taken. Where they depend on
    what is in a tensor, as in attention to what lies outside the hole, the network is really run.

    Args:
        build: makes the network; PyTorch's generator is as it was afterwards.
        size: the side in pixels.
    """
    try:
        with FakeTensorMode():
            return _run(build(), size)
    except (DataDependentOutputException, DynamicOutputShapeException):
        with torch.random.fork_rng(devices=()):
            return _run(build(), size)


@torch.no_grad()
def _run(network: nn.Module, size: int) -> Counted:
    image = torch.full((1, 3, size, size), next(_SHADES))
    guides = blank_guides(guides_of(network), image)
    with _counter() as counter:
        ask_network(network.eval(), image, _hole(size), guides)
    return _read(counter)


def _read(counter: FlopCounterMode) -> Counted:
    by_operation: Mapping[Any, int] = counter.get_flop_counts().get("Global", {})
    of_convolutions = by_operation.get(torch.ops.aten.convolution, 0)
    return Counted(counter.get_total_flops() // 2, of_convolutions // 2)


def _hole(size: int) -> Tensor:
    """A tall person's."""
    mask = torch.zeros(1, 1, size, size)
    mask[..., size // 8 : -size // 8, 3 * size // 8 : -3 * size // 8] = 1.0
    return mask


def _counter() -> FlopCounterMode:
    # PyTorch knows the fused attention of every processor but this one, and would count nothing.
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return FlopCounterMode(display=False, custom_mapping={attention: _attention_operations})


def _attention_operations(
    query: torch.Size,
    key: torch.Size,
    value: torch.Size,
    *_: object,
    out_shape: object = None,
    **__: object,
) -> int:
    operations: int = sdpa_flop_count(query, key, value)
    return operations


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
