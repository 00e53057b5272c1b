"""Train a network and leave a run: from settings to files, and on from where it was ended."""

import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO

from lab.devices import compute_device
from lab.formats.runs import last_checkpoint, unfinished_checkpoint
from lab.machine_watch import MachineWatch
from lab.networks import UnreadableCheckpointError, read_checkpoint, write_checkpoint
from lab.parsing import SettingsError
from lab.rank_processes import Companions, Place, SharedTraining, first_place
from lab.ranks import leave_group
from lab.runs.beginning import (
    note_beginning,
    refuse_missing_means,
    refuse_other_photos,
    settle,
    trainer_precision,
)
from lab.runs.contents import by_content, contents
from lab.runs.within_epochs import UnfinishedEpochKeeper, find_start
from lab.settings import Experiment, build_again
from lab.tracking import EpochRecorder, EpochScore, start_wandb
from lab.training import CompletionModule, seed_rank


@dataclass(frozen=True)
class StepProgress:
    """How far a run is: epochs count from 1, steps within the epoch; the network's total loss.

    The loss is None of a step in which the judges trained alone.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float | None


class TimeLeft:
    """How long a run still takes, by what its steps of this call took."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None

    def after(self, progress: StepProgress) -> str:
        """Minutes and seconds after a step; unknown after the first."""
        done = (progress.epoch - 1) * progress.steps + progress.step
        now = time.monotonic()
        if self._began is None:
            self._began = now, done
            return "–"
        began, before = self._began
        seconds = round((now - began) / (done - before) * (progress.epochs * progress.steps - done))
        return f"{seconds // 60}:{seconds % 60:02d}"


class _StepReporter(lightning.Callback):
    def __init__(self, on_step: Callable[[StepProgress], None]) -> None:
        self._on_step = on_step

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,  # noqa: ANN401 (Lightning's signature)
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        assert trainer.max_epochs is not None
        assert isinstance(pl_module, CompletionModule)
        loss = pl_module.step_losses.get("total")
        self._on_step(
            StepProgress(
                trainer.current_epoch + 1,
                trainer.max_epochs,
                batch_idx + 1,
                int(trainer.num_training_batches),
                None if loss is None else float(loss),
            )
        )


# What Lightning and our module look up, whatever else is there.
_NEEDED = (
    *("pytorch-lightning_version", "state_dict", "loops", "optimizer_states"),
    *("planned_steps", "random_state"),
)
_OTHER_WEIGHTS = "Error(s) in loading state_dict"  # as PyTorch says it
_MENDED_BY = "Put back a whole one; or remove it, and the run begins anew at its first epoch"


class _WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the old checkpoint and then replaces it; says of a damaged one what to do.

    A finished epoch's takes the place of what was kept within the epoch, too.

    Lightning writes into the system's temporary folder first; where that is another file system,
    the last step is a copy, and a kill during it leaves half a checkpoint.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,  # noqa: ANN401 (Lightning's signature)
    ) -> None:
        write_checkpoint(Path(path), checkpoint)
        run = Path(path).parents[1]
        if Path(path).name == last_checkpoint(run).name:
            unfinished_checkpoint(run).unlink(missing_ok=True)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any | None = None,  # noqa: ANN401 (Lightning's signature)
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        try:
            content = read_checkpoint(Path(path))
            lacks = [name for name in _NEEDED if name not in content]
            if lacks:
                raise UnreadableCheckpointError(Path(path), f"it lacks {', '.join(lacks)}")
        except UnreadableCheckpointError as error:
            raise SettingsError(f"{error}. {_MENDED_BY}") from error
        return content


def fit_run(
    experiment: Experiment,
    folder: Path,
    name: str,
    group: str | None = None,
    on_step: Callable[[StepProgress], None] | None = None,
    on_epoch: Callable[[EpochScore], None] | None = None,
    before_writing: Callable[[], None] | None = None,
    on_start: Callable[[str], None] | None = None,
    before_ending: Callable[[Exception], object] = lambda failure: None,
) -> None:
    """Train, or go on training, and leave everything in ``folder``.

    A folder with ``checkpoints/last.ckpt``, or what was kept within the epoch after it, is resumed:
    weights, optimizers, schedules, epoch, batch and random generators. The result equals that of a
    run that was never interrupted. More epochs than a finished run had go on at the last learning
    rate.

    Args:
        experiment: what to train, on what, how long.
        folder: of the run: ``config.yaml``, ``checkpoints/``, ``photos.csv``, ``visuals/``,
            ``wandb/``.
        name: of the W&B run.
        group: the study, in W&B.
        on_step: told after every training step.
        on_epoch: told when an epoch is scored and on disk; may raise to end the run.
        before_writing: called before an epoch is written; may raise to end the run without it.
        on_start: told in words where it goes on, if that is not between two epochs.
        before_ending: told what ended another device, where this process ends with it at once.

    Raises:
        SettingsError: a device or a compiler that is not there, the run in the folder had other
            photos, or its ``last.ckpt`` is damaged.
        NonFiniteLossError: a loss was NaN or infinite.
        Exception: what `lab.faults` knows, such as a full disk.
        KeyboardInterrupt: the person pressed Ctrl-C; what was kept is there.
    """
    refuse_missing_means(experiment.fit)
    place = first_place(experiment.fit.devices, experiment.fit.nodes)
    experiment = settle(experiment, folder)
    refuse_other_photos(experiment, folder)
    experiment.data.refuse_shares(place.ranks)
    start = find_start(folder, place.ranks)
    if start.said and on_start is not None:
        on_start(start.said)
    _quiet_lightning()
    tracker = None
    if place.rank == 0:
        run_id = note_beginning(experiment, folder, experiment.data.source.digest, goes_on=True)
        tracker = start_wandb(folder, name, group, run_id, experiment.plain)
    recorder = EpochRecorder(folder, experiment.yaml, tracker, on_epoch, before_writing)
    reports = [] if on_step is None or place.rank else [_StepReporter(on_step)]
    given = (experiment.yaml, experiment.packages, folder, start.checkpoint)
    exit_code = 1
    handler = signal.getsignal(signal.SIGINT)
    try:
        beside = [(one, *given) for one in place.beside()]
        with Companions(_fit_beside, beside, place.rank + 1, before_ending) as companions:
            try:
                logger = tracker.logger if tracker else None
                _fit(experiment, folder, place, start.checkpoint, [recorder, *reports], logger)
            except Exception as error:
                # Another process's end shows here as a connection that was closed.
                if (reason := companions.reason(error)) is not None:
                    raise reason from error
                raise
        exit_code = 0
    except BaseException as error:
        # The trainer turns Ctrl-C into an exit of the whole process, or, where it is clearing up
        # loader processes, into an error of its own.
        if _came_of_ctrl_c(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        leave_group(at_once=True)
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        if tracker is not None:
            tracker.finish(exit_code)


def _fit_beside(
    place: Place, settings: str, packages: Sequence[str], folder: Path, checkpoint: Path | None
) -> None:
    """Train as one of several processes, which is not the first of its machine."""
    _quiet_lightning()
    experiment = build_again(settings, packages)
    experiment.read_photos()
    _fit(experiment, folder, place, checkpoint, [EpochRecorder(folder, experiment.yaml)])


def _fit(
    experiment: Experiment,
    folder: Path,
    place: Place,
    checkpoint: Path | None,
    callbacks: Sequence[lightning.Callback],
    logger: WandbLogger | None = None,
) -> None:
    """Train as one process, by itself or beside others; the first of all writes.

    Args:
        experiment: settled, its photos found.
        folder: of the run.
        place: of this process.
        checkpoint: to go on from.
        callbacks: beside what writes checkpoints, before it.
        logger: of the steps.
    """
    fit = experiment.fit
    assert fit.threads is not None, "settled"
    torch.set_num_threads(fit.threads)
    if place.rank > 0:
        seed_rank(fit.seed, place.rank)
    alone = place.ranks == 1
    minutes = fit.checkpoint_minutes
    agreed = {
        "photos": experiment.data.source.digest,
        **_settings_agreed_on(experiment),
        "run to go on with": None if checkpoint is None else checkpoint.name,
        "version of PyTorch": torch.__version__,
    }
    if fit.compile:
        experiment.model.compile_training()
    machines = MachineWatch(folder, place.node, place.other_machines())
    trainer = lightning.Trainer(
        accelerator=fit.device,
        devices=fit.devices,
        num_nodes=fit.nodes,
        strategy="auto" if alone else SharedTraining(place, fit.seed, agreed, machines.begin),
        precision=trainer_precision(fit),
        max_epochs=fit.epochs,
        logger=logger or False,
        callbacks=[
            *callbacks,
            # After those that note a step and may end the run there.
            *([] if minutes is None else [UnfinishedEpochKeeper(folder, minutes)]),
            # After the recorder: what `last.ckpt` says is done, is on disk.
            ModelCheckpoint(
                folder / "checkpoints",
                filename="last",
                every_n_epochs=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
        ],
        plugins=[_WholeCheckpoints()],
        log_every_n_steps=fit.log_every,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    # To be told to end (SIGTERM) ends a command by `lab.command_line`. Lightning's own handlers
    # wait for the other devices within the signal, and end an unfinished training with status 0.
    trainer._signal_connector.register_signal_handlers = _as_it_is  # type: ignore[method-assign]
    with machines:
        try:
            trainer.fit(
                experiment.model,
                datamodule=experiment.data,
                ckpt_path=checkpoint,
                weights_only=True,
            )
        except RuntimeError as error:
            if checkpoint is None or _OTHER_WEIGHTS not in str(error):
                raise
            raise SettingsError(
                f"{checkpoint} does not hold this run's weights ({error}). {_MENDED_BY}"
            ) from error
    # Not after an error, by which others do not leave: `fit_run` ends them first.
    leave_group()


def _as_it_is() -> None:
    """Change nothing."""


def _settings_agreed_on(experiment: Experiment) -> dict[str, object]:
    """The settings that every device must have, by their paths."""
    settings = by_content(experiment.plain, contents(experiment))
    if compute_device(experiment.fit.device).type != "cpu":
        del settings["fit.threads"]  # of which each machine takes its share
    return settings


def _came_of_ctrl_c(error: BaseException) -> bool:
    """Whether the error, or one that it was raised in answer to, is the person's interruption."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _quiet_lightning() -> None:
    """Keep the trainer from printing over the progress display what every run would repeat."""
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.ERROR)
    os.environ.setdefault("WANDB_SILENT", "true")
    for message in (
        ".*does not have many workers.*",
        ".*number of training batches.*",
        ".*LeafSpec.*",  # between Lightning 2.6 and torch 2.13
        ".*sync_dist=True.*",  # what is logged is the mean over the devices already
        ".*your dataloader is not resumable.*",  # but the data module has told ours where to begin
        ".*exists and is not empty.*",  # a run goes on there
        ".*in eval mode at the start of training.*",  # what a loss compares features by
        ".*`lr_scheduler.step..` before `optimizer.step.*",  # a network that waits for its judges
    ):
        warnings.filterwarnings("ignore", message=message)
