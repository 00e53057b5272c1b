"""A run's folder: where everything lies, and the two tables that grow by an epoch at a time."""

import io
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from lab.checks import UserError
from lab.files import append, replacing
from lab.formats.plain import read_json
from lab.untrusted import open_regular

SCORES = "photos.csv"
"""What was measured: a row an epoch and sample."""

LOSSES = "losses.csv"
"""What training logged: a row an epoch."""

RECORD = "run.json"
"""What the run noted of itself."""

SETTINGS = "config.yaml"
"""The run's settings, which reproduce it."""

RESULTS = "results.csv"
"""In a study's folder: its settings, best first, written when the sweep ends."""

BOARD = "board.csv"
"""In a study's folder: every run against the reference, and what each costs."""

SELECTION = "selection.json"
"""In the folder of a study or run: what `lab.select` said."""

DISTRIBUTION_SCORES = "distributions.json"
"""What all photos of an evaluation together scored: FID, KID, Inception Score."""

MOST_EPOCHS = 10**6
"""Epochs are below this: their number stands in the names of files."""

# What no row holds, and CSV readers skip.
_END = b"\n\n"

_SAMPLE_COLUMNS = ("photo", "sample", "hole_ratio")


def checkpoint_path(run: Path, epoch: int) -> Path:
    """The network of a run after ``epoch`` epochs, for `lab.networks.load_network`."""
    return run / "checkpoints" / f"epoch-{epoch:03d}.pt"


def last_checkpoint(run: Path) -> Path:
    """What resuming a run needs; written when everything else of its epoch is on disk."""
    return run / "checkpoints" / "last.ckpt"


def unfinished_checkpoint(run: Path) -> Path:
    """What resuming a run within an epoch needs; goes when the epoch's ``last.ckpt`` is there.

    It counts only beside the ``last.ckpt`` of the epoch before, and in the first epoch beside none:
    a kill between the two writes may leave one of an epoch that has ended.
    """
    return run / "checkpoints" / "unfinished.ckpt"


def can_go_on(run: Path) -> bool:
    """Whether a run left what it may be resumed from."""
    return last_checkpoint(run).exists() or unfinished_checkpoint(run).exists()


def visual_path(run: Path, sample: str, what: str, epoch: int | None = None) -> Path:
    """Where a picture lies: ``<sample>/truth.png``, ``<sample>/epoch-003-completed.png``."""
    name = f"{what}.png" if epoch is None else f"epoch-{epoch:03d}-{what}.png"
    return run / "visuals" / sample / name


def photo_table(run: Path) -> "EpochTable":
    """``photos.csv``: a row an epoch and sample, a column a metric.

    ``photo`` is what the sample was cut from, or the clip that it was taken from: what is
    independent. ``hole_ratio`` is the hole's share of the sample. Where a hole has several answers,
    a metric is their mean, and ``<metric>_best_of_<N>`` what one of them scored: the best of N by
    ``evaluation.best_by``.
    """
    return EpochTable(run / SCORES, _SAMPLE_COLUMNS, names=("photo", "sample"))


def loss_table(run: Path) -> "EpochTable":
    """``losses.csv``: a row an epoch, a column a loss, logit or norm that was logged: its mean."""
    return EpochTable(run / LOSSES)


def is_run(folder: Path) -> bool:
    """Whether a run was begun or scored in a folder."""
    return (folder / SCORES).exists() or (folder / SETTINGS).exists()


def read_record(run: Path) -> dict[str, Any]:
    """What a run noted of itself in ``run.json``; nothing where there is no such file.

    Raises:
        ValueError: the file is damaged; names it.
    """
    path = run / RECORD
    try:
        record = read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): remove it") from error
    if (
        not isinstance(record, dict)
        or not isinstance(record.get("checkpoint", ""), str)
        or not isinstance(record.get("files", {}), dict)
    ):
        raise ValueError(f"{path} is damaged (it holds no record): remove it")
    return record


def write_record(run: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json`` whole."""
    with replacing(run / RECORD) as temporary:
        temporary.write_text(json.dumps(dict(record), indent=1) + "\n")


def copy_run(source: Path, target: Path) -> bool:
    """Copy what a run needs to go on in another folder, while it may still be written to.

    Scores, losses, settings, pictures and networks, and the record without the run's name in W&B:
    there the copy is a run of its own. ``last.ckpt`` is read first and written when all that it
    says is done is there; ``unfinished.ckpt`` follows it. A copy that was cut off has neither, or
    goes on from its last whole epoch.

    Returns:
        bool: False where there is nothing to go on from.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: the record is damaged.
    """
    kept = {}
    for checkpoint in (last_checkpoint, unfinished_checkpoint):
        with suppress(FileNotFoundError):
            kept[checkpoint(target)] = checkpoint(source).read_bytes()
    if not kept:
        return False
    record = read_record(source)
    record.pop("id", None)
    write_record(target, record)
    for pattern in (SETTINGS, "*.csv", "checkpoints/epoch-*.pt", "visuals/*/*.png"):
        for path in source.glob(pattern):
            with replacing(target / path.relative_to(source)) as temporary:
                shutil.copyfile(path, temporary)
    for path, content in kept.items():
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return True


class EpochTable:
    """A CSV file whose first column is ``epoch``: whole epochs only, nothing twice.

    An empty line ends an epoch. What follows the last one was cut off by a kill, a full disk or a
    power cut, or is being written: no reader sees it, and the next epoch is written in its place.

    Args:
        path: of the file.
        required: columns that a file must have besides ``epoch``; all others are numbers.
        names: those of the required columns that hold names.
    """

    def __init__(self, path: Path, required: Sequence[str] = (), names: Sequence[str] = ()) -> None:
        self.path = path
        self._required = ["epoch", *required]
        self._names = dict.fromkeys(names, str)

    def read(self) -> pd.DataFrame:
        """All rows so far; no rows when the file does not exist yet.

        Raises:
            UserError: the file is no such table; names it.
        """
        if not self.path.exists():
            return pd.DataFrame({column: [] for column in self._required})
        try:
            # A photo may be called "NA" or "null"; only a number may be missing.
            with open_regular(self.path) as file:
                content = _whole_epochs(file.readall())
            table = pd.read_csv(
                io.BytesIO(content),
                dtype={**self._names, "epoch": int},
                keep_default_na=False,
                na_values=[""],
                low_memory=False,  # which warns of words among numbers: an error, here
            )
            missing = [column for column in self._required if column not in table]
            if missing:
                raise ValueError(f"it has no column {', '.join(missing)}")
            numbers = [column for column in table if column not in (*self._names, "epoch")]
            table[numbers] = table[numbers].astype(float)
            if table[numbers].isin([math.inf, -math.inf]).any(axis=None):
                raise ValueError("it holds an infinite number")
            if "hole_ratio" in table and not table["hole_ratio"].between(0, 1).all():
                raise ValueError("its hole ratios must lie in 0 to 1")
            if not table["epoch"].between(0, MOST_EPOCHS - 1).all():
                raise ValueError(f"its epochs must lie in 0 to {MOST_EPOCHS - 1}")
            keys = ["epoch", *(["sample"] if "sample" in table else [])]
            if table.duplicated(keys).any():
                raise ValueError(f"it has two rows of one {' and '.join(keys)}")
            # What a later version measures, epochs before it lack, but then for every sample.
            found = table[numbers].notna().groupby(table["epoch"])
            partly = found.any() & ~found.all()
            if partly.any(axis=None):
                epoch, column = partly.stack().idxmax()
                raise ValueError(f"of epoch {epoch}, some rows lack {column}")
        except (KeyError, OverflowError, ValueError) as error:
            raise UserError(
                f"{self.path} is not what a run writes ({error}): remove the run's folder, or put "
                "the file back as it was"
            ) from error
        return table

    def write_epoch(self, epoch: int, rows: pd.DataFrame) -> None:
        """Add ``rows``, without their epoch, in place of rows of ``epoch`` and of any later one.

        A run that was killed after scoring an epoch but before its checkpoint repeats that epoch:
        its rows are replaced, so nothing is counted twice. Otherwise they are appended: an epoch
        costs as much after a thousand others as after none.
        """
        new = rows.copy()
        new.insert(0, "epoch", epoch)
        block = _block(new)
        # A name with an empty line in it would look like the end before it is there.
        if _END not in block[:-1] and self._ends_before(epoch, list(new)):
            append(self.path, block)
            return
        earlier = self.read()
        earlier = earlier[earlier["epoch"] < epoch]
        table = pd.concat([earlier, new], ignore_index=True) if len(earlier) else new
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            file.write(_csv(table[:0]))
            for _, one in table.groupby("epoch", sort=False):
                file.write(_block(one))

    def _ends_before(self, epoch: int, columns: Sequence[str]) -> bool:
        """Whether the file has these very columns, and its last row, of an earlier epoch, is whole.

        It must be the run's alone: not a link, and under no second name, as in a copy by links.
        """
        if not self.path.exists() or self.path.is_symlink() or self.path.stat().st_nlink > 1:
            return False
        with self.path.open("rb") as file:
            heading = file.readline().decode(errors="replace").strip()
            file.seek(max(0, self.path.stat().st_size - 65_536))
            tail = file.read()
        last = tail.rstrip(b"\n").rpartition(b"\n")[2].partition(b",")[0]
        whole = tail.endswith(_END) and last.isdigit()
        return whole and heading == ",".join(columns) and int(last) < epoch


def _block(rows: pd.DataFrame) -> bytes:
    """The rows of an epoch, and its end."""
    return _csv(rows, header=False) + b"\n"


def _csv(table: pd.DataFrame, header: bool = True) -> bytes:
    text: str = table.to_csv(header=header, index=False, float_format="%.6g", lineterminator="\n")
    return text.encode()


def _whole_epochs(content: bytes) -> bytes:
    """All but an epoch whose writing has not ended; all of what other hands wrote, without ends."""
    end = content.rfind(_END)
    return content if end < 0 else content[:end]
