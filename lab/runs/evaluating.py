"""Score what is trained, or needs no training, and leave the files of a run."""

import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from lab.contracts import Network, Strategy
from lab.devices import compute_device
from lab.evaluation import Judged, Tasks, judge
from lab.formats.runs import photo_table
from lab.guides import ask_network, guides_of
from lab.networks import MissingWeightsError, checkpoint_epoch, load_network
from lab.parsing import SettingsError
from lab.runs.beginning import note_beginning, refuse_missing_device, settle
from lab.settings import Experiment
from lab.tracking import (
    VISUAL_SAMPLES,
    EpochScore,
    SampleScore,
    SampleVisual,
    WandbTracker,
    mean_scores,
    start_wandb,
    write_scores,
    write_visuals,
)


def evaluate_run(
    experiment: Experiment,
    tasks: Tasks,
    checkpoint: Path,
    folder: Path,
    name: str,
    group: str | None = None,
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
    run_id = note_beginning(experiment, folder, tasks.digest, checkpoint=str(checkpoint.resolve()))
    tracker = start_wandb(folder, name, group, run_id, experiment.plain)
    try:
        epoch = checkpoint_epoch(checkpoint)
        strategy = experiment.model.strategy
        return _evaluate(tasks, strategy, folder, epoch, network, device, tracker)
    finally:
        if tracker is not None:
            tracker.finish()


def evaluate_baselines(tasks: Tasks, methods: Mapping[str, Strategy], folder: Path) -> None:
    """Score methods without a network on the same tasks, each in ``folder/baselines/NAME``.

    What earlier calls left there under other names goes: it was scored on who knows what.

    Raises:
        SettingsError: a sample that cannot be read.
    """
    place = folder / "baselines"
    for earlier in place.glob("*"):
        if earlier.is_dir() and earlier.name not in methods:
            shutil.rmtree(earlier)
    for name, strategy in methods.items():
        _evaluate(tasks, strategy, place / name)


def _evaluate(
    tasks: Tasks,
    strategy: Strategy,
    folder: Path,
    epoch: int = 0,
    network: Network | None = None,
    device: torch.device | None = None,
    tracker: WandbTracker | None = None,
) -> EpochScore:
    scores: list[SampleScore] = []
    visuals: list[SampleVisual] = []
    asked = tasks.evaluation
    # A method without a network has one answer.
    samples = 1 if network is None else asked.samples
    try:
        there = (task.to(device) for task in tasks)
        for judged in judge(strategy, there, samples, asked.best_by):
            scores += judged.scores
            visuals += visuals_of(judged, network, VISUAL_SAMPLES - len(visuals))
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if tasks.not_found:
        warnings.warn(
            f"evaluation.person={tasks.evaluation.person} saw nobody in {len(tasks.not_found)} of "
            f"{len(scores)} samples; they are scored as they were",
            stacklevel=3,
        )
    means = mean_scores(scores)
    # Another checkpoint's epoch, or another set's photos, would stand beside these.
    photo_table(folder).path.unlink(missing_ok=True)
    shutil.rmtree(folder / "visuals", ignore_errors=True)
    write_scores(folder, epoch, scores)
    write_visuals(folder, epoch, visuals, tracker)
    if tracker is not None:
        tracker.log_epoch(epoch, {f"val/{metric}": value for metric, value in means.items()})
    return EpochScore(epoch, means)


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
