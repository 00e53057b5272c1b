"""One line that says how far a command is, how fast, and how long it will take."""

import sys
import time
from typing import TextIO

_SECONDS_ON_TERMINAL = 0.2
_SECONDS_IN_LOG = 10.0
_UNITS = ((3600.0, "h"), (60.0, "min"))


class ProgressLine:
    """Rewrites one line on a terminal, prints a line now and then elsewhere.

    Args:
        what: is counted, in the plural: ``"photos"``.
        out: where to write; standard error by default.
    """

    def __init__(self, what: str, out: TextIO | None = None) -> None:
        self._what = what
        self._out = out or sys.stderr
        self._terminal = self._out.isatty()
        self._began = self._shown = time.monotonic()
        self._first_fraction: float | None = None

    def update(self, count: int, fraction: float) -> None:
        """Show progress if it is time to.

        Args:
            count: how many are done by this call of the command.
            fraction: of the whole work that is done, in [0, 1]; where it began does not matter.
        """
        if self._first_fraction is None:
            self._first_fraction = fraction
        now = time.monotonic()
        pause = _SECONDS_ON_TERMINAL if self._terminal else _SECONDS_IN_LOG
        if now - self._shown < pause:
            return
        self._shown = now
        elapsed, gained = now - self._began, fraction - self._first_fraction
        left = elapsed * (1.0 - fraction) / gained if gained > 0 else None
        rate = count / elapsed
        line = (
            f"{100 * fraction:5.1f} %, {count:,} {self._what}, "
            f"{rate:,.{0 if rate >= 10 else 1}f}/s, "
            f"{'?' if left is None else duration(left)} left"
        )
        self._out.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
        self._out.flush()

    def close(self) -> None:
        """Clear the line, so that what is printed next stands alone."""
        if self._terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()

    @property
    def seconds(self) -> float:
        """Since the line was made."""
        return time.monotonic() - self._began


def duration(seconds: float) -> str:
    """Write a time in its largest fitting unit: ``"2.5 h"``, ``"17 min"``, ``"8 s"``."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.{1 if seconds < 10 * size else 0}f} {unit}"
    return f"{seconds:.0f} s"
