"""Networks as compiled code: what a compiler follows, and what it only calls.

PyTorch's compiler follows a call for the sizes that it is called with. Parts whose steps depend on
what is *in* a tensor (a fill of the hole, a search through what is known) it would follow anew for
every hole: they are programs, which compiled code calls as they are.
"""

from collections.abc import Callable
from functools import cache, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import torch
import torch._functorch.config as gradients

P = ParamSpec("P")
R = TypeVar("R")

_programs: list["Program[Any, Any]"] = []


class Program(Generic[P, R]):
    """Decorates a function of a module that compiled code is to call, and not to follow."""

    def __init__(self, function: Callable[P, R]) -> None:
        update_wrapper(self, function)
        self._function = function
        _programs.append(self)

    def __call__(self, *arguments: P.args, **options: P.kwargs) -> R:
        """As the function."""
        return self._function(*arguments, **options)

    def leave_out(self) -> None:
        """Have compilers call the function from now on."""
        # Not where it is decorated: what PyTorch imports for it takes every command a second more.
        self._function = torch.compiler.disable(self._function)


def compile_call(call: Callable[P, R], backend: str = "inductor") -> Callable[P, R]:
    """Compile what ``call`` computes of tensors, when it is first called, for each size by itself.

    After eight sizes or states (parts that stopped training, say), others are computed uncompiled.
    Random draws are those of the uncompiled call.

    Args:
        call: a function of tensors and modules.
        backend: what makes code of it; "eager" makes none, and calls the same operations.
    """
    _leave_programs_out()
    # What was compiled of another network would count as one of the eight.
    torch.compiler.reset()
    # Terms are weighed by gradients of their own, from the same answer, which must outlast them.
    gradients.donated_buffer = False
    options: dict[str, str | int | bool | Callable[..., Any]] | None = None
    if backend == "inductor":
        options = {"fallback_random": True}
    compiled: Callable[P, R] = torch.compile(call, dynamic=False, backend=backend, options=options)
    return compiled


def why_nothing_compiles(device: torch.device) -> str | None:
    """Compile a sum on the device: None where it works, else what PyTorch says, in one line."""
    return _why(device.type)


@cache
def _why(device: str) -> str | None:
    try:
        here = torch.ones(3, device=device)
        compiled = torch.compile(lambda x: x + 1.0, dynamic=False, fullgraph=True)
        compiled(here)
    # Whatever is missing: a compiler, its headers, a library, a folder for what it makes.
    except Exception as error:
        reason = getattr(error, "inner_exception", error)
        return f"{type(reason).__name__}: {' '.join(str(reason).split())[:150]}"
    return None


@cache
def _leave_programs_out() -> None:
    for program in _programs:
        program.leave_out()
