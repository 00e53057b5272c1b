"""Score what is trained, or needs no training, and leave the files of a run."""

import json
import os
import shutil
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lab.contracts import Network, Strategy
from lab.data import Entrant
from lab.devices import compute_device
from lab.evaluation import Judged, KnownPixels, Tasks, judge, judge_entrant
from lab.files import replacing
from lab.formats.runs import (
    DISTRIBUTION_SCORES,
    RECORD,
    SCORES,
    SETTINGS,
    photo_table,
    write_record,
)
from lab.guides import ask_network, guides_of
from lab.metrics.distributions import DistributionScore
from lab.networks import MissingWeightsError, checkpoint_epoch, load_network
from lab.parsing import SettingsError
from lab.results import Run, Study, is_study_folder
from lab.runs.beginning import note_beginning, recorded, refuse_missing_device, settle
from lab.settings import Experiment, build_experiment, parse_experiment
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

# Where an evaluation keeps what it scored beside a lone network.
_ROOMS = ("networks", "entrants", "baselines")


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

    What an earlier evaluation left in the folder is replaced, once all is scored: until then the
    scores there are of the checkpoint that its settings name.

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
    epoch = checkpoint_epoch(checkpoint)
    scored = _score(tasks, experiment.model.strategy, network, device, pictured)
    _clear(folder)
    run_id = note_beginning(experiment, folder, tasks.digest, checkpoint=str(checkpoint.resolve()))
    tracker = start_wandb(folder, name, group, run_id, experiment.plain)
    try:
        _leave(folder, epoch, scored, tracker)
        means = mean_scores(scored.scores)
        if tracker is not None:
            tracker.log_epoch(epoch, {f"val/{metric}": value for metric, value in means.items()})
        return EpochScore(epoch, means)
    finally:
        if tracker is not None:
            tracker.finish()


def make_room(
    folder: Path, alone: bool, networks: Iterable[str], sets: Collection[str] = ()
) -> None:
    """Make the folder of an evaluation ready: what an earlier one left, and this one lacks, goes.

    Args:
        folder: of the evaluation.
        alone: whether its only network is the folder's own run; else each has its own folder.
        networks: the names of those.
        sets: the names of what is scored in folders of its own below it.

    Raises:
        SettingsError: a training or a study lies there, and would be lost; or other evaluations.
    """
    has_run = (folder / SETTINGS).exists()
    is_training = has_run and "checkpoint" not in recorded(folder)
    if is_training or is_study_folder(folder):
        raise SettingsError(
            f"a {'training' if is_training else 'study'} lies in {folder}, whose scores would be "
            "replaced: give this evaluation another --name"
        )
    # Sets that were scored one by one below it would stand beside as if they were networks.
    others = [path.name for path in sorted(folder.glob("*/")) if _is_evaluation(path)]
    if others := [name for name in others if name not in (*_ROOMS, *sets)]:
        raise SettingsError(
            f"other evaluations lie in {folder} ({', '.join(others)}), and would stand among this "
            "one's results: give this one another --name, or remove them"
        )
    _remove_others(folder / "networks", () if alone else networks)
    if alone or not has_run:
        return
    names = (SETTINGS, RECORD, DISTRIBUTION_SCORES)
    for path in (*(folder / name for name in names), photo_table(folder).path):
        path.unlink(missing_ok=True)
    for path in (folder / "visuals", folder / "wandb"):
        shutil.rmtree(path, ignore_errors=True)


def make_room_for_sets(folder: Path, sets: Collection[str]) -> None:
    """Make the folder of an evaluation of several sets ready, each of which gets one below it.

    Args:
        folder: of the evaluation.
        sets: their names.

    Raises:
        SettingsError: a training or a study lies there, or evaluations of other sets.
    """
    make_room(folder, alone=False, networks=(), sets=sets)
    for name in _ROOMS:
        _remove_others(folder / name, ())


def _is_evaluation(folder: Path) -> bool:
    """Whether an evaluation lies in a folder: what it wrote, and no training or study."""
    if is_study_folder(folder):
        return False
    if (folder / SETTINGS).exists():
        return "checkpoint" in recorded(folder)
    return any(any((folder / name).glob(f"*/{SCORES}")) for name in _ROOMS)


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
    _remove_others(place, methods)
    for name, strategy in methods.items():
        scored = _score(tasks, strategy, pictured=pictured)
        _clear(place / name)
        _leave(place / name, 0, scored)


def evaluate_entrants(
    tasks: Tasks,
    entrants: Sequence[Entrant],
    folder: Path,
    pastes: bool = False,
    pictured: int = VISUAL_SAMPLES,
    beside_others: bool = False,
) -> list[str]:
    """Score what other programs made of the same tasks, each in ``folder/entrants/NAME``.

    What earlier calls left there under other names goes, but where these are to stand beside them.
    ``run.json`` notes where the pictures came from, and whether known pixels were pasted.

    Returns:
        For each, in a sentence, what it did to known pixels; and that it has no measure of all
        photos together, where it lacks some.

    Raises:
        SettingsError: a sample or a picture that cannot be read.
    """
    place = folder / "entrants"
    if not beside_others:
        _remove_others(place, [entrant.name for entrant in entrants])
    said = []
    for entrant in entrants:
        known = KnownPixels()
        own = place / entrant.name
        try:
            judged = judge_entrant(entrant, tasks, known, pastes)
            scored = _gather(judged, tasks, None, pictured)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        _clear(own)
        _leave(own, 0, scored)
        noted = {"entrant": str(entrant.folder.resolve()), "pasted": pastes}
        write_record(own, {"photos": tasks.digest, **noted})
        said.append(known.sentence(entrant.name, pastes))
        if tasks.distributions is not None and not scored.distributions:
            said.append(
                f"{entrant.name} has no {', '.join(tasks.distributions.names)}, which depend on "
                f"how many photos there are: it lacks {len(entrant.lacking)}"
            )
    return said


def _remove_others(place: Path, names: Iterable[str]) -> None:
    """Remove what earlier evaluations left in a folder under other names."""
    kept = set(names)
    for earlier in place.glob("*"):
        if earlier.is_dir() and earlier.name not in kept:
            shutil.rmtree(earlier)


@dataclass(frozen=True)
class _Scored:
    """What came out of one network, method or entrant, before anything is written."""

    scores: list[SampleScore]
    visuals: list[SampleVisual]
    distributions: list[DistributionScore]


def _score(
    tasks: Tasks,
    strategy: Strategy,
    network: Network | None = None,
    device: torch.device | None = None,
    pictured: int = VISUAL_SAMPLES,
) -> _Scored:
    """Complete and score every sample.

    Raises:
        SettingsError: a sample that cannot be read.
    """
    asked = tasks.evaluation
    # A method without a network has one answer.
    samples = 1 if network is None else asked.samples
    try:
        there = (task.to(device) for task in tasks)
        scored = _gather(judge(strategy, there, samples, asked.best_by), tasks, network, pictured)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if tasks.not_found:
        warnings.warn(
            f"evaluation.person={tasks.evaluation.person} saw nobody in {len(tasks.not_found)} of "
            f"{len(scored.scores)} samples; they are scored as they were",
            stacklevel=3,
        )
    return scored


def _gather(
    judging: Iterable[Judged], tasks: Tasks, network: Network | None, pictured: int
) -> _Scored:
    scores: list[SampleScore] = []
    visuals: list[SampleVisual] = []
    together = tasks.distributions
    if together is not None:
        together.begin()
    for judged in judging:
        if together is not None:
            together.add(judged.completed, judged.task.truth)
        scores += judged.scores
        visuals += visuals_of(judged, network, pictured - len(visuals))
    return _Scored(scores, visuals, [] if together is None else together.scores())


def _clear(folder: Path) -> None:
    """Remove scores and pictures: another checkpoint's, or other photos', would stand beside."""
    for path in (photo_table(folder).path, folder / DISTRIBUTION_SCORES):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / "visuals", ignore_errors=True)


def _leave(folder: Path, epoch: int, scored: _Scored, tracker: WandbTracker | None = None) -> None:
    write_scores(folder, epoch, scored.scores)
    write_visuals(folder, epoch, scored.visuals, tracker)
    if scored.distributions:
        with replacing(folder / DISTRIBUTION_SCORES) as temporary:
            temporary.write_text(json.dumps(_by_name(scored.distributions), indent=1) + "\n")


def _by_name(found: Iterable[DistributionScore]) -> dict[str, dict[str, float | None]]:
    return {
        score.name: {"value": score.value, "spread": score.spread, "photos": score.photos}
        for score in found
    }


def open_tasks(experiment: Experiment) -> Tasks:
    """What the experiment is scored on.

    Raises:
        SettingsError: photos or a set that cannot be read, weights that are missing.
    """
    if experiment.evaluation.set is None and experiment.evaluation.photos is None:
        experiment.read_photos()
    try:
        return Tasks(experiment.evaluation, experiment.data)
    except (MissingWeightsError, ValueError) as error:
        raise SettingsError(str(error)) from error


def rebuild(run: Run, options: Sequence[str] = ()) -> Experiment:
    """Build what a run's own settings say.

    Args:
        run: any.
        options: on top of its settings: ``"--data.photos=DIR"``, where its photos lie elsewhere
            now; ``"--allow-imports", "PACKAGE"``, for settings that name classes of it.

    Raises:
        SettingsError: they are gone, damaged, or no longer fit.
    """
    if not run.settings_text:
        raise SettingsError(f"{run.folder / SETTINGS} is missing")
    return build_experiment(parse_experiment(options, run.folder / SETTINGS))


def reopen_tasks(study: Study, options: Sequence[str] = ()) -> Tasks:
    """What all runs of a study were scored on, by the settings of one of them.

    Args:
        study: of trials, or any folder of runs that were scored alike.
        options: of `rebuild`.

    Raises:
        SettingsError: no run was scored yet; its settings do not fit any more; photos have changed.
    """
    run = study.compared_with
    if run is None:
        raise SettingsError(
            f"no run of {study.folder} has ended with scores yet: there is nothing to be scored "
            "beside"
        )
    tasks = open_tasks(rebuild(run, options))
    before = run.record.get("photos")
    if before is not None and before != tasks.digest:
        raise SettingsError(
            f"the photos of {run.folder} have changed since it was scored (digest {before} then, "
            f"{tasks.digest} now): put them back as they were"
        )
    return tasks


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
