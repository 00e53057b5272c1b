"""Comparing two results photo by photo: the same photos, the same holes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lab.metrics import METRICS
from lab.selection.resampling import Floats, mean_errors, photo_of


@dataclass(frozen=True)
class PairedDifference:
    """How much better the first is: the mean over the photos, with its 95 % bootstrap interval.

    Attributes:
        mean: of the differences, signed so that above 0 means the first is better.
        low: lower end of the interval.
        high: upper end.
        share_won: share of the photos on which the first is better; ties count half.
        photos: how many were compared; crops of one photo count each.
    """

    mean: float
    low: float
    high: float
    share_won: float
    photos: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0.0 or self.high < 0.0

    def __str__(self) -> str:
        text = f"{self.mean:+.3g} [{self.low:+.3g}, {self.high:+.3g}]"
        return text if self.is_clear else f"{text}: no clear difference"


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    higher_is_better: bool,
    photos: Sequence[str] | None = None,
    seed: int = 0,
) -> PairedDifference:
    """Compare values a sample of two results, in the same order of samples.

    Args:
        first: the values of one result, one a sample.
        second: the values of the other.
        higher_is_better: the metric's direction.
        photos: the photo of each sample, where several are crops of one (`photo_of`); without it
            every sample is a photo of its own.
        seed: of the bootstrap (`mean_errors`).

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
    errors = mean_errors(gain[:, None], names, seed)[0][:, 0] if len(set(names)) > 1 else None
    return describe_difference(gain, errors)


def compare_scores(first: pd.DataFrame, second: pd.DataFrame, metric: str) -> PairedDifference:
    """Compare two results on the samples that both have, crops of one photo counted as one photo.

    Args:
        first: a row a sample, by its name; a column a metric.
        second: alike.
        metric: which; its own direction counts.

    Raises:
        ValueError: they share no sample.
    """
    both = first.index.intersection(second.index)
    return paired_difference(
        first.loc[both, metric],
        second.loc[both, metric],
        METRICS[metric].higher_is_better,
        [photo_of(sample) for sample in both],
    )


def describe_difference(gain: Floats, errors: Floats | None) -> PairedDifference:
    """Put a gain ``(samples,)`` into numbers, by the errors ``(draws,)`` of its mean.

    Without errors, which one photo cannot give, the interval is without end.
    """
    mean = float(gain.mean())
    low, high = -np.inf, np.inf
    if errors is not None:
        low, high = mean + np.quantile(errors, (0.025, 0.975))
    won = float(np.mean(gain > 0) + 0.5 * np.mean(gain == 0))
    return PairedDifference(mean, float(low), float(high), won, gain.size)
