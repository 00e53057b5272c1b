"""How long one photo takes: by every runtime in turn, so that a busy machine slows all alike."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from lab.contracts import Strategy
from lab.data import Batch


@dataclass(frozen=True)
class Timing:
    """Milliseconds a photo, one photo at a time.

    Attributes:
        mean: of all photos.
        median: of all photos.
        slowest: what 95 of 100 photos stay below.
        photos: how many were timed.
    """

    mean: float
    median: float
    slowest: float
    photos: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Timing":
        """Of the seconds that each photo took."""
        low, high = np.quantile(seconds, (0.5, 0.95))
        return cls(1e3 * float(np.mean(seconds)), 1e3 * float(low), 1e3 * float(high), len(seconds))


def time_strategies(
    strategies: Mapping[str, Strategy], photos: Sequence[Batch], count: int
) -> dict[str, Timing]:
    """Complete photos one by one, each by every strategy, after one that is not counted.

    Args:
        strategies: by the name of their runtime.
        photos: each of one sample; they come again where there are fewer than ``count``.
        count: how many photos, at least 1.
    """
    seconds: dict[str, list[float]] = {name: [] for name in strategies}
    for number, photo in enumerate(islice(cycle(photos), count + 1)):
        for name, strategy in strategies.items():
            started = time.perf_counter()
            strategy(photo.image, photo.mask, photo.guides)
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timing.of(values) for name, values in seconds.items()}
