"""What other photos could have shown: the bootstrap that every comparison here draws from."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 4_000

Floats = NDArray[np.float64]


def mean_errors(
    values: Floats, photos: Sequence[str], seed: int = 0, draws: int = DRAWS
) -> tuple[Floats, Floats]:
    """Draw by how much the means over the samples may be off, jointly for all candidates.

    The Bayesian bootstrap (Rubin, "The Bayesian Bootstrap", 1981) with a random weight for each
    photo, not for each sample: crops of one photo are not independent. Its spread is too small by
    (n - 1) / (n + 1) for n photos, and it takes the spread seen between few photos for the true
    one; the first is a factor, the second a draw of chi-squared, as in Student's t.

    Args:
        values: ``(samples, candidates)``, finite.
        photos: the photo of each sample.
        seed: of the draws; with the same photos it draws the same weights.
        draws: how many.

    Returns:
        The errors ``(draws, candidates)``, and what each photo adds to the means' deviation
        ``(photos, candidates)``: errors are weighted sums of these.

    Raises:
        ValueError: fewer than two photos, which say nothing about others.
    """
    shares = photo_shares(values, photos)
    if len(shares) < 2:
        raise ValueError(f"{len(shares)} photo says nothing about others: at least two are needed")
    errors: Floats = _weights(len(shares), seed, draws) @ shares
    return errors, shares


def photo_shares(values: Floats, photos: Sequence[str]) -> Floats:
    """What each photo adds to the deviation of the means: ``(photos, candidates)``.

    Args:
        values: ``(samples, candidates)``.
        photos: the photo of each sample.
    """
    names, index = np.unique(np.asarray(photos, dtype=str), return_inverse=True)
    shares = np.zeros((len(names), values.shape[1]))
    np.add.at(shares, index, (values - values.mean(axis=0)) / len(values))
    return shares


# Drawing takes a hundred times as long as what is done with it, and a page of a study compares
# hundreds of pairs on the same photos.
@lru_cache(maxsize=2)
def _weights(photos: int, seed: int, draws: int) -> Floats:
    """How much each photo counts too much or too little in each draw: ``(draws, photos)``."""
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet(np.ones(photos), draws) * photos - 1.0
    scales = np.sqrt((photos + 1) / generator.chisquare(photos - 1, draws))
    weights *= scales[:, None]
    weights.flags.writeable = False
    return weights
