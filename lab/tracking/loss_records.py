"""``losses.csv``: what training logged, as each epoch's means, in long form."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from lab.tracking.epoch_table import EpochTable

COLUMNS = ("epoch", "loss", "value")


class LossRecords:
    """The table on disk, of `COLUMNS`: the terms, ``total``, ``discriminator`` and the logits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table = EpochTable(path, COLUMNS, names=("loss",))

    def write_epoch(self, epoch: int, means: Mapping[str, float]) -> None:
        """Add an epoch's means, in place of rows of it and of any later one."""
        self._table.write_epoch(epoch, list(means.items()))

    def by_epoch(self) -> pd.DataFrame:
        """A row an epoch, a column a loss; empty for a run that recorded none.

        Raises:
            ValueError: the file is no such table; names it.
        """
        return self._table.read().pivot(index="epoch", columns="loss", values="value")
