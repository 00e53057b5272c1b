"""What other seeds could have shown: the differences between trainings of the same settings.

Photos and seeds are crossed: every network completes the same photos. So the mean of one training
is off by what its seed is worth on every photo, and by what the seed happens to do on these photos.
Few settings have more than a seed or two, and one alone shows no spread, so the spread is pooled
over all of them: a setting with one seed borrows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lab.statistics.resampling import DRAWS, Floats, photo_shares


@dataclass(frozen=True)
class SeedSpread:
    """How far apart the means over the samples are of trainings that differ by their seed alone.

    Attributes:
        variance: of a training's mean, pooled over the settings with several seeds.
        of_photos: what of it these photos make, on each of which a seed does its own; the photos'
            errors hold it, too.
        freedom: how many independent differences between seeds it rests on.
    """

    variance: float
    of_photos: float
    freedom: int

    @property
    def own(self) -> float:
        """The variance that more photos would leave."""
        return max(0.0, self.variance - self.of_photos)

    def errors(self, trainings: Sequence[int], seed: int = 0, draws: int = DRAWS) -> Floats:
        """Draw by how much means over so many trainings are off because of their seeds.

        The variance is drawn along, by chi-squared, as in Student's t, and what the photos' errors
        hold already is taken off each draw of it: a generalized interval for a component of
        variance (Weerahandi, "Generalized Confidence Intervals", 1993). Few degrees of freedom give
        wide errors also where the seeds at hand happen to agree.

        Args:
            trainings: of each candidate; 0 where it was not trained, and has no such error.
            seed: of the draws.
            draws: how many.

        Returns:
            ``(draws, candidates)``, to be added to those of `mean_errors`.
        """
        generator = np.random.default_rng([seed, 2])
        drawn = self.variance * self.freedom / generator.chisquare(self.freedom, draws)
        scales = np.sqrt(np.maximum(0.0, drawn - self.of_photos))
        counts = np.asarray(trainings, dtype=np.float64)
        shrunk = np.where(counts > 0, 1.0 / np.sqrt(np.maximum(counts, 1.0)), 0.0)
        normal = generator.standard_normal((draws, len(counts)))
        errors: Floats = scales[:, None] * shrunk * normal
        return errors


def seed_spread(settings: Sequence[Floats], photos: Sequence[str]) -> SeedSpread | None:
    """Pool the spread between the seeds of every setting that has several.

    Args:
        settings: for each its values ``(samples, seeds)``, of the same samples.
        photos: the photo of each sample.

    Returns:
        SeedSpread | None: None where no setting has two seeds, or there is one photo: nothing is
        known of other seeds then.
    """
    repeated = [values for values in settings if values.shape[1] > 1]
    n = len(set(photos))
    if not repeated or n < 2:
        return None
    freedom = sum(values.shape[1] - 1 for values in repeated)
    between, within = 0.0, 0.0
    for values in repeated:
        deviations = values - values.mean(axis=1, keepdims=True)
        between += float((deviations.mean(axis=0) ** 2).sum())
        within += float((photo_shares(deviations, photos) ** 2).sum()) * n / (n - 1)
    return SeedSpread(between / freedom, within / freedom, freedom)
