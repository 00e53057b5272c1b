"""Runs the trials of a study in this process, one after the other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.trial import TrialState

from lab.data import PhotoDataModule
from lab.results import open_storage
from lab.results.run import Run
from lab.runs import StepProgress, evaluate_run, fit_run, open_tasks
from lab.settings import Experiment, build_experiment, options_from, parse_experiment
from lab.studies.question import Question, Value
from lab.studies.storage import Claim, begin_study, claim_trial
from lab.tracking import EpochScore
from lab.variants import NonFiniteLossError


@dataclass(frozen=True)
class Sweep:
    """Everything that a process needs to take part in a study; plain values, so that it travels.

    Attributes:
        name: of the study.
        question: what it asks, with the numbers of trials and epochs that the person gave.
        options: settings of every trial, as command-line options of `lab.train`.
        folder: of the study.
        storage: its address, or None for SQLite in the folder.
        seed: of the sampler, the networks and the training draws.
        threads: processor threads a process.
        precision: what "auto" means for all trials; None until it is known.
        identity: what must be equal for trials to be comparable.
        checkpoint: the network that the trials of a question without training score.
    """

    name: str
    question: Question
    options: tuple[str, ...]
    folder: Path
    storage: str | None
    seed: int
    threads: int
    precision: str | None
    identity: Mapping[str, Any]
    checkpoint: Path | None = None

    def open(self) -> optuna.Study:
        """Create the study or go on with it.

        Raises:
            SettingsError: the study there was begun with other settings.
        """
        # Optuna tells of every trial; the display does.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = open_storage(self.storage, self.folder)
        return begin_study(self.name, self.question, storage, self.folder, self.identity)

    def build(self, values: Mapping[str, Value], applied: str | None = None) -> Experiment:
        """Build the run that a trial with ``values`` is.

        Args:
            values: of the varied options.
            applied: a variant without training that goes on top.

        Raises:
            SettingsError: an unknown option or a value that does not fit.
        """
        fixed: dict[str, Value] = {
            "fit.epochs": self.question.epochs,
            "fit.seed": self.seed,
            "fit.threads": self.threads,
            "data.seed": self.seed,
        }
        varied = self.question.options_for(values)
        on_top = []
        if applied is not None:
            on_top = [f"--variant={applied}", *options_from(self.question.applied[applied])]
        return build_experiment(
            parse_experiment(
                [
                    # First: what the person asks for goes on top.
                    *([f"--fit.precision={self.precision}"] if self.precision else []),
                    *self.options,
                    *options_from(fixed),
                    *options_from(varied),
                    *on_top,
                ]
            )
        )

    def data(self) -> PhotoDataModule:
        """The photos that every trial is scored on."""
        return self.build({}).data


@dataclass(frozen=True)
class TrialEvent:
    """News of a trial: it began (or was taken up), made a step, scored an epoch, or ended."""

    worker: int
    trial: int
    kind: Literal["begun", "step", "epoch", "complete", "pruned", "failed"]
    values: Mapping[str, Value] | None = None
    progress: StepProgress | None = None
    score: EpochScore | None = None
    reason: str = ""


def run_trials(sweep: Sweep, worker: int, tell: Callable[[TrialEvent], None]) -> None:
    """Run trials until the study has as many as its question wants.

    Args:
        sweep: the study.
        worker: the number of this process, for the display.
        tell: gets the news.

    Raises:
        SettingsError: the study or a trial cannot be built.
        KeyboardInterrupt: Ctrl-C; the trial stays open and is taken up by the next call.
    """
    study = sweep.open()
    while True:
        claim = claim_trial(study, sweep.question, sweep.folder, sweep.question.trials, sweep.seed)
        if claim is None:
            return
        try:
            _run_trial(study, sweep, claim, worker, tell)
        finally:
            claim.lock.release()


def _run_trial(
    study: optuna.Study,
    sweep: Sweep,
    claim: Claim,
    worker: int,
    tell: Callable[[TrialEvent], None],
) -> None:
    trial, number = claim.trial, claim.trial.number
    event = TrialEvent(worker, number, "begun", claim.values)
    tell(event)
    goals = sweep.question.goals

    def on_epoch(score: EpochScore) -> None:
        tell(replace(event, kind="epoch", score=score))
        if len(goals) > 1:
            return
        trial.report(score.means[goals[0]], score.epoch)
        # The trial that all others are compared with always runs to its end.
        if not trial.user_attrs.get("first") and trial.should_prune():
            raise optuna.TrialPruned

    try:
        experiment = sweep.build(claim.values)
        name = f"{sweep.name}-{number:03d}"
        if sweep.checkpoint is not None:
            tasks = open_tasks(experiment)
            on_epoch(
                evaluate_run(experiment, tasks, sweep.checkpoint, claim.folder, name, sweep.name)
            )
        else:
            fit_run(
                experiment,
                claim.folder,
                name,
                group=sweep.name,
                on_step=lambda progress: tell(replace(event, kind="step", progress=progress)),
                on_epoch=on_epoch,
            )
    except optuna.TrialPruned:
        study.tell(number, state=TrialState.PRUNED)
        tell(replace(event, kind="pruned"))
    except NonFiniteLossError as error:
        trial.set_user_attr("reason", str(error))
        study.tell(number, state=TrialState.FAIL)
        tell(replace(event, kind="failed", reason=str(error)))
    except Exception as error:
        # A mistake in the settings or the code would end every trial alike: stop, and say so.
        trial.set_user_attr("reason", f"{type(error).__name__}: {error}")
        study.tell(number, state=TrialState.FAIL)
        raise
    else:
        run = Run(claim.folder.name, claim.folder.name, claim.folder, goals[0])
        trial.set_user_attr("best_epoch", run.best)
        study.tell(number, [run.mean(goal) for goal in goals])
        tell(replace(event, kind="complete"))
