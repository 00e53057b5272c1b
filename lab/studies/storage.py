"""Where a study is kept, and its trials shared out among processes so that none runs twice.

Each process holds an operating-system lock on the folder of the trial that it runs. A lock ends
with its process, also by ``kill -9``: a trial that counts as running but whose lock is free was
interrupted, and whoever finds it takes it up again from its last checkpoint.
"""

import json
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.storages import BaseStorage
from optuna.trial import Trial, TrialState

from lab.files import lock_run
from lab.results import trial_folder
from lab.settings import SettingsError
from lab.studies.question import Question, Value

# A trial without a mark of its machine was begun a moment ago, or its process died in that moment.
_SECONDS_TO_MARK = 60.0


@dataclass(frozen=True)
class Claim:
    """A trial that this process may run, its folder, and the lock that says so."""

    trial: Trial
    folder: Path
    lock: FileLock
    values: dict[str, Value]


def begin_study(
    name: str, question: Question, storage: BaseStorage, folder: Path, identity: Mapping[str, Any]
) -> optuna.Study:
    """Create the study, with its first trials queued, or go on with the one that is there.

    Args:
        name: of the study.
        question: what it asks.
        storage: where it is kept.
        folder: of its runs.
        identity: what must be equal for its trials to be comparable: settings, photos, epochs.

    Raises:
        SettingsError: the study there was begun with another identity; says which settings.
    """
    plain = json.loads(json.dumps(identity, default=str))
    with FileLock(folder / "study.lock"):
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
    study: optuna.Study, question: Question, folder: Path, limit: int, seed: int
) -> Claim | None:
    """Take up an interrupted trial, or begin a new one if fewer than ``limit`` have begun.

    Returns:
        Claim | None: None when there is nothing left to do.
    """
    with FileLock(folder / "study.lock"):
        begun = study.get_trials(
            deepcopy=False,
            states=(TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL),
        )
        for frozen in begun:
            if frozen.state is TrialState.RUNNING and _is_of_this_machine(frozen, folder):
                lock = lock_run(trial_folder(folder, frozen.number))
                if lock is not None:
                    # What it had not drawn yet, it draws as it would have.
                    study.sampler = _sampler(question, seed + frozen.number)
                    return _claim(Trial(study, frozen._trial_id), question, folder, lock)
        if len(begun) >= limit:
            return None
        # A sampler of its own a trial: the same draws in one process, and after a restart.
        study.sampler = _sampler(question, seed + len(begun))
        trial = study.ask()
        lock = lock_run(trial_folder(folder, trial.number))
        assert lock is not None, "a trial that was just begun is run by nobody"
        return _claim(trial, question, folder, lock)


def set_aside(name: str, storage: BaseStorage, folder: Path) -> Path | None:
    """Move a study out of the way, keeping everything; returns where it went, None if none was.

    Raises:
        SettingsError: some process is running it.
    """
    if not (folder / "study.lock").exists():
        return None
    for lock_file in folder.glob("trials/*/running.lock"):
        lock = lock_run(lock_file.parent)
        if lock is None:
            raise SettingsError(
                f"{lock_file.parent.name} of study {name!r} is being run by another process: "
                "stop it before --fresh"
            )
        lock.release()
    moment = f"{folder.name}.{datetime.now():%Y%m%d-%H%M%S}"
    names = (moment if n == 1 else f"{moment}-{n}" for n in count(1))
    aside = next(path for path in map(folder.with_name, names) if not path.exists())
    if name in optuna.get_all_study_names(storage):
        copy = f"sqlite:///{folder / 'set-aside.db'}"
        optuna.copy_study(
            from_study_name=name, from_storage=storage, to_storage=copy, to_study_name=name
        )
        optuna.delete_study(study_name=name, storage=storage)
    shutil.move(folder, aside)
    return aside


def _claim(trial: Trial, question: Question, folder: Path, lock: FileLock) -> Claim:
    trial.set_user_attr("machine", socket.gethostname())
    trial.set_user_attr("folder", str(folder.resolve()))
    # A trial taken up again gets the values that it was begun with.
    values = question.draw(trial)
    return Claim(trial, trial_folder(folder, trial.number), lock, values)


def _is_of_this_machine(frozen: optuna.trial.FrozenTrial, folder: Path) -> bool:
    machine = frozen.user_attrs.get("machine")
    if machine is None:
        assert frozen.datetime_start is not None
        age = datetime.now(UTC) - frozen.datetime_start.astimezone(UTC)
        return age > timedelta(seconds=_SECONDS_TO_MARK)
    same_folder = frozen.user_attrs.get("folder") == str(folder.resolve())
    return bool(machine == socket.gethostname() and same_folder)


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
