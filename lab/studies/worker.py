"""Runs the trials of a study in this process, one after the other."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from lab.checks import UserError
from lab.data import PhotoDataModule
from lab.evaluation import Tasks
from lab.faults import EnvironmentFaultError, fault_of, ran_out_of_memory
from lab.formats.runs import can_go_on, copy_run, unfinished_checkpoint
from lab.parsing import SettingsError, options_from
from lab.results import (
    Run,
    artifacts_of,
    fetch_runs,
    fetch_to_go_on,
    store_run,
    store_unfinished,
    trial_folder,
)
from lab.runs import StepProgress, evaluate_run, fit_run, open_tasks
from lab.settings import Experiment, build_experiment, parse_experiment
from lab.studies.holders import EPOCHS, Hold, TrialLostError, holding, watch_of
from lab.studies.pruning import FrontPruner
from lab.studies.question import Question, Value
from lab.studies.storage import INVALID, Claim, begin_study, claim_trial
from lab.tracking import EpochScore
from lab.training import NonFiniteLossError


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
        lost_after: seconds after which a machine that gives no sign of life is lost, where several
            share the study; None for what it was begun with.
        artifacts: where files of trials come together, as this machine reaches it.
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
    lost_after: float | None = None
    artifacts: str | None = None

    def open(self) -> optuna.Study:
        """Create the study or go on with it.

        Raises:
            SettingsError: the study there was begun with other settings.
        """
        # Optuna tells of every trial; the display does.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # A trial that goes on repeats the epoch in which it stopped, and what it said of it.
        warnings.filterwarnings("ignore", message="The reported value is ignored")
        return begin_study(
            self.name,
            self.question,
            self.storage,
            self.folder,
            self.identity,
            self.lost_after,
            self.artifacts,
        )

    def build(
        self, values: Mapping[str, Value], applied: str | None = None, seed: int | None = None
    ) -> Experiment:
        """Build the run that a trial with ``values`` is.

        Args:
            values: of the varied options.
            applied: a variant without training that goes on top.
            seed: of the networks and the training draws, if not the study's. What trials are
                scored on has a seed of its own.

        Raises:
            SettingsError: an unknown option or a value that does not fit.
        """
        fixed: dict[str, Value] = {
            "fit.epochs": self.question.epochs,
            "fit.seed": self.seed if seed is None else seed,
            "fit.threads": self.threads,
            "data.seed": self.seed if seed is None else seed,
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

    def tasks(self) -> Tasks:
        """What every trial is scored on.

        Raises:
            SettingsError: its photos or masks were replaced or removed since the study began.
        """
        tasks = open_tasks(self.build({}))
        if self.identity and self.identity["scored"] != f"digest {tasks.digest}":
            raise SettingsError(
                f"what study {self.name!r} is scored on has changed since it began (now "
                f"{tasks.summary()}): put the photos and masks back, and give the same command; or "
                "begin another study by --name"
            )
        return tasks


@dataclass(frozen=True)
class TrialEvent:
    """News of a trial: it began (or was taken up), made a step, scored an epoch, or ended.

    One that was resumed goes on within an epoch, or cannot, as its reason says.
    An invalid one failed before it began, because no run can be built with its values. A lost one
    was ended by another machine, which saw no sign of life. One that trains a setting again says
    from which ``seed``. "waiting" is of another machine's trial, of which it is not known whether
    it lives.
    """

    worker: int
    trial: int
    kind: Literal[
        "begun",
        "resumed",
        "step",
        "epoch",
        "complete",
        "pruned",
        "failed",
        "invalid",
        "lost",
        "waiting",
    ]
    values: Mapping[str, Value] | None = None
    progress: StepProgress | None = None
    score: EpochScore | None = None
    reason: str = ""
    seed: int | None = None


def run_trials(sweep: Sweep, worker: int, tell: Callable[[TrialEvent], None]) -> None:
    """Run trials until the study has as many as its question wants, and no seed could decide more.

    Where machines share the study, wait at the end for a sign of life of each trial that another
    one runs, and take up those that give none.

    Args:
        sweep: the study.
        worker: the number of this process, for the display.
        tell: gets the news.

    Raises:
        UserError: the study cannot be opened, or a trial not be gone on with.
        Exception: what `lab.faults` knows; the trial stays open, as with the next.
        KeyboardInterrupt: Ctrl-C; the trial stays open and is taken up by the next call.
    """
    study, question = sweep.open(), sweep.question
    watch = watch_of(study, sweep.storage, sweep.folder)
    is_waiting = False
    # Where a seed or a trial's end is decided by the scores of others.
    needs_scores = question.seeds > 1 or len(question.goals) > 1
    while True:
        if needs_scores:
            fetch_runs(study, sweep.folder, networks=False)
        claim = claim_trial(
            study, question, sweep.storage, sweep.folder, question.trials, sweep.seed, watch
        )
        if claim is not None:
            is_waiting = False
            try:
                with holding(study, claim.trial, sweep.storage, sweep.folder) as hold:
                    _run_trial(study, sweep, claim, hold, worker, tell)
            except TrialLostError as error:
                number, values = claim.trial.number, claim.values
                tell(TrialEvent(worker, number, "lost", values, reason=str(error)))
            finally:
                claim.lock.release()
            continue
        if watch is None:
            return
        if not is_waiting:
            watch.begin_waiting()
            is_waiting = True
        silent = watch.waits_for()
        if not silent:
            return
        event = TrialEvent(worker, study._storage.get_trial(min(silent)).number, "waiting")
        # Hundreds of machines may wait, and a look keeps all others out. But an interruption is
        # noticed by telling.
        end = time.monotonic() + watch.interval / 3
        while time.monotonic() < end:
            tell(event)
            time.sleep(min(1.0, watch.interval / 3))


def _run_trial(
    study: optuna.Study,
    sweep: Sweep,
    claim: Claim,
    hold: Hold,
    worker: int,
    tell: Callable[[TrialEvent], None],
) -> None:
    trial, number = claim.trial, claim.trial.number
    event = TrialEvent(worker, number, "begun", claim.values, seed=claim.seed)
    store = artifacts_of(study, sweep.folder)
    goals = sweep.question.goals
    tell(replace(event, reason=_go_on_from(study, claim, sweep.folder, goals)))
    front = FrontPruner(study, sweep.question, sweep.folder) if len(goals) > 1 else None

    def on_epoch(score: EpochScore) -> None:
        tell(replace(event, kind="epoch", score=score))
        trial.set_user_attr(EPOCHS, score.epoch)
        if front is None:
            trial.report(score.means[goals[0]], score.epoch)
        # The trials that all others are compared with always run to their end, and so does another
        # seed, whose early end would say nothing of its setting.
        is_kept = trial.user_attrs.get("first") or claim.seed is not None
        # What has had its last epoch is paid for.
        is_last = score.epoch >= sweep.question.epochs
        if is_kept or is_last or not sweep.question.trains:
            return
        if front is not None:
            reason = front.reason(claim.folder, score.epoch)
            if reason is not None:
                raise optuna.TrialPruned(reason)
        elif trial.should_prune():
            raise optuna.TrialPruned

    def fail(reason: str, kind: Literal["failed", "invalid"] = "failed") -> None:
        trial.set_user_attr("reason", reason)
        if kind == "invalid":
            trial.set_user_attr(INVALID, True)
        end(state=TrialState.FAIL)
        tell(replace(event, kind=kind, reason=reason))

    unfinished = unfinished_checkpoint(claim.folder)
    stored_at: float | None = None  # when what was kept within an epoch was last put into the store

    def put_into_store() -> None:
        if store is not None:
            hold.check()
            store_run(study, number, claim.folder, store)

    def put_unfinished_into_store() -> None:
        nonlocal stored_at
        if store is None or not unfinished.exists() or unfinished.stat().st_mtime == stored_at:
            return
        hold.check()
        stored_at = unfinished.stat().st_mtime
        try:
            store_unfinished(study, number, claim.folder, store)
        except (EnvironmentFaultError, OSError) as error:
            # The epoch's end must come there; this only shortens what a lost machine costs.
            warnings.warn(
                f"what trial {number} has kept within an epoch is not in the store ({error})",
                stacklevel=2,
            )

    def end(values: Sequence[float] | None = None, state: TrialState | None = None) -> None:
        put_into_store()
        hold.tell(values, state)
        # It is never gone on with.
        unfinished.unlink(missing_ok=True)

    def fails_for_memory(error: Exception) -> bool:
        """Fail the trial where memory runs out again: else the study would never get beyond it."""
        if not ran_out_of_memory(error) or not _for_the_second_time(trial):
            return False
        fail("it ran out of memory twice: take smaller values, fewer --workers, or another GPU")
        return True

    def on_step(progress: StepProgress) -> None:
        hold.glance()
        # The last epoch's `last.ckpt`, which another machine could go on from, is there by now.
        if progress.step == 1 and progress.epoch > 1:
            put_into_store()
        put_unfinished_into_store()
        tell(replace(event, kind="step", progress=progress))

    try:
        experiment, tasks = _prepare(sweep, claim.values, claim.seed)
        name = f"{sweep.name}-{number:03d}"
        if tasks is not None:
            assert sweep.checkpoint is not None
            hold.check()
            on_epoch(
                evaluate_run(experiment, tasks, sweep.checkpoint, claim.folder, name, sweep.name)
            )
        else:
            fit_run(
                experiment,
                claim.folder,
                name,
                group=sweep.name,
                on_step=on_step,
                on_epoch=on_epoch,
                before_writing=hold.check,
                on_start=lambda said: tell(replace(event, kind="resumed", reason=said)),
                before_ending=fails_for_memory,
            )
    except KeyboardInterrupt:
        # What cannot be said any more, the others find out by themselves.
        with suppress(UserError, SQLAlchemyError, OSError):
            put_unfinished_into_store()
            hold.give_up()
        raise
    except optuna.TrialPruned as pruned:
        trial.set_user_attr("reason", str(pruned))
        end(state=TrialState.PRUNED)
        tell(replace(event, kind="pruned", reason=str(pruned)))
    except _InvalidValuesError as error:
        fail(str(error), "invalid")
    except NonFiniteLossError as error:
        fail(str(error))
    except Exception as error:
        if fails_for_memory(error):
            return
        # Its folder or photos are not as they were: once a person has mended that, it goes on.
        if not isinstance(error, UserError | UpdateFinishedTrialError) and fault_of(error) is None:
            # A mistake in the code would end every trial alike: stop, and say so.
            trial.set_user_attr("reason", f"{type(error).__name__}: {error}")
            hold.tell(state=TrialState.FAIL)
        raise
    else:
        place = claim.folder
        run = Run(place.name, place.name, place, goals[0], counts_last=len(goals) > 1)
        trial.set_user_attr("best_epoch", run.best)
        end([run.mean(goal) for goal in goals])
        tell(replace(event, kind="complete"))


def _go_on_from(study: optuna.Study, claim: Claim, folder: Path, goals: Sequence[str]) -> str:
    """Put in a trial's folder what those left that it stands in for; says so in words.

    By one goal, their epochs are reported: a trial is pruned by all that it had.
    """
    if not claim.after:
        return ""
    if not can_go_on(claim.folder):
        for number in claim.after:
            if copy_run(trial_folder(folder, number), claim.folder) or fetch_to_go_on(
                study, number, claim.folder
            ):
                break
    run = Run(claim.folder.name, claim.folder.name, claim.folder, goals[0])
    epochs = run.last or 0
    if epochs and len(goals) == 1:
        known = study._storage.get_trial(claim.trial._trial_id).intermediate_values
        for epoch, value in run.epochs[goals[0]].items():
            if epoch not in known:
                claim.trial.report(float(value), int(epoch))
    if epochs:
        where = f"goes on after its epoch {epochs}"
    elif can_go_on(claim.folder):
        where = "goes on within its first epoch"
    else:
        where = "begins anew: its files are not here"
    return f"stands in for trial {claim.after[0]}, whose machine was lost, and {where}"


class _InvalidValuesError(SettingsError):
    """No run can be built with the values that were drawn, but with others it can."""


def _prepare(
    sweep: Sweep, values: Mapping[str, Value], seed: int | None
) -> tuple[Experiment, Tasks | None]:
    """Build a trial's run, and what it is scored on where it is not trained.

    Raises:
        _InvalidValuesError: with these values it cannot be built.
        SettingsError: with none.
    """

    def prepare(values: Mapping[str, Value]) -> tuple[Experiment, Tasks | None]:
        experiment = sweep.build(values, seed=seed)
        if sweep.checkpoint is not None:
            return experiment, open_tasks(experiment)
        experiment.read_photos()
        return experiment, None

    try:
        return prepare(values)
    except SettingsError as error:
        if fault_of(error) is not None:
            raise
        prepare({})
        raise _InvalidValuesError(str(error)) from error


def _for_the_second_time(trial: optuna.Trial) -> bool:
    before = trial.user_attrs.get("out_of_memory", 0)
    trial.set_user_attr("out_of_memory", before + 1)
    return bool(before)
