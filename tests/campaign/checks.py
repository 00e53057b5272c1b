"""What a campaign is made of: checks by name, each of which yields what it tried and found."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_SAID_EVERY = 60.0
"""Seconds between two lines that say how far a check is."""


@dataclass(frozen=True)
class Case:
    """Something that was tried, and what it broke; ``number`` and the seed reproduce it."""

    number: int
    label: str
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """What a check is to try.

    Attributes:
        name: of the check.
        seed: of all that is drawn.
        cases: numbers of the cases to try.
        folder: an empty one to work in.
        processes: how many to take, where a check can share out its cases.
    """

    name: str
    seed: int
    cases: range
    folder: Path
    processes: int = 1

    def draws(self, case: int) -> np.random.Generator:
        """The draws of one case, whichever others are tried."""
        return np.random.default_rng([self.seed, case, *self.name.encode()])


@dataclass(frozen=True)
class Check:
    """A part of the campaign.

    Attributes:
        name: by which ``--only`` names it.
        promise: what is held, for the table.
        count: how many cases the whole campaign tries.
        run: tries them.
        smoke: how many `make all-tests` tries.
    """

    name: str
    promise: str
    count: int
    run: Callable[[Asked], Iterator[Case]]
    smoke: int = 1

    def tried(
        self, seed: int, cases: range, processes: int, note: Callable[[str], None]
    ) -> "Tally":
        """Try the cases in a folder of their own, noting each finding with what reproduces it.

        Ctrl-C ends it with what was tried so far.
        """
        began, tally = time.monotonic(), Tally(self.name, self.promise)
        said = began
        random.seed(seed)
        with tempfile.TemporaryDirectory(prefix="campaign-") as folder:
            try:
                for case in self.run(Asked(self.name, seed, cases, Path(folder), processes)):
                    tally.tried += 1
                    for finding in case.findings:
                        again = f"--only {self.name} --seed {seed} --case {case.number}"
                        tally.findings.append(f"{case.label}: {finding}")
                        note(f"FOUND {case.label}: {finding}\n  python -m tests.campaign {again}")
                    tally.broken += bool(case.findings)
                    if time.monotonic() - said > _SAID_EVERY:
                        said = time.monotonic()
                        minutes = (said - began) / 60
                        note(
                            f"{self.name}: {tally.tried} of {len(cases)} cases, {tally.broken} "
                            f"with findings, {minutes:.0f} min"
                        )
            except KeyboardInterrupt:
                tally.interrupted = True
        tally.seconds = time.monotonic() - began
        return tally


@dataclass
class Tally:
    """What became of a check."""

    name: str
    promise: str
    tried: int = 0
    broken: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    skipped: str = ""
    interrupted: bool = False


class NotHere(Exception):  # noqa: N818 (no error: a machine lacks what a check needs)
    """A check that this machine cannot run, with the reason."""
