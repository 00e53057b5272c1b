"""``photos.csv``: every metric of every validation photo at every epoch, in long form."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lab.files import replacing

COLUMNS = ("epoch", "photo", "hole_ratio", "metric", "value")


@dataclass(frozen=True)
class PhotoScore:
    """The metrics of one photo at one epoch; ``hole_ratio`` is the hole's share of the image."""

    photo: str
    hole_ratio: float
    metrics: dict[str, float]


class PhotoRecords:
    """The table on disk. Each epoch rewrites it whole, so that it is never half an epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> pd.DataFrame:
        """All rows so far, with `COLUMNS`; no rows when the file does not exist yet."""
        if not self.path.exists():
            return pd.DataFrame({column: [] for column in COLUMNS})
        # A photo may be called "NA" or "null".
        return pd.read_csv(self.path, dtype={"photo": str, "metric": str}, keep_default_na=False)

    def write_epoch(self, epoch: int, scores: Sequence[PhotoScore]) -> None:
        """Add the scores of ``epoch``, in place of rows of it and of any later one.

        A run that was killed after scoring an epoch but before its checkpoint repeats that epoch:
        its rows are replaced, so nothing is counted twice.
        """
        rows = [
            (epoch, score.photo, round(score.hole_ratio, 6), metric, value)
            for score in scores
            for metric, value in score.metrics.items()
        ]
        earlier = self.read()
        earlier = earlier[earlier["epoch"] < epoch]
        new = pd.DataFrame(rows, columns=list(COLUMNS))
        table = pd.concat([earlier, new], ignore_index=True) if len(earlier) else new
        with replacing(self.path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")

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
