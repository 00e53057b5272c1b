"""Every method that fills a hole without a network: the one table of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from types import MappingProxyType

from lab.checks import UserError, unknown_name_message
from lab.contracts import Strategy
from lab.fills import OpenCVInpainting, PatchMatch, ShiftMap, SmoothFill


@dataclass(frozen=True)
class Method:
    """A way to fill holes that needs no weights.

    Attributes:
        build: makes the strategy.
        summary: for people: what it does, what for, and how long it takes.
        baseline_side: side of the largest samples, in pixels, that studies and evaluations compare
            with it unasked; where samples are larger it would take longer than all else together.
    """

    build: Callable[[], Strategy]
    summary: str
    baseline_side: float = inf


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "telea": Method(
            OpenCVInpainting,
            "draws the colours of the rim inwards (OpenCV): a smear, at once; scratches",
        ),
        "navier-stokes": Method(
            lambda: OpenCVInpainting("navier-stokes"),
            "continues lines of equal brightness (OpenCV): a smear, at once; scratches",
        ),
        "smooth": Method(
            SmoothFill,
            "spreads the colours across where the hole is narrow: a blur, but the truest to the "
            "colours, at once; plain backgrounds",
        ),
        "shift-map": Method(
            ShiftMap,
            "copies large parts of the photo (OpenCV): sharp; some ten seconds for a hole of "
            "200x200 pixels",
            baseline_side=96,
        ),
        "patch-match": Method(
            PatchMatch,
            "copies patches of the photo that fit each other: sharp; some three seconds for a hole "
            "of 200x200 pixels",
            baseline_side=96,
        ),
    }
)
"""By the name that commands, notebooks, questions and tables call it."""

DEFAULT_METHOD = "patch-match"
"""What fills where neither a checkpoint nor a method is named (docs/findings.md)."""


def baselines(side: int, asked: Sequence[str] | None = None) -> dict[str, Strategy]:
    """Build what samples of ``side`` pixels are compared with.

    Args:
        side: the longer side of the samples.
        asked: names of methods; None takes those that are quick enough for the samples.

    Raises:
        UserError: no such method; names the nearest.
    """
    if asked is None:
        asked = [name for name, method in METHODS.items() if side <= method.baseline_side]
    for name in asked:
        if name not in METHODS:
            raise UserError(unknown_name_message("method", name, METHODS))
    return {name: METHODS[name].build() for name in asked}


def print_methods() -> None:
    """Print every method with what it is good for."""
    width = max(map(len, METHODS))
    for name, method in METHODS.items():
        default = " (default)" if name == DEFAULT_METHOD else ""
        print(f"{name:{width}}  {method.summary}{default}")
