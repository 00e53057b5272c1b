"""Which of several candidates is best, how sure that is, and which cannot be told apart.

The share of bootstrap draws in which a candidate comes out best is over-confident as the
probability that it is best: with many candidates the one that leads was also lucky, close ties
come out as leads, and a few photos show fewer directions than there are candidates. Three things
mend it, each measured by ``tests/selection/test_calibration.py``:

- The true means are drawn from a g-prior (Zellner 1986) whose strength is not known but weighed by
  what the data say, with an even prior on the shrinkage (Liang et al., "Mixtures of g Priors for
  Bayesian Variable Selection", 2008): where all differences look like chance, the leader's lead is
  taken for chance too.
- That strength is judged on the contenders alone. Early epochs that are clearly worse would
  otherwise make every difference look real.
- The bootstrap's covariance is mixed with an even one, in the proportion of Ledoit and Wolf ("A
  well-conditioned estimator for large-dimensional covariance matrices", 2004).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from sklearn.covariance import ledoit_wolf_shrinkage

from lab.statistics.paired import PairedDifference, describe_difference
from lab.statistics.resampling import DRAWS, Floats, mean_errors
from lab.statistics.seeds import SeedSpread

HELD = 0.95
"""The probability with which the set of candidates that cannot be told apart holds the best."""

# A candidate that is ahead of the leader in fewer draws than this is out of the race.
_OUT_OF_THE_RACE = 0.005


@dataclass(frozen=True)
class Ranking:
    """What one metric says about the candidates, which are numbered as they were given.

    Attributes:
        means: over the samples.
        order: the candidates, the best mean first.
        probability: that each is the best; they add up to 1.
        tied: the smallest set, in ``order``, that holds the best with a probability of `HELD`.
        behind: how much better the leader is than each, paired by sample.
        photos: how many the ranking rests on; crops of one photo count once.
    """

    means: Floats
    order: list[int]
    probability: Floats
    tied: list[int]
    behind: list[PairedDifference]
    photos: int


def rank(
    values: Floats,
    photos: Sequence[str],
    higher_is_better: bool,
    seed: int = 0,
    spread: SeedSpread | None = None,
    trainings: Sequence[int] = (),
) -> Ranking:
    """Rank candidates by one metric.

    Args:
        values: ``(samples, candidates)``, finite, at least one of each.
        photos: the photo of each sample. One photo says nothing about others: all candidates are
            then equally probable, and the intervals without end.
        higher_is_better: the metric's direction.
        seed: of the draws.
        spread: between seeds, where the candidates are settings and it is known; without it they
            are networks as they are, and another seed of them is another candidate.
        trainings: over how many seeds the values of each are means; with ``spread``.
    """
    gains = values if higher_is_better else -values
    means = gains.mean(axis=0)
    order = [int(index) for index in np.argsort(-means, kind="stable")]
    errors = None
    probability = np.full(len(means), 1.0 / len(means))
    if len(set(photos)) > 1:
        errors, shares = mean_errors(gains, photos, seed)
        of_seeds = (
            _OfSeeds.none(len(means)) if spread is None else _OfSeeds.of(spread, trainings, seed)
        )
        # Networks as they are may be the same one, as of an epoch in which only judges trained.
        same = _first_alike(gains) if spread is None else np.arange(len(means))
        distinct, place, copies = np.unique(same, return_inverse=True, return_counts=True)
        of_distinct = _probability_best(
            means[distinct],
            errors[:, distinct],
            shares[:, distinct],
            of_seeds.among(distinct),
            seed,
        )
        probability = (of_distinct / copies)[place]
        errors = errors + of_seeds.errors
    likely = sorted(order, key=lambda index: -probability[index])
    held = int(np.searchsorted(np.cumsum(probability[likely]), HELD - 1e-9)) + 1
    tied = {*likely[:held], order[0]}
    return Ranking(
        means=values.mean(axis=0),
        order=order,
        probability=probability,
        tied=[index for index in order if index in tied],
        behind=[
            describe_difference(
                gains[:, order[0]] - gains[:, index],
                None if errors is None else errors[:, order[0]] - errors[:, index],
                len(set(photos)),
                None if spread is None else (trainings[order[0]], trainings[index]),
            )
            for index in range(len(means))
        ],
        photos=len(set(photos)),
    )


@dataclass(frozen=True)
class _OfSeeds:
    """What seeds add to the errors: draws, each candidate's variance, and its freedom."""

    errors: Floats
    variances: Floats
    freedom: int

    @classmethod
    def none(cls, candidates: int) -> "_OfSeeds":
        return cls(np.zeros((1, candidates)), np.zeros(candidates), 1)

    @classmethod
    def of(cls, spread: SeedSpread, trainings: Sequence[int], seed: int) -> "_OfSeeds":
        variances = spread.own / np.maximum(np.asarray(trainings, dtype=np.float64), 1.0)
        return cls(spread.errors(trainings, seed), variances, spread.freedom)

    def among(self, candidates: NDArray[np.intp]) -> "_OfSeeds":
        return _OfSeeds(self.errors[:, candidates], self.variances[candidates], self.freedom)


def _first_alike(gains: Floats) -> NDArray[np.intp]:
    """For each candidate the first one with the same values."""
    first: dict[bytes, int] = {}
    columns = (np.ascontiguousarray(column).tobytes() for column in gains.T)
    return np.array([first.setdefault(column, index) for index, column in enumerate(columns)])


def _probability_best(
    means: Floats, errors: Floats, shares: Floats, of_seeds: _OfSeeds, seed: int
) -> Floats:
    """The probability ``(candidates,)`` that each has the highest true mean."""
    draws = means + errors + of_seeds.errors
    ahead = np.mean(draws >= draws[:, [int(means.argmax())]], axis=0)
    # The second best stays in: alone, a leader would be sure of itself.
    contenders = np.flatnonzero(ahead >= min(_OUT_OF_THE_RACE, np.sort(ahead)[-2:][0]))
    generator = np.random.default_rng([seed, 1])
    of_seeds = of_seeds.among(contenders)
    errors = _conditioned(errors[:, contenders], shares[:, contenders], generator)
    errors = errors + of_seeds.errors
    kept = _kept_of_differences(means[contenders], shares[:, contenders], of_seeds, generator)
    # Under a g-prior the means are kept * means + sqrt(kept) * errors; the order is the same.
    best = (np.sqrt(kept)[:, None] * means[contenders] + errors).argmax(axis=1)
    probability = np.zeros(len(means))
    probability[contenders] = np.bincount(best, minlength=len(contenders)) / len(best)
    return probability


def _conditioned(errors: Floats, shares: Floats, generator: np.random.Generator) -> Floats:
    """Mix independent errors into those of the bootstrap, as far as the photos are too few."""
    photos, candidates = shares.shape
    deviations = _centred(shares)
    largest = np.abs(deviations).max()
    if largest == 0.0:
        return errors
    mixed = np.clip(ledoit_wolf_shrinkage(deviations / largest, assume_centered=True), 0.0, 1.0)
    variance = (deviations**2).sum() * photos / (photos - 1) / (candidates - 1)
    scales = np.sqrt(variance * (photos - 1) / generator.chisquare(photos - 1, len(errors)))
    even = scales[:, None] * generator.standard_normal(errors.shape)
    return np.sqrt(1.0 - mixed) * errors + np.sqrt(mixed) * even


def _kept_of_differences(
    means: Floats, shares: Floats, of_seeds: _OfSeeds, generator: np.random.Generator
) -> Floats:
    """Draw which share of the observed differences is no chance, ``(draws,)`` in (0, 1).

    The ratio of the means' spread to their errors' follows 1 / (1 - share) times an F
    distribution, whose degrees of freedom are those of the errors' covariance (Satterthwaite).
    """
    photos = len(shares)
    deviations = _centred(shares)
    covariance = deviations @ deviations.T * photos / (photos - 1)
    noise = float(np.trace(covariance))
    if noise == 0.0:
        # Every photo says the same.
        return np.ones(DRAWS)
    freedom = noise**2 / float((covariance**2).sum())
    estimated = freedom * (photos - 1)
    if of_seeds.variances.any():
        # Between candidates, in which what seeds add can be written, too.
        between = deviations.T @ deviations * photos / (photos - 1)
        centre = np.eye(len(means)) - 1.0 / len(means)
        added = centre @ np.diag(of_seeds.variances) @ centre
        more = float(np.trace(added))
        uncertain = noise**2 / estimated + more**2 / of_seeds.freedom
        noise += more
        freedom = noise**2 / float(((between + added) ** 2).sum())
        estimated = noise**2 / uncertain
    # Equal means have a ratio of 0, where the density may be infinite.
    ratio = max(float(((means - means.mean()) ** 2).sum()) / noise, 1e-9)
    shares_kept = (np.arange(400) + 0.5) / 400
    log = np.log1p(-shares_kept) + f_distribution.logpdf(
        ratio * (1.0 - shares_kept), freedom, estimated
    )
    weights = np.exp(log - log.max())
    drawn: Floats = generator.choice(shares_kept, DRAWS, p=weights / weights.sum())
    return drawn


def _centred(shares: Floats) -> Floats:
    return shares - shares.mean(axis=1, keepdims=True)
