"""``photos.csv``: every metric of every validation photo at every epoch, in long form."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lab.tracking.epoch_table import EpochTable

COLUMNS = ("epoch", "photo", "hole_ratio", "metric", "value")


@dataclass(frozen=True)
class PhotoScore:
    """The metrics of one photo at one epoch; ``hole_ratio`` is the hole's share of the image."""

    photo: str
    hole_ratio: float
    metrics: dict[str, float]


def mean_scores(scores: Sequence[PhotoScore]) -> dict[str, float]:
    """The mean of every metric over the photos."""
    return {
        name: sum(score.metrics[name] for score in scores) / len(scores)
        for name in scores[0].metrics
    }


class PhotoRecords:
    """The table on disk, of `COLUMNS`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table = EpochTable(path, COLUMNS, names=("photo", "metric"))

    def read(self) -> pd.DataFrame:
        """All rows so far; no rows when the file does not exist yet.

        Raises:
            ValueError: the file is no such table; names it.
        """
        return self._table.read()

    def write_epoch(self, epoch: int, scores: Sequence[PhotoScore]) -> None:
        """Add the scores of ``epoch``, in place of rows of it and of any later one."""
        self._table.write_epoch(
            epoch,
            [
                (score.photo, round(score.hole_ratio, 6), metric, value)
                for score in scores
                for metric, value in score.metrics.items()
            ],
        )

    def by_photo(self, metric: str) -> pd.DataFrame:
        """One metric as a table: a row an epoch, a column a photo.

        Raises:
            ValueError: no such metric was recorded; names those that were.
        """
        table = self.read()
        known = sorted(table["metric"].unique())
        if metric not in known:
            raise ValueError(f"{self.path} has no metric {metric!r}; it has: {', '.join(known)}")
        chosen = table[table["metric"] == metric]
        return chosen.pivot(index="epoch", columns="photo", values="value")
