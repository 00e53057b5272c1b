"""Which of the processes that train one network together this is, and what they make common.

A process of such a group is called by its rank, from 0. In a process by itself everything here
is the identity, so that whoever computes need not ask. In a group, all processes call these
functions in the same order: whoever comes first waits for the others.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, distributed, nn


def rank() -> int:
    """The number of this process in its group, 0 in a process by itself."""
    return distributed.get_rank() if _in_group() else 0


def ranks() -> int:
    """How many processes the group has."""
    return distributed.get_world_size() if _in_group() else 1


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean over the ranks of tensors of one shape; gradient flows back to all of them.

    What is descended is the mean of the ranks' losses (`average_gradients`).
    """
    if ranks() == 1:
        return values
    mean: Tensor = _Mean.apply(values)
    return mean


def gather_over_ranks(samples: Tensor) -> Tensor:
    """The samples of all ranks, in their order; gradient flows back to each from every rank.

    So a process by itself has them, with each step's samples shared out in the ranks' order. What
    is descended is the mean of the ranks' losses (`average_gradients`).

    Args:
        samples: along the first axis, equally many in every rank.
    """
    if ranks() == 1:
        return samples
    gathered: Tensor = _Gathered.apply(samples)
    return gathered


def in_any_rank(found: bool, device: torch.device) -> bool:
    """Whether something was found in any of the ranks.

    Args:
        found: in this one.
        device: on which the ranks exchange tensors.
    """
    if ranks() == 1:
        return found
    return bool(mean_over_ranks(torch.tensor(float(found), device=device)) > 0)


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace the parameters' gradients by their means over the ranks.

    A parameter that a rank's loss did not reach counts as 0 there; one that no rank's reached
    stays without gradient, and optimizers leave it alone.

    Args:
        parameters: the same ones in every rank, in the same order.
    """
    if ranks() == 1:
        return
    moving = [parameter for parameter in parameters if parameter.requires_grad]
    if not moving:
        return
    reached = [float(parameter.grad is not None) for parameter in moving]
    # In one tensor, with who has one: many small messages would wait for each other.
    parts = [
        at_least_float32(torch.zeros_like(each) if each.grad is None else each.grad).flatten()
        for each in moving
    ]
    mean = mean_over_ranks(torch.cat([*parts, parts[0].new_tensor(reached)]))
    *means, reached_anywhere = mean.split([*(len(part) for part in parts), len(moving)])
    for parameter, found, any_reached in zip(moving, means, reached_anywhere.tolist(), strict=True):
        if any_reached:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad.copy_(found.view(parameter.shape))


def at_least_float32(values: Tensor) -> Tensor:
    """The same values in a precision in which many can be added up."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def copy_from_first(module: nn.Module) -> None:
    """Give a module's parameters and buffers the values that the first rank has."""
    if ranks() == 1:
        return
    for tensor in module.state_dict().values():
        # Messages hold what is dense in the usual order.
        sent = tensor.contiguous()
        distributed.broadcast(sent, 0)
        tensor.copy_(sent)


def gather_at_first(value: Any) -> list[Any]:  # noqa: ANN401 (whatever can be pickled)
    """What every rank has, in their order, at the first; an empty list at the others."""
    if ranks() == 1:
        return [value]
    gathered: list[Any] | None = [None] * ranks() if rank() == 0 else None
    distributed.gather_object(value, gathered)
    return gathered or []


def gather_everywhere(value: Any) -> list[Any]:  # noqa: ANN401 (whatever can be pickled)
    """What every rank has, in their order."""
    if ranks() == 1:
        return [value]
    gathered: list[Any] = [None] * ranks()
    distributed.all_gather_object(gathered, value)
    return gathered


def leave_group(at_once: bool = False) -> None:
    """Be a process by itself again.

    Args:
        at_once: after an error, when the others may be gone. By NCCL's own way to leave, GPUs wait
            for each other.
    """
    if not _in_group():
        return
    if at_once and distributed.get_backend() == "nccl":
        distributed.distributed_c10d._abort_process_group()
    else:
        distributed.destroy_process_group()


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:  # noqa: ANN401 (PyTorch's signature)
        mean = values.detach().contiguous().clone()
        distributed.all_reduce(mean)
        return mean / ranks()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        # Each rank's loss depends on each rank's values; the mean of the losses is descended.
        mean: Tensor = _Mean.apply(gradient)  # which may itself be differentiated
        return mean


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, samples: Tensor) -> Tensor:  # noqa: ANN401 (PyTorch's signature)
        own = samples.detach().contiguous()
        parts = [torch.empty_like(own) for _ in range(ranks())]
        distributed.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        # Each rank's loss depends on each rank's samples. A sample stands in one rank alone, and
        # `average_gradients` divides by their number: here they add up.
        total = ranks() * _Mean.apply(gradient)  # which may itself be differentiated
        return total.chunk(ranks())[rank()]


def _in_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()
