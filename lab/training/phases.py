"""Phases: the stretches of a training, and what trains in each, by which weights and rates."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from lab.losses import check_terms


@dataclass(frozen=True)
class Phase:
    """One stretch of a training.

    Attributes:
        epochs: how long; None lasts to the end, which only the last phase may. A run that goes on
            after the last phase's epochs goes on with it, at its last rates.
        trains: the parts that move, and no others: ``network``, a part of it by its path
            (``network.edges``), ``channel_gates``, ``judges``, or one of them (``judges.local``).
        keeps_statistics: parts whose batch normalization keeps its statistics and normalizes by
            them, though they train: RFR's and PConv's fine-tuning.
        weights: of loss terms, where they differ from ``model.objective.weights``.
        generator_learning_rate: None takes ``model.optimization``'s.
        discriminator_learning_rate: alike.

    Raises:
        ValueError: a value that no training can follow, naming its rule.
    """

    epochs: int | None = None
    trains: tuple[str, ...] = ("network", "judges")
    keeps_statistics: tuple[str, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    generator_learning_rate: float | None = None
    discriminator_learning_rate: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no training can follow."""
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"a phase must have at least 1 epoch, not {self.epochs}")
        if not self.trains:
            raise ValueError("a phase trains nothing: name parts in trains, such as network")
        check_terms(self.weights)
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not 0 < rate < 1:
                raise ValueError(f"a phase's {name} must lie between 0 and 1, not {rate}")


class Schedule:
    """Phases one after the other.

    Args:
        phases: at least one.

    Raises:
        ValueError: no phase, or one that lasts to the end and is followed by another.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        if not phases:
            raise ValueError("model.phases is empty: leave it out to train everything at once")
        for number, phase in enumerate(phases[:-1], start=1):
            if phase.epochs is None:
                raise ValueError(
                    f"phase {number} of {len(phases)} lasts to the end, so the next never begins: "
                    "give it epochs"
                )
        self.phases = tuple(phases)
        lengths = [phase.epochs or 0 for phase in phases[:-1]]
        self.first_epochs = tuple(sum(lengths[:number]) for number in range(len(phases)))

    def index(self, epoch: int) -> int:
        """The number of the phase that an epoch lies in, both counted from 0."""
        return bisect_right(self.first_epochs, epoch) - 1

    def progress(self, epoch: float, planned: float) -> float:
        """How much of its phase lies behind at ``epoch``, 0 to 1, in a training of ``planned``.

        A last phase that begins after the plan's end is taken as one epoch long.
        """
        index = self.index(int(epoch))
        left = planned - self.first_epochs[index]
        length = self.phases[index].epochs or (left if left > 0 else 1)
        return min(1.0, (epoch - self.first_epochs[index]) / length)
