"""What a run keeps within an epoch that takes long, and where it goes on."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning

from lab.data import PhotoDataModule
from lab.formats.runs import last_checkpoint, unfinished_checkpoint
from lab.networks import UnreadableCheckpointError, read_checkpoint
from lab.ranks import in_any_rank

_DATA = PhotoDataModule.__qualname__  # as the trainer calls what it keeps of the photos
_NO_STATE = (AttributeError, LookupError, TypeError)  # in a dictionary of something else


class UnfinishedEpochKeeper(lightning.Callback):
    """Keeps within an epoch everything that going on from there needs: ``unfinished.ckpt``.

    Each replaces the last; who writes ``last.ckpt`` removes it. An epoch that takes less time
    writes none.

    Args:
        folder: of the run.
        minutes: between two writings, and before the first of an epoch.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self._path = unfinished_checkpoint(folder)
        self._seconds = 60 * minutes
        self._since = math.inf

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Begin to count: a run that goes on within an epoch does not begin it."""
        self._since = time.monotonic()

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Begin to count."""
        self._since = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 (Lightning's signature)
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Keep the state, if it is time, but not after the epoch's last batch."""
        if batch_idx + 1 >= trainer.num_training_batches:
            return
        # Each rank has a clock of its own, but all of them hand over what the file holds.
        is_due = time.monotonic() - self._since >= self._seconds
        if in_any_rank(is_due, pl_module.device):
            trainer.save_checkpoint(self._path)
            self._since = time.monotonic()


@dataclass(frozen=True)
class Start:
    """Where a run goes on.

    Attributes:
        checkpoint: what the trainer is given; None where the run begins.
        said: what a person is told of it, in a line; empty where nothing is to be said.
    """

    checkpoint: Path | None
    said: str = ""


def find_start(folder: Path, ranks: int) -> Start:
    """Find out where the run of a folder goes on: within an epoch, after one, or at its beginning.

    Args:
        folder: of the run.
        ranks: how many processes train it now.
    """
    last, unfinished = last_checkpoint(folder), unfinished_checkpoint(folder)
    whole = last if last.exists() else None
    if not unfinished.exists():
        return Start(whole)
    try:
        # A damaged one is refused, and said, by who goes on from it.
        done = 0 if whole is None else _progress(read_checkpoint(last))[0]
    except (UnreadableCheckpointError, *_NO_STATE):
        return Start(whole)
    anew = f"epoch {done + 1} begins anew"
    try:
        content = read_checkpoint(unfinished)
        epochs, batches = _progress(content)
        before = len(content["random_state"])
    except (UnreadableCheckpointError, *_NO_STATE):
        return Start(whole, f"{unfinished} is damaged: {anew}")
    if epochs != done:  # it is left from an epoch that has ended
        return Start(whole)
    if before != ranks:
        return Start(
            whole,
            f"Epoch {done + 1} was kept after its step {batches} by {before} "
            f"device{'s' * (before != 1)}, and {ranks} would share the rest otherwise: {anew}",
        )
    return Start(unfinished, f"Epoch {done + 1} goes on after its step {batches}")


def _progress(content: dict[str, Any]) -> tuple[int, int]:
    """How many epochs a checkpoint says are done, and how many batches of the next one."""
    state = content[_DATA]
    return state["epochs_done"], state.get("batches_done", 0)
