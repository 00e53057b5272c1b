"""Where a study is kept, and its trials shared out among processes so that none runs twice.

Each process holds an operating-system lock on the folder of the trial that it runs. A lock ends
with its process, also by ``kill -9``: a trial that counts as running but whose lock is free was
interrupted, and whoever finds it takes it up again from its last checkpoint. That goes for the
trials of one folder, wherever it is moved to: where folders share a database, each trial carries
the name that was drawn for the folder that it began in.
"""

import json
import shutil
import socket
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, Trial, TrialState

from lab.files import lock_run, replacing
from lab.results import (
    RETRY_OF,
    alone_in,
    folder_name,
    is_shared,
    open_storage,
    trial_folder,
)
from lab.settings import SettingsError
from lab.studies.question import Question, Value

FOLDER = "study_folder"
"""The attribute of a trial that says in which folder it began, by `lab.results.folder_name`."""

INVALID = "invalid"
"""The attribute of a failed trial whose drawn values no run can be built with."""


@dataclass(frozen=True)
class Claim:
    """A trial that this process may run, its folder, and the lock that says so."""

    trial: Trial
    folder: Path
    lock: FileLock
    values: dict[str, Value]


def begin_study(
    name: str,
    question: Question,
    address: str | None,
    folder: Path,
    identity: Mapping[str, Any],
) -> optuna.Study:
    """Create the study, with its first trials queued, or go on with the one that is there.

    Args:
        name: of the study.
        question: what it asks.
        address: of the storage where it is kept.
        folder: of its runs.
        identity: what must be equal for its trials to be comparable: settings, photos, epochs.

    Raises:
        SettingsError: the study there was begun with another identity; says which settings.
        ResultsError: the storage cannot be opened.
    """
    plain = json.loads(json.dumps(identity, default=str))
    storage = open_storage(address, folder)
    with alone_in(address, folder):
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            directions=question.directions,
            pruner=_pruner(question),
            load_if_exists=True,
        )
        known = study.user_attrs.get("identity")
        if known is None:
            study.set_user_attr("question", question.question)
            study.set_user_attr("goals", question.goals)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(question.goals)
            for values in question.first:
                study.enqueue_trial(values, user_attrs={"first": True}, skip_if_exists=True)
            for values in question.combinations:
                study.enqueue_trial(values, skip_if_exists=True)
            # Last: a study that carries its identity is complete.
            study.set_user_attr("identity", plain)
        elif known != plain:
            changed = ", ".join(
                f"{key}: {known.get(key)!r} then, {plain.get(key)!r} now"
                for key in sorted({*known, *plain})
                if known.get(key) != plain.get(key)
            )
            raise SettingsError(
                f"study {name!r} in {folder} was begun with other settings ({changed}); its trials "
                "could not be compared. Give this one a --name of its own, or --fresh to set the "
                "old one aside"
            )
    return study


def claim_trial(
    study: optuna.Study,
    question: Question,
    address: str | None,
    folder: Path,
    limit: int,
    seed: int,
) -> Claim | None:
    """Take up an interrupted trial, or begin a new one if fewer than ``limit`` have begun.

    Returns:
        Claim | None: None when there is nothing left to do.
    """
    # Alone: a trial without a mark of its folder is no other process's that is about to mark it.
    with alone_in(address, folder):
        trials = study.get_trials(deepcopy=False)
        for frozen in trials:
            if frozen.state is TrialState.RUNNING and is_of(frozen, folder):
                lock = lock_run(trial_folder(folder, frozen.number))
                if lock is not None:
                    # What it had not drawn yet, it draws as it would have.
                    study.sampler = _sampler(question, seed + frozen.number)
                    return _claim(Trial(study, frozen._trial_id), question, folder, lock)
        if not _wants_another(trials, question, limit):
            return None
        # A sampler of its own a trial: the same draws in one process, and after a restart.
        begun = sum(trial.state is not TrialState.WAITING for trial in trials)
        study.sampler = _sampler(question, seed + begun)
        trial = study.ask()
        lock = lock_run(trial_folder(folder, trial.number))
        assert lock is not None, "a trial that was just begun is run by nobody"
        return _claim(trial, question, folder, lock)


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that have begun and use up the study's number.

    Those with values that no run can be built with do not, nor failed ones that are tried again.
    """
    replaced = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    return [
        trial
        for trial in trials
        if trial.state is not TrialState.WAITING
        and not trial.user_attrs.get(INVALID)
        and trial.number not in replaced
    ]


def invalid(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials with drawn values that no run can be built with."""
    return [trial for trial in trials if trial.user_attrs.get(INVALID)]


def retry_failed(study: optuna.Study, address: str | None, folder: Path) -> list[int]:
    """Queue every failed trial once more, with its values, under a new number and in a new folder.

    Anew and not from its last epoch: what made it fail, code or chance, made that epoch too. The
    old folder stays.

    Returns:
        list[int]: the numbers of those that had failed.
    """
    with alone_in(address, folder):
        failed = [
            trial
            for trial in counted(study.get_trials(deepcopy=False))
            if trial.state is TrialState.FAIL
        ]
        for trial in failed:
            kept = {key: value for key, value in trial.user_attrs.items() if key == "first"}
            study.enqueue_trial(trial.params, user_attrs={**kept, RETRY_OF: trial.number})
    return [trial.number for trial in failed]


def set_aside(name: str, address: str | None, folder: Path) -> Path | None:
    """Move a study out of the way, keeping everything; returns where it went, None if none was.

    There its trials are in its own ``study.db``, wherever they were kept before.

    Raises:
        SettingsError: some process is running it.
    """
    storage = open_storage(address, folder)
    known = name in optuna.get_all_study_names(storage)
    if not known and not (folder / "trials").exists():
        return None
    for lock_file in folder.glob("trials/*/running.lock"):
        lock = lock_run(lock_file.parent)
        if lock is None:
            raise SettingsError(
                f"{lock_file.parent.name} of study {name!r} is being run by another process: "
                "stop it before --fresh"
            )
        lock.release()
    if known:
        study = optuna.load_study(study_name=name, storage=storage)
        elsewhere = [
            trial
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
            if not is_of(trial, folder)
        ]
        if elsewhere:
            raise SettingsError(
                f"trial {elsewhere[0].number} of study {name!r} is run in another folder "
                f"{where_begun(elsewhere[0])}: end it before --fresh, or give --name another"
            )
    moment = f"{folder.name}.{datetime.now():%Y%m%d-%H%M%S}"
    names = (moment if n == 1 else f"{moment}-{n}" for n in count(1))
    aside = next(path for path in map(folder.with_name, names) if not path.exists())
    shared = is_shared(address, folder)
    if known and address is not None:
        with replacing(folder / "study.db") as copy:
            optuna.copy_study(
                from_study_name=name,
                from_storage=storage,
                to_storage=f"sqlite:///{copy}",
                to_study_name=name,
            )
        (folder / "study.json").unlink(missing_ok=True)
    shutil.move(folder, aside)
    if known and shared:
        optuna.delete_study(study_name=name, storage=storage)
    return aside


def is_of(trial: FrozenTrial, folder: Path) -> bool:
    """Whether a trial began in this folder, or died before it could say where."""
    name, begun = folder_name(folder), trial.user_attrs.get(FOLDER)
    return name is None or begun is None or begun == name


def where_begun(trial: FrozenTrial) -> str:
    """What is known of where a trial was begun, in parentheses."""
    since = f"since {trial.datetime_start:%Y-%m-%d %H:%M}" if trial.datetime_start else ""
    return f"(machine {trial.user_attrs.get('machine', 'unknown')}, {since})"


def _wants_another(trials: Sequence[FrozenTrial], question: Question, limit: int) -> bool:
    if len(counted(trials)) >= limit:
        return False
    if any(trial.state is TrialState.WAITING for trial in trials):
        return True
    # All combinations of a grid were queued. And drawing what cannot be built must have an end.
    return question.sampler != "grid" and len(invalid(trials)) < limit


def _claim(trial: Trial, question: Question, folder: Path, lock: FileLock) -> Claim:
    name = folder_name(folder)
    if name is not None:
        trial.set_user_attr(FOLDER, name)
    # For people: a restarted container is another machine.
    trial.set_user_attr("machine", socket.gethostname())
    # A trial taken up again gets the values that it was begun with.
    values = question.draw(trial)
    return Claim(trial, trial_folder(folder, trial.number), lock, values)


def _pruner(question: Question) -> optuna.pruners.BasePruner:
    pruning = question.pruning
    if not pruning.enabled or not question.trains or len(question.goals) > 1:
        return optuna.pruners.NopPruner()
    return optuna.pruners.PercentilePruner(
        100.0 * pruning.keep_share,
        n_startup_trials=pruning.startup_trials,
        # Epochs count from 1 and a trial may be pruned after its `warmup_epochs + 1`th.
        n_warmup_steps=pruning.warmup_epochs + 1,
    )


def _sampler(question: Question, seed: int) -> optuna.samplers.BaseSampler:
    if question.sampler != "tpe":
        # The trials of a grid were queued when the study began, so that nothing is left to draw.
        return optuna.samplers.RandomSampler(seed=seed)
    # A third of the trials explore before the sampler trusts what it has seen.
    startup = max(3, question.trials // 3)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
