"""From a checkpoint's tensors to a network: compared on paper first, before any memory is taken.

A checkpoint of a kilobyte may ask for a network of gigabytes. So the network is built on the meta
device, where tensors have shapes and no content, and compared with what the file holds; memory is
taken only for tensors that are there.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lab.networks.weight_files import UnreadableCheckpointError
from lab.untrusted import printable

LARGEST_ARGUMENT = 4096
"""The largest whole number that a checkpoint may give to a network's constructor. Some are numbers
of layers, which take time even where they take no memory."""

LONGEST_ARGUMENT = 64
"""The longest list of such values, as of the dilations of blocks."""

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)
_SHOWN = 3


def plain_arguments(arguments: object) -> dict[str, Any]:
    """Return a checkpoint's arguments for a network's constructor.

    Raises:
        ValueError: they are no names with texts, numbers and short lists of these, or a number is
            too large.
    """
    if not isinstance(arguments, dict):
        raise ValueError(f"its arguments are a {type(arguments).__name__}, but must be a mapping")
    for name, value in arguments.items():
        parts = value if isinstance(value, list | tuple) else [value]
        if len(parts) > LONGEST_ARGUMENT:
            raise ValueError(
                f"the argument {name!r} has {len(parts)} values, and at most {LONGEST_ARGUMENT} "
                "are built"
            )
        for part in parts:
            if not isinstance(name, str) or not isinstance(part, bool | int | float | str | None):
                raise ValueError(f"the argument {name!r} is no text or number")
            if isinstance(part, int | float) and not abs(part) <= LARGEST_ARGUMENT:
                raise ValueError(
                    f"the argument {name} is {part}, and at most {LARGEST_ARGUMENT} is built"
                )
    return arguments


def build_with_weights(
    path: Path, build: Callable[[], AnyNetwork], state: Mapping[str, Tensor]
) -> AnyNetwork:
    """Build a network and give it its weights, in eval mode on the processor.

    Args:
        path: the file that they come from, for errors.
        build: makes the network.
        state: a tensor for each of its own, by name.

    Raises:
        UnreadableCheckpointError: tensors that do not fit, or that are not finite.
        Exception: whatever ``build`` raises.
    """
    with torch.device("meta"):
        planned = build()
    misfit = _misfit(planned.state_dict(), state)
    if misfit:
        kind = type(planned).__name__
        raise UnreadableCheckpointError(path, f"its tensors do not fit {kind}: {misfit}")
    check_finite(path, state)
    # The planned network takes copies: drawing first weights takes longer than reading a file.
    copies = {
        name: state[name].clone(memory_format=torch.contiguous_format).to(tensor.dtype)
        for name, tensor in planned.state_dict().items()
    }
    planned.load_state_dict(copies, assign=True)
    if not any(tensor.is_meta for tensor in (*planned.parameters(), *planned.buffers())):
        return planned.eval()
    # It has constants that no file carries.
    network = build()
    network.load_state_dict(copies)
    return network.eval()


def named_tensors(state: object) -> dict[str, Tensor]:
    """Return the tensors of a state dict by their names; what is no tensor is left out.

    Raises:
        ValueError: it is no state dict, or a key is no name.
    """
    if not isinstance(state, Mapping):
        raise ValueError(f"its state is a {type(state).__name__}, but must be a mapping of tensors")
    for name in state:
        if not isinstance(name, str):
            raise ValueError(f"a tensor is called {name!r}, but names are texts")
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _misfit(planned: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """Say what does not fit; empty if all does."""
    missing = [name for name in planned if name not in state]
    left_over = [name for name in state if name not in planned]
    if missing or left_over:
        said = [
            f"{len(names)} are {what}, such as {', '.join(map(printable, names[:_SHOWN]))}"
            for what, names in (("missing", missing), ("left over", left_over))
            if names
        ]
        return "; ".join(said)
    for name, tensor in planned.items():
        found = state[name]
        if found.shape != tensor.shape:
            shapes = tuple(found.shape), tuple(tensor.shape)
            return f"{name} has the shape {shapes[0]}, but must have {shapes[1]}"
        if found.is_floating_point() != tensor.is_floating_point():
            return f"{name} is {found.dtype}, but must be {tensor.dtype}"
    return ""


def check_finite(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raise ``UnreadableCheckpointError`` where a tensor holds NaN or infinity."""
    name = first_not_finite(state)
    if name is not None:
        raise UnreadableCheckpointError(
            path,
            f"{printable(name)} holds values that are NaN or infinite: the training that wrote "
            "it had failed. Take an earlier checkpoint",
        )


def first_not_finite(state: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None where all are finite."""
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        # One pass over the values, where `isfinite` takes three: NaN is the least and the largest.
        low, high = tensor.aminmax()
        if not (low.isfinite() and high.isfinite()):
            return name
    return None
