"""The Lightning callback that records every epoch: scores, pictures and the checkpoint to use."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor
from torch.utils.data import default_collate

from lab.data import Batch
from lab.files import replacing
from lab.networks import describe_network
from lab.tracking.epoch_visuals import PhotoVisual, write_visuals
from lab.tracking.loss_records import LossRecords
from lab.tracking.photo_records import PhotoRecords, PhotoScore, mean_scores
from lab.tracking.wandb_tracker import WandbTracker
from lab.variants import InpaintingModule

VISUAL_PHOTOS = 6


@dataclass(frozen=True)
class EpochScore:
    """The mean of every metric over the validation photos after an epoch, counted from 1."""

    epoch: int
    means: dict[str, float]


def checkpoint_path(run: Path, epoch: int) -> Path:
    """The network of a run after ``epoch`` epochs, for `lab.networks.load_network`."""
    return run / "checkpoints" / f"epoch-{epoch:03d}.pt"


class EpochRecorder(lightning.Callback):
    """After every epoch's validation: ``photos.csv``, ``losses.csv``, ``visuals/``, network, W&B.

    Epochs are counted from 1: epoch 9 is the state after nine passes.

    Args:
        folder: of the run.
        settings: the YAML that reproduces it, kept inside each checkpoint.
        tracker: the W&B run, if there is one.
        on_epoch: told the means, when everything of the epoch is on disk. It may raise to end the
            run (a pruned trial).
    """

    def __init__(
        self,
        folder: Path,
        settings: str,
        tracker: WandbTracker | None = None,
        on_epoch: Callable[[EpochScore], None] | None = None,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._tracker = tracker
        self._on_epoch = on_epoch
        self._records = PhotoRecords(folder / "photos.csv")
        self._scores: list[PhotoScore] = []
        self._losses = LossRecords(folder / "losses.csv")
        self._loss_sums: dict[str, Tensor] = {}
        self._steps = 0

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Forget the last epoch's losses."""
        self._loss_sums, self._steps = {}, 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 (Lightning's signature)
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Add up the step's losses, on their device."""
        assert isinstance(pl_module, InpaintingModule)
        self._steps += 1
        for name, value in pl_module.step_losses.items():
            self._loss_sums[name] = self._loss_sums.get(name, 0.0) + value.double()

    def on_validation_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Forget the last epoch's scores."""
        self._scores = []

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 (Lightning's signature)
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the scores of each photo."""
        ratios = batch.mask.mean(dim=(1, 2, 3)).tolist()
        for index, photo in enumerate(batch.name):
            metrics = {name: float(values[index]) for name, values in outputs.items()}
            self._scores.append(PhotoScore(photo, ratios[index], metrics))

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write everything that the epoch gives."""
        if trainer.sanity_checking or not self._scores:
            return
        assert isinstance(pl_module, InpaintingModule)
        epoch = pl_module.current_epoch + 1
        means = mean_scores(self._scores)
        self._records.write_epoch(epoch, self._scores)
        if self._steps:
            self._losses.write_epoch(
                epoch, {name: float(total) / self._steps for name, total in self._loss_sums.items()}
            )
        write_visuals(self._folder / "visuals", epoch, _visuals(trainer, pl_module), self._tracker)
        with replacing(checkpoint_path(self._folder, epoch)) as temporary:
            torch.save(describe_network(pl_module.network, epoch, self._settings), temporary)
        if self._tracker is not None:
            self._tracker.log_epoch(
                epoch, {f"validation/{name}": value for name, value in means.items()}
            )
        if self._on_epoch is not None:
            self._on_epoch(EpochScore(epoch, means))


def _visuals(trainer: lightning.Trainer, module: InpaintingModule) -> list[PhotoVisual]:
    """The first validation photos with the network's stages as they are now."""
    assert isinstance(trainer.val_dataloaders, torch.utils.data.DataLoader)
    dataset = trainer.val_dataloaders.dataset
    samples = [dataset[index] for index in range(min(VISUAL_PHOTOS, len(dataset)))]  # type: ignore[arg-type]
    batch: Batch = default_collate(samples)
    image, mask = batch.image.to(module.device), batch.mask.to(module.device)
    with torch.no_grad(), trainer.precision_plugin.forward_context():
        stages = module(image, mask)
        completed = module.complete(image, mask)
    return [
        PhotoVisual(
            photo=photo,
            truth=batch.image[index],
            mask=batch.mask[index],
            coarse=stages.coarse[index].float().cpu(),
            refined=stages.refined[index].float().cpu(),
            completed=completed[index].float().cpu(),
        )
        for index, photo in enumerate(batch.name)
    ]
