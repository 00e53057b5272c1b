"""Which settings of a study deserve another seed: those whose place more seeds could decide.

A setting is out of the race when another is confidently better by every goal: then it is neither
the best nor on the front. Confidently is one-sided by Student's t, over photos and seeds, with
Satterthwaite's degrees of freedom, at 5 % shared out evenly (Bonferroni) among the other settings
and the rounds of seeds: so in no more than 5 % of studies is the true best thrown out by anybody in
any round. Several goals need no further share, because all of them must agree.

Nor does a seed go where it could not decide anything. What the means will be once all contenders
have all their seeds is foreseen from what the means are now, drawn together as far as seeds alone
would have put them apart (James and Stein); where no two of them have a chance worth a training to
come out clearly apart, their race is a tie. Ending early like that makes no finding: it can hide a
difference, but not make one up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from lab.statistics.resampling import Floats, photo_shares
from lab.statistics.seeds import SeedSpread, seed_spread

_LEVEL = 0.05
"""In how many studies the true best may be thrown out."""

# Below, what seeds do is hardly known, and nothing is decided by it.
_FEWEST_FREEDOM = 4

# Of a pair to come out clearly apart, for which another training is spent.
_LEAST_CHANCE = 0.1


@dataclass(frozen=True)
class Race:
    """Where a race stands; settings are numbered as they were given.

    Attributes:
        contenders: those that can still be the best or, by several goals, on the front.
        due: those whose next seed could decide something, the one to be trained next first.
    """

    contenders: list[int]
    due: list[int]


def race(
    settings: Sequence[Floats],
    photos: Sequence[str],
    seeds: int,
    begun: Sequence[int] | None = None,
    reference: int | None = None,
) -> Race:
    """Say which settings can still win, and which of them get another seed.

    Args:
        settings: the values of each ``(goals, samples, seeds)``, signed so that higher is better,
            each with at least one seed, all on the same samples.
        photos: the photo of each sample. One photo decides nothing.
        seeds: that a setting may have.
        begun: how many seeds each has, those included that have not ended or have failed; default:
            as many as it has values of.
        reference: what all are compared with; it gets seeds as long as anybody's place against it
            is open.
    """
    everybody = list(range(len(settings)))
    counts = np.array([values.shape[2] for values in settings])
    taken = counts if begun is None else np.asarray(begun)
    if len(settings) < 2 or len(set(photos)) < 2 or seeds < 2:
        return Race(everybody, [])
    by_goal = [
        _Goal.of([values[goal] for values in settings], photos, counts)
        for goal in range(settings[0].shape[0])
    ]
    freedom = int((counts - 1).sum())
    contenders = np.ones(len(settings), dtype=bool)
    due = taken < seeds
    if freedom >= min(_FEWEST_FREEDOM, len(settings) * (seeds - 1)):
        level = _LEVEL / ((len(settings) - 1) * (seeds - 1))
        beats = np.all([goal.clearly_better(level) for goal in by_goal], axis=0)
        contenders = ~beats.any(axis=0)
        racing = contenders.copy()
        if reference is not None:
            racing[reference] = True
        chances = np.min([goal.chances(level, racing, seeds) for goal in by_goal], axis=0)
        worth = (chances >= _LEAST_CHANCE) & ~beats & ~beats.T & np.outer(racing, racing)
        due &= (worth | worth.T).any(axis=0)
    means = by_goal[0].means
    order = sorted(
        np.flatnonzero(due), key=lambda index: (taken[index], index != reference, -means[index])
    )
    return Race([int(index) for index in np.flatnonzero(contenders)], [int(i) for i in order])


@dataclass(frozen=True)
class _Goal:
    """One goal's numbers: a mean a setting, and what the difference of two is off by."""

    means: Floats
    counts: NDArray[np.int_]
    of_photos: Floats  # the variance of each pair's difference over photos
    photos: int
    spread: SeedSpread | None

    @classmethod
    def of(
        cls, settings: Sequence[Floats], photos: Sequence[str], counts: NDArray[np.int_]
    ) -> "_Goal":
        values = np.column_stack([values.mean(axis=1) for values in settings])
        shares = photo_shares(values, photos)
        n = len(shares)
        apart = shares[:, :, None] - shares[:, None, :]
        return cls(
            values.mean(axis=0),
            counts,
            (apart**2).sum(axis=0) * n / (n - 1),
            n,
            seed_spread(settings, photos),
        )

    def clearly_better(self, level: float) -> NDArray[np.bool_]:
        """Whether the first of each pair is: ``(settings, settings)``."""
        assert self.spread is not None
        errors, freedom = self._errors(self.of_photos, self.counts, self.spread.freedom)
        found: NDArray[np.bool_] = self._apart(self.means) > t.isf(level, freedom) * errors
        return found

    def chances(self, level: float, racing: NDArray[np.bool_], seeds: int) -> Floats:
        """How probable it is that the first of a pair is clearly better once all have all seeds."""
        assert self.spread is not None
        variance = self.spread.variance
        final = np.where(racing, np.maximum(seeds, self.counts), self.counts)
        # On their own photos: what further seeds do on them is part of their variance.
        saved = self.spread.of_photos * (_per_pair(self.counts) - _per_pair(final))
        errors, freedom = self._errors(
            np.maximum(0.0, self.of_photos - saved),
            final,
            self.spread.freedom + int((final - self.counts).sum()),
        )
        means, chance = self.means, variance / self.counts
        true = (
            float(np.var(means[racing], ddof=1) - chance[racing].mean()) if racing.sum() > 1 else 0
        )
        kept = max(true, 0.0) / np.maximum(max(true, 0.0) + chance, np.finfo(float).tiny)
        centre = means[racing].mean()
        new = 1.0 - self.counts / final
        expected = means - new * (1.0 - kept) * (means - centre)
        still_open = new**2 * kept * chance + new * variance / final
        spread = np.sqrt(still_open[:, None] + still_open[None, :])
        lead = self._apart(expected) - t.isf(level, freedom) * errors
        found: Floats = norm.cdf(lead / np.maximum(spread, np.finfo(float).tiny))
        return found

    def _errors(
        self, of_photos: Floats, counts: NDArray[np.int_], freedom: int
    ) -> tuple[Floats, Floats]:
        """The standard error of each pair's difference, and its degrees of freedom."""
        assert self.spread is not None
        pairs = _per_pair(counts)
        variance = of_photos + self.spread.own * pairs
        # Of what the seeds add, all is as uncertain as the whole that the photos' part is off.
        spent = of_photos**2 / (self.photos - 1) + (self.spread.variance * pairs) ** 2 / freedom
        tiny = np.finfo(float).tiny
        return np.sqrt(variance), np.maximum(1.0, variance**2 / np.maximum(spent, tiny))

    @staticmethod
    def _apart(means: Floats) -> Floats:
        return means[:, None] - means[None, :]


def _per_pair(counts: NDArray[np.int_]) -> Floats:
    """By how much of one seed's variance the difference of two means over seeds is off."""
    return np.asarray(1.0 / counts[:, None] + 1.0 / counts[None, :])
