"""What each term of an objective weighs while a network trains: as stated, or balanced as it goes.

A balancing is given the stated weights and makes of every step's terms a total to descend. What it
learns by descending (parameters) is trained with the network, at a learning rate of its own, and
kept where a run is resumed from; the network's own checkpoints know nothing of it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.losses.gradients import gradient_norm
from lab.losses.terms import TERMS
from lab.ranks import mean_over_ranks

_LARGEST_RATIO = 1e4
_LEAST_WEIGHT = 1e-3

# A term's weight is at most 22,026 times the stated one.
_LEAST_LOG_VARIANCE = -10.0


@dataclass(frozen=True)
class Balanced:
    """A step's terms, weighted and added.

    Args:
        total: what is descended, a scalar with gradient.
        weights: what balanced terms weigh in it, scalars without gradient, by name.
    """

    total: Tensor
    weights: dict[str, Tensor] = field(default_factory=dict)


class Balancing(nn.Module, ABC):
    """``(terms, last layer) -> Balanced``; terms that it leaves alone keep their stated weights.

    Attributes:
        stated: the weights of the terms, none 0, by name.
        terms: the names of those that it balances.
        needs_positive: whether these must never be negative.
        measures_gradients: whether it needs the parameters of the network's last layer.
        learning_rate: of its own parameters.
    """

    needs_positive = False
    measures_gradients = False
    learning_rate = 0.0

    def __init__(self, stated: Mapping[str, float], terms: Sequence[str] = ()) -> None:
        super().__init__()
        for name in terms:
            if name not in stated:
                raise ValueError(unknown_name_message("term with a weight", name, stated))
        self.stated = dict(stated)
        self.terms = tuple(terms)

    @abstractmethod
    def forward(self, terms: Mapping[str, Tensor], last_layer: Sequence[Tensor]) -> Balanced:
        """Weight and add a step's terms.

        Args:
            terms: raw scalars with gradient, by name.
            last_layer: the parameters of the network's last layer.
        """

    def _weighted(self, terms: Mapping[str, Tensor], names: Sequence[str]) -> list[Tensor]:
        return [self.stated[name] * terms[name] for name in names]

    def _others(self) -> list[str]:
        return [name for name in self.stated if name not in self.terms]


class StatedWeights(Balancing):
    """Every term weighs what was stated, from the first step to the last.

    Args:
        stated: the weights.
    """

    def __init__(self, stated: Mapping[str, float]) -> None:
        super().__init__(stated)

    def forward(self, terms: Mapping[str, Tensor], last_layer: Sequence[Tensor]) -> Balanced:
        """The weighted sum."""
        return Balanced(torch.stack(self._weighted(terms, list(terms))).sum())


class UncertaintyWeighting(Balancing):
    """Learns a variance a term, by which it is divided.

    Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
    Geometry and Semantics" (CVPR 2018): each stated term ``l`` becomes ``exp(-s) l + s`` with a
    learned log-variance ``s``, their equation 7 times two. It begins at 0, the stated weight, and
    settles where every term contributes 1, whatever was stated. A term that falls below 0 would
    have no such place.

    Args:
        stated: the weights.
        terms: to balance; by default all but the judges'.
        learning_rate: of the log-variances: at the network's own they would hardly move.

    Raises:
        ValueError: no term to balance, one without weight, or a learning rate outside (0, 1).
    """

    needs_positive = True

    def __init__(
        self,
        stated: Mapping[str, float],
        terms: Sequence[str] | None = None,
        learning_rate: float = 0.01,
    ) -> None:
        super().__init__(stated, _default(stated) if terms is None else terms)
        _check(self, 1, learning_rate)
        self.learning_rate = learning_rate
        self.log_variances = nn.Parameter(torch.zeros(len(self.terms)))

    def forward(self, terms: Mapping[str, Tensor], last_layer: Sequence[Tensor]) -> Balanced:
        """The sum of the terms over their variances, with the log-variances."""
        with torch.no_grad():
            # A term that is 0 has no place to settle: its factor would grow without end.
            self.log_variances.clamp_(min=_LEAST_LOG_VARIANCE)
        factors = (-self.log_variances).exp()
        balanced = torch.stack(self._weighted(terms, self.terms))
        rest = self._weighted(terms, self._others())
        total = torch.stack([(factors * balanced + self.log_variances).sum(), *rest]).sum()
        return Balanced(total, _shown(self, factors))


class GradNorm(Balancing):
    """Lets terms that have fallen less pull harder, by the size of their gradients.

    Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing in Deep Multitask
    Networks" (ICML 2018), equations 1 and 2 and algorithm 1. The gradient of each weighted term at
    the network's last layer shall have the mean norm times the term's relative rate to the power of
    ``alpha``; the rate is its share of its first value, over the mean share. The weights are
    factors of the stated ones, begin at 1, and add up to the number of terms. A term that does not
    reach the last layer, as a coarse stage's, keeps its stated weight.

    Args:
        stated: the weights.
        terms: to balance; by default all but the judges'.
        alpha: how strongly rates are drawn together; 0 makes all gradients alike; 1.5 in the
            paper's main experiments.
        learning_rate: of the factors: at the network's own they would hardly move.

    Raises:
        ValueError: fewer than two terms, one without weight, a negative ``alpha``, or a learning
            rate outside (0, 1).
    """

    needs_positive = True
    measures_gradients = True

    def __init__(
        self,
        stated: Mapping[str, float],
        terms: Sequence[str] | None = None,
        alpha: float = 1.5,
        learning_rate: float = 0.01,
    ) -> None:
        super().__init__(stated, _default(stated) if terms is None else terms)
        _check(self, 2, learning_rate)
        if not (math.isfinite(alpha) and alpha >= 0):
            raise ValueError(f"alpha must be finite and at least 0, not {alpha}")
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.factors = nn.Parameter(torch.ones(len(self.terms)))
        self.first_values: Tensor
        # NaN until the first step has been seen.
        self.register_buffer("first_values", torch.full((len(self.terms),), math.nan))

    def forward(self, terms: Mapping[str, Tensor], last_layer: Sequence[Tensor]) -> Balanced:
        """The weighted sum; and the paper's ``L_grad``, which only the factors descend."""
        weighted = self._weighted(terms, self.terms)
        balanced = torch.stack(weighted)
        found = [gradient_norm(term, last_layer) for term in weighted]
        reached = [place for place, norm in enumerate(found) if norm is not None]
        norms = [norm for norm in found if norm is not None]
        with torch.no_grad():
            seen = mean_over_ranks(balanced)
            # A term's share is of its first value above 0, which it may not have had yet.
            is_first = ~(self.first_values > 0)
            self.first_values.copy_(torch.where(is_first, seen, self.first_values))
            kept = self.factors[reached].clamp_min(_LEAST_WEIGHT)
            self.factors[reached] = kept * len(reached) / kept.sum()
            shares = torch.where(self.first_values > 0, seen / self.first_values, 1.0)
            rates = shares[reached] / shares[reached].mean()
        factors = self.factors.detach().clone()
        rest = self._weighted(terms, self._others())
        total = torch.stack([(factors * balanced).sum(), *rest]).sum()
        if reached:
            sizes = self.factors[reached] * torch.stack(norms)
            wanted = sizes.mean().detach() * rates**self.alpha
            total = total + (sizes - wanted).abs().sum()
        return Balanced(total, _shown(self, factors))


class GradientRatio(Balancing):
    """Lets the adversarial term pull as hard as what the network is to reconstruct.

    Esser, Rombach and Ommer, "Taming Transformers for High-Resolution Image Synthesis" (VQGAN, CVPR
    2021), equation 7: its stated weight times the norm of the reconstruction's gradient at the
    network's last layer over that of the adversarial term's, at most 10,000 and without gradient.
    The reconstruction is every term but the judges'; feature matching keeps its stated
    weight. VQGAN states 0.8 in its published code: a share of the reconstruction's pull.

    Args:
        stated: the weights.

    Raises:
        ValueError: no adversarial term, or nothing beside the judges' terms.
    """

    measures_gradients = True

    def __init__(self, stated: Mapping[str, float]) -> None:
        super().__init__(stated, ("adversarial",))
        if not _default(stated):
            raise ValueError(
                "GradientRatio sets the adversarial term against the reconstruction, but no term "
                f"with a weight ({', '.join(stated)}) is one: give hole_l1 or another a weight"
            )

    def forward(self, terms: Mapping[str, Tensor], last_layer: Sequence[Tensor]) -> Balanced:
        """The weighted sum, the adversarial term's weight times the ratio."""
        reconstruction = torch.stack(self._weighted(terms, _default(self.stated))).sum()
        ours, theirs = (
            term.new_zeros(()) if (pull := gradient_norm(term, last_layer)) is None else pull
            for term in (reconstruction, terms["adversarial"])
        )
        ratio = (ours / (theirs + 1e-6)).clamp(max=_LARGEST_RATIO)
        weight = self.stated["adversarial"] * ratio
        rest = self._weighted(terms, self._others())
        total = torch.stack([weight * terms["adversarial"], *rest]).sum()
        return Balanced(total, {"adversarial": weight})


def _default(stated: Mapping[str, float]) -> list[str]:
    return [name for name in stated if TERMS[name].judge is None]


def _check(balancing: Balancing, least: int, learning_rate: float) -> None:
    if len(balancing.terms) < least:
        raise ValueError(
            f"{type(balancing).__name__} balances at least {least} of the terms, not "
            f"{len(balancing.terms)} ({', '.join(balancing.terms) or 'none'}): give more of them a "
            "weight, or take StatedWeights"
        )
    if not 0 < learning_rate < 1:
        raise ValueError(f"learning_rate must lie between 0 and 1, not {learning_rate}")


def _shown(balancing: Balancing, factors: Tensor) -> dict[str, Tensor]:
    pairs = zip(balancing.terms, factors.detach(), strict=True)
    return {name: balancing.stated[name] * factor for name, factor in pairs}
