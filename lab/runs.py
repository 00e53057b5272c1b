"""One run from settings to files: fit, resume, evaluate."""

import logging
import os
import secrets
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as lightning
import torch
import yaml
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.plugins.io import TorchCheckpointIO

from lab.contracts import Network, Strategy
from lab.data import Entrant
from lab.devices import compute_device
from lab.evaluation import Judged, KnownPixels, Tasks, judge, judge_entrant
from lab.files import lock_run, replacing
from lab.formats.runs import (
    RECORD,
    SETTINGS,
    checkpoint_path,
    last_checkpoint,
    photo_table,
    read_record,
    write_record,
)
from lab.guides import ask_network, guides_of
from lab.networks import (
    MissingWeightsError,
    UnreadableCheckpointError,
    checkpoint_epoch,
    load_network,
    read_checkpoint,
    write_checkpoint,
)
from lab.parsing import SettingsError
from lab.rank_processes import Companions, Place, SharedTraining, first_place
from lab.ranks import leave_group
from lab.results import ResultsError, open_run
from lab.settings import Experiment, Fit, build_again
from lab.tracking import (
    VISUAL_SAMPLES,
    EpochRecorder,
    EpochScore,
    SampleScore,
    SampleVisual,
    WandbTracker,
    mean_scores,
    start_wandb,
    write_scores,
    write_visuals,
)
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


class _WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the old checkpoint and then replaces it; says of a damaged one what to do.

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

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any | None = None,  # noqa: ANN401 (Lightning's signature)
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        try:
            return read_checkpoint(Path(path))
        except UnreadableCheckpointError as error:
            raise SettingsError(
                f"{error}. Put back a whole one; or remove it, and the run begins anew at its "
                "first epoch"
            ) from error


def fit_run(
    experiment: Experiment,
    folder: Path,
    name: str,
    group: str | None = None,
    on_step: Callable[[StepProgress], None] | None = None,
    on_epoch: Callable[[EpochScore], None] | None = None,
    before_writing: Callable[[], None] | None = None,
) -> None:
    """Train, or go on training, and leave everything in ``folder``.

    A folder with ``checkpoints/last.ckpt`` is resumed: weights, optimizers, schedules, epoch and
    random generators. The result equals that of a run that was never interrupted. More epochs than
    a finished run had go on at the last learning rate.

    Args:
        experiment: what to train, on what, how long.
        folder: of the run: ``config.yaml``, ``checkpoints/``, ``photos.csv``, ``visuals/``,
            ``wandb/``.
        name: of the W&B run.
        group: the study, in W&B.
        on_step: told after every training step.
        on_epoch: told when an epoch is scored and on disk; may raise to end the run.
        before_writing: called before an epoch is written; may raise to end the run without it.

    Raises:
        SettingsError: a device that is not there, the run in the folder had other photos, or its
            ``last.ckpt`` is damaged.
        NonFiniteLossError: a loss was NaN or infinite.
        Exception: what `lab.faults` knows, such as a full disk.
        KeyboardInterrupt: the person pressed Ctrl-C; the last epoch's checkpoint is there.
    """
    refuse_missing_device(experiment.fit)
    place = first_place(experiment.fit.devices, experiment.fit.nodes)
    experiment = settle(experiment, folder)
    refuse_other_photos(experiment, folder)
    experiment.data.refuse_shares(place.ranks)
    goes_on = last_checkpoint(folder).exists()
    _quiet_lightning()
    tracker = None
    if place.rank == 0:
        run_id = _begin(experiment, folder, experiment.data.source.digest, goes_on=True)
        tracker = start_wandb(folder, name, group, run_id, experiment.plain)
    recorder = EpochRecorder(folder, experiment.yaml, tracker, on_epoch, before_writing)
    reports = [] if on_step is None or place.rank else [_StepReporter(on_step)]
    given = (experiment.yaml, experiment.packages, folder, goes_on)
    exit_code = 1
    handler = signal.getsignal(signal.SIGINT)
    try:
        with Companions(_fit_beside, [(one, *given) for one in place.beside()], place.rank + 1) as (
            companions
        ):
            try:
                logger = tracker.logger if tracker else None
                _fit(experiment, folder, place, goes_on, [recorder, *reports], logger)
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
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        if tracker is not None:
            tracker.finish(exit_code)


def _fit_beside(
    place: Place, settings: str, packages: Sequence[str], folder: Path, goes_on: bool
) -> None:
    """Train as one of several processes, which is not the first of its machine."""
    _quiet_lightning()
    experiment = build_again(settings, packages)
    experiment.read_photos()
    _fit(experiment, folder, place, goes_on, [EpochRecorder(folder, experiment.yaml)])


def _fit(
    experiment: Experiment,
    folder: Path,
    place: Place,
    goes_on: bool,
    callbacks: Sequence[lightning.Callback],
    logger: WandbLogger | None = None,
) -> None:
    """Train as one process, by itself or beside others; the first of all writes.

    Args:
        experiment: settled, its photos found.
        folder: of the run.
        place: of this process.
        goes_on: from the folder's ``last.ckpt``.
        callbacks: beside what writes ``last.ckpt``, before it.
        logger: of the steps.
    """
    fit = experiment.fit
    assert fit.threads is not None, "settled"
    torch.set_num_threads(fit.threads)
    if place.rank > 0:
        seed_rank(fit.seed, place.rank)
    alone = place.ranks == 1
    agreed = {
        "photos": experiment.data.source.digest,
        "settings": experiment.plain,
        "run to go on with": goes_on,
        "version of PyTorch": torch.__version__,
    }
    trainer = lightning.Trainer(
        accelerator=fit.device,
        devices=fit.devices,
        num_nodes=fit.nodes,
        strategy="auto" if alone else SharedTraining(place, agreed),
        # PyTorch has it for GPUs only; for processors, `SharedTraining` puts ours in place.
        sync_batchnorm=not alone and compute_device(fit.device).type == "cuda",
        precision=trainer_precision(fit),
        max_epochs=fit.epochs,
        logger=logger or False,
        callbacks=[
            *callbacks,
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
    try:
        trainer.fit(
            experiment.model,
            datamodule=experiment.data,
            ckpt_path=last_checkpoint(folder) if goes_on else None,
            weights_only=True,
        )
    finally:
        leave_group()


def change_of_devices(experiment: Experiment, folder: Path) -> str | None:
    """Say what changes where the folder's run goes on with another number of devices; else None.

    Raises:
        SettingsError: what was noted of the run is damaged.
    """
    if not last_checkpoint(folder).exists() or not (folder / SETTINGS).exists():
        return None
    begun, fit = _begun_with(folder)["fit"], experiment.fit
    before, now = begun.get("devices", 1) * begun.get("nodes", 1), fit.devices * fit.nodes
    if before == now:
        return None
    return (
        f"The run had {before} device{'s' * (before != 1)} and goes on with {now}: steps, batches, "
        "crops, masks and learning rates stay as they were. Sums are rounded differently, and what "
        "a device draws for itself (dropout, gradient penalty) begins anew on those that were not "
        "there"
    )


def _came_of_ctrl_c(error: BaseException) -> bool:
    """Whether the error, or one that it was raised in answer to, is the person's interruption."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def settle(experiment: Experiment, folder: Path | None = None) -> Experiment:
    """Say in the settings what was left open: threads and precision, which change the numbers.

    And the guides that are drawn, where they were not stated.

    Args:
        experiment: as the person asked for it.
        folder: of a run; what it was begun with is what it goes on with.
    """
    begun: dict[str, Any] = {}
    if folder is not None and (folder / SETTINGS).exists():
        begun = _begun_with(folder)["fit"]
    fit = experiment.fit
    threads = fit.threads or begun.get("threads")
    if threads is None:
        # On processors, devices share the cores.
        sharing = fit.devices if compute_device(fit.device).type == "cpu" else 1
        threads = max(1, torch.get_num_threads() // sharing)
    precision = fit.precision
    if precision == "auto":
        precision = begun.get("precision", "auto")
    if precision == "auto":
        precision = "bfloat16" if computes_in_bfloat16(fit.device) else "float32"
    plain = experiment.plain
    plain["fit"] |= {"threads": threads, "precision": precision}
    plain["data"]["guides"] = list(experiment.data.guides)
    return replace(
        experiment,
        fit=replace(fit, threads=threads, precision=precision),
        yaml=yaml.safe_dump(plain, sort_keys=False, allow_unicode=True),
    )


@contextmanager
def holding_run(folder: Path, fit: Fit | None = None) -> Iterator[None]:
    """Hold the lock of a run's folder: nobody else writes in it meanwhile.

    Args:
        folder: of the run.
        fit: of a training; of several machines the first holds the lock for all.

    Raises:
        SettingsError: another process does, or the environment does not say which machine this is.
    """
    if fit is not None and not is_first_machine(fit):
        yield
        return
    lock = lock_run(folder)
    if lock is None:
        raise SettingsError(
            f"another process is writing the run in {folder}: wait until it has ended, or give "
            "this one another name"
        )
    try:
        yield
    finally:
        lock.release()


def is_first_machine(fit: Fit) -> bool:
    """Whether this machine is the one of ``fit.nodes`` that writes and reports.

    Raises:
        SettingsError: the environment does not say which machine this is.
    """
    return first_place(fit.devices, fit.nodes).node == 0


def has_ended(experiment: Experiment, folder: Path) -> bool:
    """Whether the run in the folder has all its epochs."""
    return checkpoint_path(folder, experiment.fit.epochs).exists()


def refuse_other_photos(experiment: Experiment, folder: Path) -> None:
    """Refuse to go on with a run whose photos have changed: its epochs could not be compared.

    Raises:
        SettingsError: photos were added, removed or replaced since the run began.
    """
    experiment.read_photos()
    before = _record(folder).get("photos")
    now = experiment.data.source.digest
    if last_checkpoint(folder).exists() and before is not None and before != now:
        raise SettingsError(
            f"the photos of the run in {folder} have changed since it began (digest {before} then, "
            f"{now} now): its epochs could not be compared. Put the photos back as they were, or "
            "give this one another --name"
        )


def refuse_other_settings(experiment: Experiment, folder: Path) -> None:
    """Refuse to go on with a run that was begun with other settings, which would mix two runs.

    The number of epochs may grow: that is how a finished run is continued. And it may go on with
    another number of devices.

    Raises:
        SettingsError: the folder's run differs.
    """
    path = folder / SETTINGS
    if not path.exists():
        return
    before, now = _begun_with(folder), settle(experiment, folder).plain
    for plain in (before, now):
        for name in ("epochs", "log_every", "devices", "nodes"):
            plain["fit"].pop(name, None)
    if before != now:
        changed = [key for key in now if before.get(key) != now[key]]
        raise SettingsError(
            f"the run in {folder} was begun with other settings ({', '.join(changed)} differ; see "
            f"{path}): give this one another --name, or the same settings to go on"
        )


def _begun_with(folder: Path) -> dict[str, Any]:
    """The settings that the folder's run was begun with.

    Raises:
        SettingsError: they are damaged.
    """
    try:
        settings = open_run(folder).settings
        if not isinstance(settings.get("fit"), dict):
            raise ResultsError(f"{folder / SETTINGS} is damaged (it holds no settings of a run)")
    except ResultsError as error:
        raise SettingsError(
            f"{error}: put it back as it was, or give this run another --name"
        ) from error
    return settings


def refuse_missing_device(fit: Fit) -> None:
    """Raise ``SettingsError`` for a device that is not there."""
    if fit.device == "gpu" and not torch.accelerator.is_available():
        raise SettingsError("fit.device is gpu, but PyTorch finds none here: leave it at auto")
    if fit.device != "cpu" and torch.accelerator.is_available():
        there = torch.accelerator.device_count()
        if fit.devices > there:
            raise SettingsError(f"fit.devices is {fit.devices}, but PyTorch finds {there} here")


def trainer_precision(fit: Fit) -> Literal["bf16-mixed", "32-true"]:
    """What a settled ``fit.precision`` is called by the trainer."""
    return "bf16-mixed" if fit.precision == "bfloat16" else "32-true"


def computes_in_bfloat16(device: Literal["auto", "cpu", "gpu"]) -> bool:
    """Whether the device has bfloat16 instructions (emulated ones are slower than float32)."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def evaluate_run(
    experiment: Experiment,
    tasks: Tasks,
    checkpoint: Path,
    folder: Path,
    name: str,
    group: str | None = None,
    pictured: int = VISUAL_SAMPLES,
) -> EpochScore:
    """Score a trained network under the experiment's strategy, and leave the same files as a run.

    What an earlier evaluation left in the folder is replaced, once all is scored.

    Args:
        experiment: the strategy; its own network is not used.
        tasks: what is scored (`open_tasks`).
        checkpoint: the network; its epoch is the epoch of the scores, 0 for a published one.
        folder: of the run: ``config.yaml``, ``photos.csv``, ``visuals/``, ``wandb/``.
        name: of the W&B run.
        group: the study, in W&B.
        pictured: how many samples are pictured.

    Raises:
        SettingsError: a set that cannot be read, weights that are missing, a guide that the network
            reads and a stated ``data.guides`` lacks, several answers of a network that reads no
            noise.
        FileNotFoundError, UnreadableCheckpointError: the checkpoint.
    """
    refuse_missing_device(experiment.fit)
    os.environ.setdefault("WANDB_SILENT", "true")
    device = compute_device(experiment.fit.device)
    network = load_network(checkpoint).to(device)
    try:
        experiment.data.draw_for(network)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    experiment = settle(experiment)
    assert experiment.fit.threads is not None, "settled"
    torch.set_num_threads(experiment.fit.threads)
    samples = experiment.evaluation.samples
    if samples > 1 and "noise" not in guides_of(network):
        raise SettingsError(
            f"evaluation.samples is {samples}, but {type(network).__name__} reads no noise, and "
            "all its answers to a hole are the same: leave it at 1"
        )
    experiment.model.take_network(network)
    run_id = _begin(experiment, folder, tasks.digest, checkpoint=str(checkpoint.resolve()))
    tracker = start_wandb(folder, name, group, run_id, experiment.plain)
    try:
        epoch = checkpoint_epoch(checkpoint)
        strategy = experiment.model.strategy
        return _evaluate(tasks, strategy, folder, epoch, network, device, tracker, pictured)
    finally:
        if tracker is not None:
            tracker.finish()


def make_room(folder: Path, alone: bool, networks: Iterable[str]) -> None:
    """Make the folder of an evaluation ready: what an earlier one left, and this one lacks, goes.

    Args:
        folder: of the evaluation.
        alone: whether its only network is the folder's own run; else each has its own folder.
        networks: the names of those.

    Raises:
        SettingsError: a training lies there, and would be lost.
    """
    remove_others(folder / "networks", () if alone else networks)
    if alone or not (folder / SETTINGS).exists():
        return
    if "checkpoint" not in _record(folder):
        raise SettingsError(
            f"a training lies in {folder}: give this evaluation another --name, or one checkpoint"
        )
    for path in (folder / SETTINGS, folder / RECORD, photo_table(folder).path):
        path.unlink(missing_ok=True)
    for path in (folder / "visuals", folder / "wandb"):
        shutil.rmtree(path, ignore_errors=True)


def evaluate_baselines(
    tasks: Tasks,
    methods: Mapping[str, Strategy],
    folder: Path,
    pictured: int = VISUAL_SAMPLES,
) -> None:
    """Score methods without a network on the same tasks, each in ``folder/baselines/NAME``.

    What earlier calls left there under other names goes: it was scored on who knows what.

    Raises:
        SettingsError: a sample that cannot be read.
    """
    place = folder / "baselines"
    remove_others(place, methods)
    for name, strategy in methods.items():
        _evaluate(tasks, strategy, place / name, pictured=pictured)


def evaluate_entrants(
    tasks: Tasks,
    entrants: Sequence[Entrant],
    folder: Path,
    pastes: bool = False,
    pictured: int = VISUAL_SAMPLES,
) -> list[str]:
    """Score what other programs made of the same tasks, each in ``folder/entrants/NAME``.

    What earlier calls left there under other names goes. ``run.json`` notes where the pictures came
    from, and whether known pixels were pasted.

    Returns:
        For each, in a sentence, what it did to known pixels.

    Raises:
        SettingsError: a sample or a picture that cannot be read.
    """
    place = folder / "entrants"
    remove_others(place, [entrant.name for entrant in entrants])
    said = []
    for entrant in entrants:
        known = KnownPixels()
        own = place / entrant.name
        try:
            judged = judge_entrant(entrant, tasks, known, pastes)
            scores, visuals = _score(judged, None, pictured)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        _leave(own, 0, scores, visuals)
        noted = {"entrant": str(entrant.folder.resolve()), "pasted": pastes}
        write_record(own, {"photos": tasks.digest, **noted})
        said.append(known.sentence(entrant.name, pastes))
    return said


def remove_others(place: Path, names: Iterable[str]) -> None:
    """Remove what earlier evaluations left in a folder under other names."""
    kept = set(names)
    for earlier in place.glob("*"):
        if earlier.is_dir() and earlier.name not in kept:
            shutil.rmtree(earlier)


def _evaluate(
    tasks: Tasks,
    strategy: Strategy,
    folder: Path,
    epoch: int = 0,
    network: Network | None = None,
    device: torch.device | None = None,
    tracker: WandbTracker | None = None,
    pictured: int = VISUAL_SAMPLES,
) -> EpochScore:
    asked = tasks.evaluation
    # A method without a network has one answer.
    samples = 1 if network is None else asked.samples
    try:
        there = (task.to(device) for task in tasks)
        judged = judge(strategy, there, samples, asked.best_by)
        scores, visuals = _score(judged, network, pictured)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if tasks.not_found:
        warnings.warn(
            f"evaluation.person={tasks.evaluation.person} saw nobody in {len(tasks.not_found)} of "
            f"{len(scores)} samples; they are scored as they were",
            stacklevel=3,
        )
    means = mean_scores(scores)
    _leave(folder, epoch, scores, visuals, tracker)
    if tracker is not None:
        tracker.log_epoch(epoch, {f"val/{metric}": value for metric, value in means.items()})
    return EpochScore(epoch, means)


def _score(
    judging: Iterable[Judged], network: Network | None, pictured: int
) -> tuple[list[SampleScore], list[SampleVisual]]:
    scores: list[SampleScore] = []
    visuals: list[SampleVisual] = []
    for judged in judging:
        scores += judged.scores
        visuals += visuals_of(judged, network, pictured - len(visuals))
    return scores, visuals


def _leave(
    folder: Path,
    epoch: int,
    scores: Sequence[SampleScore],
    visuals: Sequence[SampleVisual],
    tracker: WandbTracker | None = None,
) -> None:
    # Another checkpoint's epoch, or another set's photos, would stand beside these.
    photo_table(folder).path.unlink(missing_ok=True)
    shutil.rmtree(folder / "visuals", ignore_errors=True)
    write_scores(folder, epoch, scores)
    write_visuals(folder, epoch, visuals, tracker)


def open_tasks(experiment: Experiment) -> Tasks:
    """What the experiment is scored on.

    Raises:
        SettingsError: a set that cannot be read, weights that are missing.
    """
    try:
        return Tasks(experiment.evaluation, experiment.data)
    except (MissingWeightsError, ValueError) as error:
        raise SettingsError(str(error)) from error


@torch.no_grad()
def visuals_of(judged: Judged, network: Network | None, most: int) -> list[SampleVisual]:
    """What the first samples of a batch look like, stage by stage."""
    task, count = judged.task, max(0, min(most, len(judged.task.sample)))
    if not count:
        return []
    stages = None
    if network is not None:
        guides = {name: planes[:count] for name, planes in task.guides.items()}
        stages = ask_network(network, task.image[:count], task.mask[:count], guides)
    return [
        SampleVisual(
            sample=task.sample[index],
            truth=task.truth[index].cpu(),
            mask=task.mask[index].cpu(),
            coarse=None if stages is None else stages.coarse[index].float().cpu(),
            refined=None if stages is None else stages.refined[index].float().cpu(),
            completed=judged.completed[index].cpu(),
            further=tuple(answer[index].cpu() for answer in judged.further),
        )
        for index in range(count)
    ]


def _begin(
    experiment: Experiment, folder: Path, digest: str, goes_on: bool = False, **noted: str
) -> str:
    """Write what a run is before it starts, and return its name for W&B.

    The name is drawn, and kept in the folder: a run that goes on is the same one, a new one in a
    folder of the same name is not.
    """
    record = _record(folder) if goes_on else {}
    record.setdefault("id", secrets.token_hex(8))
    record |= {"photos": digest, "torch": torch.__version__, **noted}
    with replacing(folder / SETTINGS) as temporary:
        temporary.write_text(experiment.yaml)
    write_record(folder, record)
    run_id: str = record["id"]
    return run_id


def _record(folder: Path) -> dict[str, Any]:
    try:
        return read_record(folder)
    except ValueError as error:
        raise SettingsError(str(error)) from error


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
    ):
        warnings.filterwarnings("ignore", message=message)
