"""Which metric agrees with the eye: how often it prefers the fill that was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.stats import t

from lab.metrics import ALL_METRICS
from lab.statistics.bradley_terry import Comparison
from lab.statistics.resampling import Floats, mean_errors


@dataclass(frozen=True)
class Agreement:
    """How often a metric prefers the fill that was chosen, with its 95 % interval over photos.

    Attributes:
        metric: its name.
        share: of the votes that chose a side; one half counts where the metric sees no difference.
            0.5 is chance.
        low: lower end of the interval; 0 where one photo says nothing about others.
        high: upper end; 1 there.
        votes: how many those are.
        photos: how many the interval rests on; crops of a photo count once.
    """

    metric: str
    share: float
    low: float
    high: float
    votes: int
    photos: int


def agreement(
    votes: Sequence[Comparison],
    values: Mapping[str, Mapping[tuple[str, str], float]],
    photos: Mapping[str, str],
) -> list[Agreement]:
    """Compare votes with metrics, the most agreeing first.

    Args:
        votes: ties choose no fill, and say nothing here.
        values: for each metric, the value of (sample, checkpoint); votes on others are left out,
            and those where a value is not finite.
        photos: what each sample was cut from.
    """
    found = []
    for metric, scored in values.items():
        sign = 1.0 if ALL_METRICS[metric].higher_is_better else -1.0
        agreed, seen = [], []
        for vote in votes:
            left, right = ((vote.photo, name) for name in (vote.left, vote.right))
            if vote.choice == "tie" or left not in scored or right not in scored:
                continue
            lead = sign * (scored[left] - scored[right])
            if np.isfinite(lead):
                lead = lead if vote.choice == "left" else -lead
                agreed.append(0.5 + 0.5 * float(np.sign(lead)))
                seen.append(photos[vote.photo])
        if agreed:
            low, high = _interval(np.array(agreed), seen)
            share, count = float(np.mean(agreed)), len(set(seen))
            found.append(Agreement(metric, share, low, high, len(agreed), count))
    return sorted(found, key=lambda item: -item.share)


def _interval(agreed: Floats, photos: Sequence[str]) -> tuple[float, float]:
    """Wilson's (1927), by Student's t, with as many votes as count for independent.

    Those are what the spread between photos leaves of them (Kish's design effect, "Survey
    Sampling", 1965), as Franco et al., "Comparative Study of Confidence Intervals for Proportions
    in Complex Sample Surveys" (2019), recommend. Unlike a bootstrap it has a width where all votes
    agree: there each photo counts as one vote.
    """
    count = len(set(photos))
    if count < 2:
        return 0.0, 1.0
    share = float(agreed.mean())
    _, parts = mean_errors(agreed[:, None], photos)
    variance = float(np.square(parts).sum()) * count / (count - 1)
    independent = min(share * (1 - share) / variance, len(agreed)) if variance else count
    width = float(t.ppf(0.975, count - 1)) ** 2 / independent
    middle = (share + width / 2) / (1 + width)
    half = sqrt(width * share * (1 - share) + width**2 / 4) / (1 + width)
    return max(0.0, middle - half), min(1.0, middle + half)
