"""Comparing two results photo by photo: the same photos, the same holes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import bootstrap


@dataclass(frozen=True)
class PairedDifference:
    """How much better the first is: the mean over the photos, with its 95 % bootstrap interval.

    Attributes:
        mean: of the differences, signed so that above 0 means the first is better.
        low: lower end of the interval.
        high: upper end.
        share_won: share of the photos on which the first is better; ties count half.
        photos: how many were compared.
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
    first: ArrayLike, second: ArrayLike, higher_is_better: bool, seed: int = 0
) -> PairedDifference:
    """Compare per-photo values of two results, in the same order of photos.

    The interval is the percentile bootstrap over photos (Efron and Tibshirani 1993, chapter 13)
    with 9,999 resamples. Several crops of one photo are not independent: with few photos the
    interval is too narrow.

    Raises:
        ValueError: another number of photos on either side, none, or a value that is not finite.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise ValueError(f"need two lists of one length, not of shapes {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a value is not finite; measure caps PSNR, so every metric should be")
    gain = a - b if higher_is_better else b - a
    won = float(np.mean(gain > 0) + 0.5 * np.mean(gain == 0))
    mean = float(gain.mean())
    if gain.size == 1 or np.ptp(gain) == 0:
        # One photo says nothing about others; equal gains leave nothing to resample.
        low, high = (-np.inf, np.inf) if gain.size == 1 else (mean, mean)
        return PairedDifference(mean, float(low), float(high), won, gain.size)
    interval = bootstrap(
        (gain,),
        np.mean,
        n_resamples=9_999,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return PairedDifference(mean, float(interval.low), float(interval.high), won, gain.size)
