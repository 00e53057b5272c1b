"""Pictures of more samples than a run showed while it trained, from the checkpoints it left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from time import perf_counter

import torch
import yaml

from lab.checks import UserError
from lab.contracts import Network, Strategy
from lab.devices import compute_device
from lab.evaluation import Task, judge
from lab.guides import select_sample
from lab.metrics import ALL_METRICS
from lab.networks import UnreadableCheckpointError, load_network
from lab.parsing import SettingsError
from lab.reporting.pictures import MAIN_STAGE
from lab.results import ResultsError, Run, Study
from lab.runs import open_tasks, rebuild, visuals_of
from lab.settings import Experiment
from lab.strategies import METHODS
from lab.tracking import SampleScore, SampleVisual, write_visuals

# Another machine rounds otherwise; more than this is another network, photo or hole.
_TOLERANCE = {"dB": 0.1, "": 0.005}


@dataclass(frozen=True)
class _Method:
    """What completes the samples of a run, and what they are."""

    experiment: Experiment
    strategy: Strategy
    network: Network | None


def picture_more(
    study: Study,
    count: int,
    names: Sequence[str] = (),
    photos: Path | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Picture more samples of every run at its best epoch, beside the twelve of its own.

    Each is completed again by the checkpoint that was kept, scored again, and written into the
    run's ``visuals/`` only where the score is the one that the run recorded. What lies there
    already is left alone, so a second call costs nothing.

    Args:
        study: whose runs.
        count: picture the first so many samples, in the order of validation.
        names: and these.
        photos: the folder of the study's photos, where they lie elsewhere now.
        tell: gets a line a run: what was added, how long it took, or why nothing was.

    Raises:
        ResultsError: no run has ended with scores, or none scored a sample of such a name.
    """
    anchor = study.compared_with
    if anchor is None:
        raise ResultsError(
            f"no run of {study.folder} has ended with scores yet, so there is nothing to picture"
        )
    known = [str(name) for name in anchor.best_scores.index]
    for name in names:
        if name not in known:
            (near,) = get_close_matches(name, known, n=1, cutoff=0.0)
            raise ResultsError(f"no sample is called {name!r}; the nearest is {near!r}")
    wanted = list(dict.fromkeys([*known[:count], *names]))
    elsewhere = [] if photos is None else [f"--data.photos={photos.resolve()}"]
    cache: dict[str, dict[str, Task]] = {}
    for run in study.runs:
        missing = [] if run.best is None else [name for name in wanted if _is_missing(run, name)]
        if not missing:
            continue
        start = perf_counter()
        try:
            method = _method(run, anchor, elsewhere)
            _picture(run, method, _tasks(method.experiment, missing, cache), study.goals[0])
        except (UserError, UnreadableCheckpointError, ValueError, OSError) as error:
            tell(f"{run.label}: no more pictures, because {error}")
        else:
            tell(f"{run.label}: {len(missing)} more pictured in {perf_counter() - start:.1f} s")


def _is_missing(run: Run, sample: str) -> bool:
    scored = sample in run.scores_at(run.best).index
    return scored and run.picture(sample, MAIN_STAGE, run.best) is None


def _method(run: Run, anchor: Run, options: Sequence[str]) -> _Method:
    """Build what completed the run's samples, from its settings and its checkpoint.

    Args:
        run: of the study.
        anchor: the run whose settings say what methods were scored on.
        options: on top of the settings.
    """
    if run.state == "baseline":
        if run.label not in METHODS:
            raise SettingsError(f"no method of this version is called {run.label}")
        return _Method(rebuild(anchor, options), METHODS[run.label].build(), None)
    if run.state == "entrant":
        raise SettingsError("another program made them: lab.evaluate --pictured N shows more")
    assert run.best is not None
    experiment = rebuild(run, options)
    checkpoint = run.checkpoint
    if checkpoint is None:
        path = run.checkpoint_at(run.best)
        raise SettingsError(f"the network of its best epoch, {path}, was not kept")
    network = load_network(checkpoint).to(compute_device(experiment.fit.device))
    experiment.model.take_network(network)
    return _Method(experiment, experiment.model.strategy, network)


def _tasks(
    experiment: Experiment, names: Sequence[str], cache: dict[str, dict[str, Task]]
) -> list[Task]:
    """The samples of these names, one a task; read once for all runs that are scored on them."""
    plain = experiment.plain
    key = yaml.safe_dump([plain["data"], plain["evaluation"]])
    known = cache.setdefault(key, {})
    if not set(names) <= known.keys():
        wanted = set(names) - known.keys()
        for task in open_tasks(experiment):
            for index, sample in enumerate(task.sample):
                if sample in wanted:
                    known[sample] = _one(task, index)
            if wanted <= known.keys():
                break
    missing = [name for name in names if name not in known]
    if missing:
        raise SettingsError(f"its photos have changed: there is no sample {missing[0]!r} any more")
    return [known[name] for name in names]


def _one(task: Task, index: int) -> Task:
    tensors = (task.image, task.mask, task.truth, task.scored)
    image, mask, truth, scored = (tensor[index : index + 1].clone() for tensor in tensors)
    names, guides = ([task.sample[index]], [task.photo[index]]), select_sample(task.guides, index)
    return Task(*names, image, mask, truth, scored, guides, task.has_truth, task.perceptual)


def _picture(run: Run, method: _Method, tasks: Sequence[Task], goal: str) -> None:
    """Complete and score the samples, and write them when all are as they were recorded."""
    assert run.best is not None
    device = None
    if isinstance(method.network, torch.nn.Module):
        device = next(iter(method.network.parameters())).device
    visuals: list[SampleVisual] = []
    asked = method.experiment.evaluation
    # Training scores one answer, whatever the settings say of evaluations.
    samples = asked.samples if "checkpoint" in run.record else 1
    there = (task.to(device) for task in tasks)
    for judged in judge(method.strategy, there, samples, asked.best_by):
        for score in judged.scores:
            _refuse_another_score(run, score, goal)
        visuals += visuals_of(judged, method.network, len(judged.scores))
    write_visuals(run.folder, run.best, visuals, None)


def _refuse_another_score(run: Run, score: SampleScore, goal: str) -> None:
    own = run.scores_at(run.best)
    recorded, now = float(own.loc[score.sample, goal]), score.metrics[goal]
    if abs(recorded - now) > _TOLERANCE[ALL_METRICS[goal].unit]:
        raise SettingsError(
            f"{score.sample} now scores {goal} {now:.4g}, where {recorded:.4g} was recorded: its "
            "photos, checkpoint or settings are no longer those that were scored"
        )
