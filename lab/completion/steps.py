"""How long each step of completing a photo takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

READING, FINDING, FILLING, WRITING = "reading", "finding the person", "filling", "writing"


class StepWatch:
    """Adds up the seconds of each step; the same step may come again.

    Attributes:
        seconds: by step, in the order in which they first came.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what happens within as a step's."""
        started = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
