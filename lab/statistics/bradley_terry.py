"""What votes say: a ranking with intervals.

Bradley and Terry, "Rank Analysis of Incomplete Block Designs" (1952), with Davidson's ties ("On
Extending the Bradley-Terry Model to Accommodate Ties in Paired Comparison Experiments", 1970): of
two items with strengths a and b (logarithms), left wins, right wins and ties are in proportion
e^a : e^b : nu * e^((a + b) / 2). A normal prior on the strengths keeps an item that never lost
from being infinitely strong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from lab.statistics.resampling import Floats

Choice = Literal["left", "right", "tie"]

STRENGTH_SPREAD = 1.5
"""Standard deviation of the prior on a strength: most items win 5 to 95 % against the average."""

_DRAWS = 4_000


class Comparison(Protocol):
    """A vote: two checkpoints on one sample (``photo``), and which side was chosen."""

    @property
    def photo(self) -> str: ...  # noqa: D102
    @property
    def left(self) -> str: ...  # noqa: D102
    @property
    def right(self) -> str: ...  # noqa: D102
    @property
    def choice(self) -> Choice: ...  # noqa: D102


@dataclass(frozen=True)
class Voted:
    """One checkpoint in the ranking by votes.

    Attributes:
        checkpoint: its name.
        wins: share of its comparisons with the average checkpoint that it would win, ties split.
        low: lower end of the 95 % interval of ``wins``.
        high: upper end.
        probability: that it is the strongest.
        votes: in which it was shown.
    """

    checkpoint: str
    wins: float
    low: float
    high: float
    probability: float
    votes: int


def rank_votes(votes: Sequence[Comparison], seed: int = 0) -> list[Voted]:
    """Rank the checkpoints that were voted on, the strongest first.

    The intervals come from the normal approximation at the most probable strengths (Laplace's);
    they take votes for independent, so many votes on few photos make them too narrow.

    Args:
        votes: at least one.
        seed: of the draws behind ``probability``.
    """
    names = sorted({name for vote in votes for name in (vote.left, vote.right)})
    number = {name: index for index, name in enumerate(names)}
    sides = np.array([(number[vote.left], number[vote.right]) for vote in votes])
    outcomes = np.array([("left", "right", "tie").index(vote.choice) for vote in votes])
    strengths, covariance = _fit(sides, outcomes, len(names))
    draws = np.random.default_rng(seed).multivariate_normal(strengths, covariance, _DRAWS)
    # Only differences between strengths mean anything: they are told against the average.
    draws -= draws.mean(axis=1, keepdims=True)
    low, high = expit(np.quantile(draws, (0.025, 0.975), axis=0))
    probability = np.bincount(draws.argmax(axis=1), minlength=len(names)) / _DRAWS
    wins = expit(strengths - strengths.mean())
    shown = np.bincount(sides.ravel(), minlength=len(names))
    return [
        Voted(
            checkpoint=names[index],
            wins=float(wins[index]),
            low=float(low[index]),
            high=float(high[index]),
            probability=float(probability[index]),
            votes=int(shown[index]),
        )
        for index in np.argsort(-wins, kind="stable")
    ]


def _fit(sides: Floats, outcomes: Floats, items: int) -> tuple[Floats, Floats]:
    """The most probable strengths, and their covariance."""

    def shares(parameters: Floats) -> tuple[Floats, Floats]:
        strengths, log_ties = parameters[:items], parameters[items]
        left, right = strengths[sides[:, 0]], strengths[sides[:, 1]]
        logits = np.column_stack([left, right, log_ties + (left + right) / 2])
        logits -= logits.max(axis=1, keepdims=True)
        likelihood = np.exp(logits)
        return logits, likelihood / likelihood.sum(axis=1, keepdims=True)

    rows = np.arange(len(outcomes))
    # How each outcome's logit depends on the parameters.
    design = np.zeros((len(outcomes), 3, items + 1))
    for outcome, (weight_left, weight_right) in enumerate(((1, 0), (0, 1), (0.5, 0.5))):
        design[rows, outcome, sides[:, 0]] = weight_left
        design[rows, outcome, sides[:, 1]] = weight_right
    design[:, 2, items] = 1.0
    # The share of ties is all but free, yet finite where there are none, or nothing else.
    precision = np.append(np.full(items, STRENGTH_SPREAD**-2), 0.1)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        logits, probabilities = shares(parameters)
        normalizer = np.log(np.exp(logits).sum(axis=1))
        value = (normalizer - logits[rows, outcomes]).sum()
        value += 0.5 * (precision * parameters**2).sum()
        slope = np.einsum("vo,vop->p", probabilities, design)
        slope -= design[rows, outcomes].sum(axis=0)
        return float(value), slope + precision * parameters

    best = minimize(loss, np.zeros(items + 1), jac=True, method="L-BFGS-B").x
    _, probabilities = shares(best)
    means = np.einsum("vo,vop->vp", probabilities, design)
    curvature = np.einsum("vo,vop,voq->pq", probabilities, design, design, optimize=True)
    curvature += np.diag(precision) - means.T @ means
    return best[:items], np.linalg.inv(curvature)[:items, :items]
