"""The Lightning callback that records every epoch: scores, pictures and the checkpoint to use."""

from collections import Counter
from collections.abc import Callable, Sequence
from errno import ENOENT
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pytorch_lightning as lightning
from torch import Tensor

from lab.data import Batch
from lab.devices import sum_precision
from lab.formats.runs import SETTINGS, checkpoint_path, loss_table
from lab.metrics import hole_ratio
from lab.networks import describe_network, write_checkpoint
from lab.ranks import gather_at_first, rank, ranks
from lab.tracking.epoch_visuals import SampleVisual, write_visuals
from lab.tracking.sample_scores import EpochScore, SampleScore, mean_scores, write_scores
from lab.tracking.wandb_tracker import WandbTracker
from lab.training import CompletionModule, Validated

VISUAL_SAMPLES = 12
"""How many samples a run pictures: those that a contact sheet shows."""


Kept = TypeVar("Kept")


class EpochRecorder(lightning.Callback):
    """After every epoch's validation: ``photos.csv``, ``losses.csv``, ``visuals/``, network, W&B.

    Epochs are counted from 1: epoch 9 is the state after nine passes. Of several ranks the first
    writes, what all of them scored.

    Args:
        folder: of the run.
        settings: the YAML that reproduces it, kept inside each checkpoint.
        tracker: the W&B run, if there is one.
        on_epoch: told the means, when everything of the epoch is on disk. It may raise to end the
            run (a pruned trial).
        before_writing: called before anything of an epoch is written. It may raise to end the run
            without a trace of the epoch (a trial that another machine took up).
    """

    def __init__(
        self,
        folder: Path,
        settings: str,
        tracker: WandbTracker | None = None,
        on_epoch: Callable[[EpochScore], None] | None = None,
        before_writing: Callable[[], None] | None = None,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._tracker = tracker
        self._on_epoch = on_epoch
        self._before_writing = before_writing
        self._scores: list[SampleScore] = []
        self._visuals: list[SampleVisual] = []
        self._loss_sums: dict[str, Tensor] = {}
        self._loss_counts: Counter[str] = Counter()

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint within an epoch: what its losses add up to so far."""
        return {"loss_sums": self._loss_sums, "loss_counts": dict(self._loss_counts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on adding up; where the next epoch begins, that is forgotten."""
        self._loss_sums = dict(state_dict["loss_sums"])
        self._loss_counts = Counter(state_dict["loss_counts"])

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Forget the last epoch's losses."""
        self._loss_sums, self._loss_counts = {}, Counter()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 (Lightning's signature)
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Add up the step's losses, on their device."""
        assert isinstance(pl_module, CompletionModule)
        # A network that waits for its judges has no losses at every step.
        self._loss_counts.update(list(pl_module.step_losses))
        for name, value in pl_module.step_losses.items():
            widest = sum_precision(value.device)
            self._loss_sums[name] = self._loss_sums.get(name, 0.0) + value.to(widest)

    def on_validation_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Forget the last epoch's scores and pictures."""
        self._scores, self._visuals = [], []

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 (Lightning's signature)
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the scores of each sample, and what the first ones look like."""
        ratios = hole_ratio(batch.mask).tolist()
        for index, names in enumerate(zip(batch.sample, batch.photo, strict=True)):
            metrics = {name: float(values[index]) for name, values in outputs["scores"].items()}
            self._scores.append(SampleScore(*names, ratios[index], metrics))
        # The first of all samples, which are dealt out to the ranks one by one.
        most = len(range(rank(), VISUAL_SAMPLES, ranks()))
        shown = range(min(most - len(self._visuals), len(batch.sample)))
        self._visuals += [_visual(batch, outputs, index) for index in shown]

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write everything that the epoch gives."""
        if trainer.sanity_checking or not self._scores:
            return
        scores, visuals = _dealt_back(self._scores), _dealt_back(self._visuals)
        if rank() > 0:
            return
        assert isinstance(pl_module, CompletionModule)
        if self._before_writing is not None:
            self._before_writing()
        if not (self._folder / SETTINGS).exists():
            # Else it would be made anew, and look like a run that began with this epoch.
            raise FileNotFoundError(ENOENT, "it was removed while it was written", self._folder)
        epoch = pl_module.current_epoch + 1
        means = mean_scores(scores)
        write_scores(self._folder, epoch, scores)
        if self._loss_sums:
            losses = {
                name: float(value) / self._loss_counts[name]
                for name, value in self._loss_sums.items()
            }
            loss_table(self._folder).write_epoch(epoch, pd.DataFrame([losses]))
        write_visuals(self._folder, epoch, visuals, self._tracker)
        write_checkpoint(
            checkpoint_path(self._folder, epoch),
            describe_network(pl_module.network, epoch, self._settings),
        )
        if self._on_epoch is not None:
            self._on_epoch(EpochScore(epoch, means))


def _dealt_back(own: Sequence[Kept]) -> list[Kept]:
    """What was dealt out to the ranks one by one, in its order, at the first of them."""
    rounds = zip_longest(*gather_at_first(list(own)))
    return [each for each in chain.from_iterable(rounds) if each is not None]


def _visual(batch: Batch, validated: Validated, index: int) -> SampleVisual:
    stages, completed = validated["stages"], validated["completed"]
    return SampleVisual(
        sample=batch.sample[index],
        truth=batch.image[index].cpu(),
        mask=batch.mask[index].cpu(),
        coarse=stages.coarse[index].float().cpu(),
        refined=stages.refined[index].float().cpu(),
        completed=completed[index].float().cpu(),
    )
