"""Comparing two results photo by photo: the same photos, the same holes.

Every interval of a difference comes from here, whoever shows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lab.metrics import ALL_METRICS
from lab.statistics.resampling import Floats, mean_errors
from lab.statistics.seeds import SeedSpread

# Of any metric, what is smaller nobody sees, and rounding decides its sign.
_MOST_PLACES = 5


@dataclass(frozen=True)
class PairedDifference:
    """How much better the first is: the mean over the samples, with its 95 % bootstrap interval.

    Attributes:
        mean: of the differences, signed so that above 0 means the first is better.
        low: lower end of the interval; without end where one photo says nothing about others.
        high: upper end.
        share_won: share of the samples on which the first is better; ties count half.
        samples: how many were compared.
        photos: how many the interval rests on; crops of a photo, or views of a clip, count once.
        trainings: of either side, 0 for what is not trained, where the interval is over seeds, too;
            None where it is over photos alone.
    """

    mean: float
    low: float
    high: float
    share_won: float
    samples: int
    photos: int
    trainings: tuple[int, int] | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out, and the mean is not 0 in all digits that are shown."""
        return (self.low > 0.0 or self.high < 0.0) and abs(self.mean) >= 0.5 * 10**-_MOST_PLACES

    @property
    def verdict(self) -> str:
        """In a word; a difference within its interval is none."""
        if not self.is_clear:
            return "no difference"
        return "better" if self.mean > 0 else "worse"

    @property
    def interval(self) -> str:
        """The mean with its interval, to three digits of the larger of mean and half width."""
        half = (self.high - self.low) / 2.0
        scale = max(abs(self.mean), half if half < np.inf else 0.0)
        places = min(_MOST_PLACES, max(2, 2 - floor(log10(scale)))) if scale else 3
        if half == np.inf:
            return f"{self.mean:+.{places}f} (one photo gives no interval)"
        return f"{self.mean:+.{places}f} [{self.low:+.{places}f}, {self.high:+.{places}f}]"

    @property
    def sentence(self) -> str:
        """The difference, whether it is clear, and what it rests on, as every text says it."""
        return f"{self}; better on {self.share_won:.0%} of {self.basis}"

    @property
    def basis(self) -> str:
        """What the difference rests on: samples, photos and, where they were repeated, seeds."""
        words = rests_on(self.samples, self.photos)
        if self.trainings is None:
            return words
        sides = " against ".join(
            f"{count} seed{'' if count == 1 else 's'}" if count else "no training"
            for count in dict.fromkeys(self.trainings)
        )
        return f"{words}, {sides}"

    def __str__(self) -> str:
        return self.interval if self.is_clear else f"{self.interval}: no clear difference"


def rests_on(samples: int, photos: int) -> str:
    """Say how many samples of how many photos something rests on."""
    words = f"{photos} photo{'' if photos == 1 else 's'}"
    return words if samples == photos else f"{samples} samples of {words}"


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    higher_is_better: bool,
    photos: Sequence[str] | None = None,
    seed: int = 0,
    spread: SeedSpread | None = None,
    trainings: tuple[int, int] = (1, 1),
) -> PairedDifference:
    """Compare values a sample of two results, in the same order of samples.

    Args:
        first: the values of one result, one a sample.
        second: the values of the other.
        higher_is_better: the metric's direction.
        photos: the photo of each sample, where several are crops of one; without it every sample is
            a photo of its own.
        seed: of the bootstrap (`mean_errors`).
        spread: between seeds, where it is known; without it the interval is over photos alone.
        trainings: over how many seeds the values of either are means; 0 for what is not trained.

    Raises:
        ValueError: another number of samples on either side, none, or a value that is not finite.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(f"need two lists of one length, not of shapes {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a value is not finite; measure caps PSNR, so every metric should be")
    gain = a - b if higher_is_better else b - a
    names = [str(index) for index in range(gain.size)] if photos is None else photos
    count = len(set(names))
    errors = mean_errors(gain[:, None], names, seed)[0][:, 0] if count > 1 else None
    if errors is None or spread is None or not any(trainings):
        return describe_difference(gain, errors, count)
    of_seeds = spread.errors(trainings, seed)
    errors = errors + of_seeds[:, 0] - of_seeds[:, 1]
    return describe_difference(gain, errors, count, trainings)


def compare_scores(
    first: pd.DataFrame,
    second: pd.DataFrame,
    metric: str,
    spread: SeedSpread | None = None,
    trainings: tuple[int, int] = (1, 1),
) -> PairedDifference:
    """Compare two results on the samples that both have, crops of one photo counted as one photo.

    Args:
        first: a row a sample, by its name; a column a metric, and ``photo``, which it was cut from.
        second: alike.
        metric: which; its own direction counts.
        spread: between seeds, on these samples (`paired_difference`).
        trainings: over how many seeds the scores of either are means.

    Raises:
        ValueError: they share no sample.
    """
    both = first.index.intersection(second.index)
    if not len(both):
        raise ValueError("the two share no sample, so there is nothing to compare them on")
    return paired_difference(
        first.loc[both, metric],
        second.loc[both, metric],
        ALL_METRICS[metric].higher_is_better,
        list(first.loc[both, "photo"]),
        spread=spread,
        trainings=trainings,
    )


def describe_difference(
    gain: Floats,
    errors: Floats | None,
    photos: int,
    trainings: tuple[int, int] | None = None,
) -> PairedDifference:
    """Put a gain ``(samples,)`` into numbers, by the errors ``(draws,)`` of its mean.

    Without errors, which one photo cannot give, the interval is without end. ``trainings`` where
    the errors are those of seeds, too.
    """
    mean = float(gain.mean())
    low, high = -np.inf, np.inf
    if errors is not None:
        low, high = mean + np.quantile(errors, (0.025, 0.975))
    won = float(np.mean(gain > 0) + 0.5 * np.mean(gain == 0))
    return PairedDifference(mean, float(low), float(high), won, gain.size, photos, trainings)
