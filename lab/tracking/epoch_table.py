"""Tables that grow by an epoch at a time, in long form: whole epochs only, nothing twice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lab.files import replacing


class EpochTable:
    """A CSV file whose first column is ``epoch``; never half an epoch.

    Args:
        path: of the file.
        columns: all of them, ``epoch`` first and ``value`` last.
        names: the columns that hold names.
    """

    def __init__(self, path: Path, columns: Sequence[str], names: Sequence[str]) -> None:
        self.path = path
        self._columns = list(columns)
        self._names = dict.fromkeys(names, str)

    def read(self) -> pd.DataFrame:
        """All rows so far; no rows when the file does not exist yet.

        Raises:
            ValueError: the file is no such table; names it.
        """
        if not self.path.exists():
            return pd.DataFrame({column: [] for column in self._columns})
        try:
            # A photo may be called "NA" or "null"; only a value may be missing.
            return pd.read_csv(
                self.path,
                dtype={**self._names, "epoch": int, "value": float},
                keep_default_na=False,
                na_values={"value": ["", "nan"]},
            )[self._columns]
        except (ValueError, KeyError) as error:
            raise ValueError(
                f"{self.path} is no table of {', '.join(self._columns)}: {error}"
            ) from error

    def write_epoch(self, epoch: int, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add ``rows``, without their epoch, in place of rows of ``epoch`` and of any later one.

        A run that was killed after scoring an epoch but before its checkpoint repeats that epoch:
        its rows are replaced, so nothing is counted twice.
        """
        earlier = self.read()
        earlier = earlier[earlier["epoch"] < epoch]
        new = pd.DataFrame([(epoch, *row) for row in rows], columns=self._columns)
        table = pd.concat([earlier, new], ignore_index=True) if len(earlier) else new
        with replacing(self.path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
