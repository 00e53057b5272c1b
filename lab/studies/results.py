"""What a study found: its runs, baselines that cost no training, and what each weight did."""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lab.formats.runs import SETTINGS
from lab.results import Run, SettingsAlone, Study, fetch_networks, open_study, trial_folder
from lab.runs import evaluate_baselines, evaluate_run, open_tasks
from lab.strategies import baselines
from lab.studies.holders import is_of
from lab.studies.question import Question
from lab.studies.storage import failed, invalid
from lab.studies.worker import Sweep


@dataclass(frozen=True)
class StudyResults:
    """Everything that the table at the end of a sweep says.

    Attributes:
        question: what was asked.
        study: its runs, baselines and applied variants, as they lie on disk.
        importance: of each varied option for the first goal, adding up to 1; empty where too few
            trials are done, of all or of an option that only some of them vary.
        planned_epochs: of all trials that ended.
        run_epochs: that were run; the difference is what pruning saved.
        failed: trials that failed, without those that were tried again.
        running: trials that another process runs in this folder.
        elsewhere: trials that began in another folder which shares the database, and whose files
            are not here.
        invalid: trials with drawn values that no run can be built with.
    """

    question: Question
    study: Study
    importance: Mapping[str, float]
    planned_epochs: int
    run_epochs: int
    failed: Sequence[FrozenTrial] = ()
    running: Sequence[FrozenTrial] = ()
    elsewhere: Sequence[FrozenTrial] = ()
    invalid: Sequence[FrozenTrial] = ()

    @property
    def left_elsewhere(self) -> list[FrozenTrial]:
        """The trials that another folder runs, or in which they were interrupted."""
        return [trial for trial in self.elsewhere if trial.state is TrialState.RUNNING]

    @property
    def gave_up_drawing(self) -> bool:
        """Whether as many drawn values were invalid as there should be trials."""
        drawn = self.question.sampler != "grid"
        return drawn and len(self.invalid) >= self.question.trials

    @property
    def is_whole(self) -> bool:
        """Whether the study has what was asked for: then the command ends with status 0."""
        return bool(self.study.ranked) and not self.left_elsewhere and not self.gave_up_drawing

    @property
    def saved_share(self) -> float:
        """Share of the epochs that pruning saved."""
        return 1.0 - self.run_epochs / self.planned_epochs if self.planned_epochs else 0.0


def collect_results(sweep: Sweep, study: optuna.Study) -> StudyResults:
    """Score what needs no training on the same photos, and read what all of it left on disk."""
    tasks = sweep.tasks()
    first = open_study(sweep.folder, sweep.storage, networks=False)
    # Of each run the best alone: all of them are gigabytes, on each machine.
    fetch_networks(study, sweep.folder, {run.name: run.best for run in first.trials if run.best})
    _apply(sweep, first.reference)
    evaluate_baselines(tasks, baselines(tasks.side, sweep.question.baselines), sweep.folder)
    read = open_study(sweep.folder, sweep.storage, networks=False)
    ended = [run for run in read.trials if run.state in ("complete", "repeat", "pruned")]
    trials = study.get_trials(deepcopy=False)
    here = [trial for trial in trials if is_of(trial, sweep.folder)]
    return StudyResults(
        question=sweep.question,
        study=read,
        importance=_importance(SettingsAlone.of(study), sweep.question.varied),
        planned_epochs=sweep.question.epochs * len(ended),
        run_epochs=sum(run.last for run in ended),
        failed=failed(trials),
        running=[trial for trial in here if trial.state is TrialState.RUNNING],
        elsewhere=[
            trial for trial in trials if trial not in here and not _is_fetched(trial, sweep.folder)
        ],
        invalid=invalid(trials),
    )


def _is_fetched(trial: FrozenTrial, folder: Path) -> bool:
    return trial.state.is_finished() and (trial_folder(folder, trial.number) / SETTINGS).exists()


def _apply(sweep: Sweep, reference: Run | None) -> None:
    """Score every variant without training on the reference's best epoch."""
    if reference is None or reference.checkpoint is None:
        return
    for variant in sweep.question.applied:
        experiment = sweep.build(reference.values, applied=variant)
        evaluate_run(
            experiment,
            open_tasks(experiment),
            reference.checkpoint,
            sweep.folder / "applied" / variant,
            f"{sweep.name}-{variant}",
            sweep.name,
        )


def _importance(study: optuna.Study, varied: Collection[str]) -> dict[str, float]:
    goals = len(study.directions)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    # Fewer trials than that say nothing about any single option.
    if len(complete) < max(4, len(varied) // 2):
        return {}
    # Where all came out alike, Optuna shares importance out evenly.
    if len({trial.values[0] for trial in complete}) == 1:
        return {}
    # With a target, Optuna asks what makes it small, whatever the direction.
    sign = 1.0 if study.directions[0] is StudyDirection.MINIMIZE else -1.0
    target = (lambda trial: sign * trial.values[0]) if goals > 1 else None
    with asking_for_importance() as doubts:
        shares = optuna.importance.get_param_importances(study, target=target)
    return {} if doubts else {path: share for path, share in shares.items() if path in varied}


@contextmanager
def asking_for_importance() -> Iterator[list[str]]:
    """Ask Optuna for importances without its warnings on the terminal.

    Yields:
        Filled at the end: where it doubts an option's share, since too few trials varied it.
    """
    doubts: list[str] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield doubts
    messages = [str(warning.message) for warning in said]
    doubts += [message for message in messages if "may be inaccurate" in message]
