"""Whether the machines that train one network together all live."""

import threading
from collections.abc import Collection
from pathlib import Path
from types import TracebackType

from lab.command_line import end_at_once
from lab.heartbeats import LOST_AFTER, Heart, SignsInFolder, Watch

FOLDER = "signs-of-life"
"""The folder in a run's, in which its machines note that they live."""


class MachineWatch:
    """Gives signs of life for this machine, and ends this process where another gives none.

    Whoever waits for a machine that is gone hears of it by the connection, mostly. Not where that
    machine lost its power or its network; and once in some two thousand times, gloo misses that a
    connection was closed (`python -m tests.benchmarks.lost_ranks`). PyTorch itself would wait for
    half an hour.

    A context, around all that machines do together; without other machines it does nothing.

    Args:
        run: the run's folder, which all machines reach.
        machine: the number of this one.
        others: those of the others.
    """

    def __init__(self, run: Path, machine: int, others: Collection[int]) -> None:
        self._signs = SignsInFolder(run / FOLDER, "machine")
        self._machine = machine
        self._others = others
        self._watch = Watch(LOST_AFTER)
        self._heart = Heart(self._signs, machine, self._watch.interval)
        self._over = threading.Event()

    def __enter__(self) -> "MachineWatch":
        if self._others:
            self._signs.begin(self._machine)
            self._heart.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._others:
            return
        self._over.set()
        self._heart.__exit__(kind, error, trace)
        if error is None:
            # Else it stays, and grows old: others may wait for this machine.
            self._signs.end(self._machine)
            self._signs.clear()

    def begin(self) -> None:
        """Watch the other machines from now on, as all are there."""
        if self._others:
            threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while not self._over.wait(self._watch.interval):
            self._heart.beats()
            try:
                lost = self._watch.look(self._signs.of(self._others))
            except OSError:
                continue  # the file server is away, and nobody can be seen
            if lost and not self._over.is_set():
                end_at_once(
                    f"machine {min(lost)} gave no sign of life for {LOST_AFTER:.0f} seconds: see "
                    "what it said. Nothing that was finished is lost: the same command goes on"
                )
