"""What an epoch scored on the validation samples, and the table that keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lab.formats.runs import photo_table


@dataclass(frozen=True)
class SampleScore:
    """The metrics of one sample at one epoch.

    Attributes:
        sample: its name.
        photo: what it was cut from.
        hole_ratio: the hole's share of it.
        metrics: values by name.
    """

    sample: str
    photo: str
    hole_ratio: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class EpochScore:
    """The mean of every metric over the validation samples after an epoch, counted from 1."""

    epoch: int
    means: dict[str, float]


def mean_scores(scores: Sequence[SampleScore]) -> dict[str, float]:
    """The mean of every metric over the samples."""
    return {
        name: sum(score.metrics[name] for score in scores) / len(scores)
        for name in scores[0].metrics
    }


def write_scores(run: Path, epoch: int, scores: Sequence[SampleScore]) -> None:
    """Add an epoch to the run's ``photos.csv``, in place of rows of it and of any later one."""
    rows = pd.DataFrame(
        [
            {
                "photo": score.photo,
                "sample": score.sample,
                "hole_ratio": score.hole_ratio,
                **score.metrics,
            }
            for score in scores
        ]
    )
    photo_table(run).write_epoch(epoch, rows)
