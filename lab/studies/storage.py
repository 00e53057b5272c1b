"""Where a study is kept, and its trials shared out among processes so that none runs twice.

Each process holds an operating-system lock on the folder of the trial that it runs. A lock ends
with its process, also by ``kill -9``: a trial that counts as running but whose lock is free was
interrupted, and whoever finds it takes it up again from its last checkpoint. That goes for the
trials of one folder, wherever it is moved to: where folders share a database, each trial carries
the name that was drawn for the folder that it began in. Of machines that do not see each other's
locks, `lab.studies.holders` says what is known.

Once every setting has been begun, those whose place is undecided are trained again from other seeds
(`lab.statistics.racing`), each as a trial of its own that says which one it repeats. What decides
are the scores on disk, so a folder races the settings that it trained.
"""

import json
import shutil
import warnings
from collections.abc import Iterable, Mapping, Sequence
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
from lab.formats.runs import is_run
from lab.heartbeats import LOST_AFTER, Watch
from lab.parsing import SettingsError
from lab.results import (
    ARTIFACTS,
    DATABASE,
    LOST_AFTER_ATTRIBUTE,
    REPEAT_OF,
    RETRY_OF,
    SEED,
    SEEDS,
    STORAGE_NOTE,
    SettingsAlone,
    alone_in,
    artifacts_of,
    check_trials,
    folder_name,
    is_shared,
    open_storage,
    put_aside,
    shown_address,
    study_of,
    trial_folder,
)
from lab.studies.holders import (
    FOLDER,
    is_of,
    is_seen,
    lost_before,
    mark,
    queue_again,
    signs_of,
    stand_in_for_lost,
    where_begun,
)
from lab.studies.question import Question, Value

INVALID = "invalid"
"""The attribute of a failed trial whose drawn values no run can be built with."""


@dataclass(frozen=True)
class Claim:
    """A trial that this process may run, its folder, and the lock that says so.

    One that trains a setting again has a ``seed``. One that stands in for trials whose machines
    were lost has their numbers, the latest first, in ``after``: it goes on from what they left.
    """

    trial: Trial
    folder: Path
    lock: FileLock
    values: dict[str, Value]
    seed: int | None = None
    after: tuple[int, ...] = ()


def begin_study(
    name: str,
    question: Question,
    address: str | None,
    folder: Path,
    identity: Mapping[str, Any],
    lost_after: float | None = None,
    artifacts: str | None = None,
) -> optuna.Study:
    """Create the study, with its first trials queued, or go on with the one that is there.

    Args:
        name: of the study.
        question: what it asks.
        address: of the storage where it is kept.
        folder: of its runs.
        identity: what must be equal for its trials to be comparable: settings, photos, epochs.
        lost_after: seconds after which a machine that gives no sign of life is lost, where several
            share the study; None for those it was begun with, or `LOST_AFTER`.
        artifacts: where files of trials come together, in a study that does not say so yet.

    Raises:
        SettingsError: the study there was begun with another identity; says which settings. Or by
            something else than a sweep, with other goals. Or with another ``lost_after``.
        ResultsError: the storage cannot be opened, or is damaged.
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
        check_trials(study, folder)
        known = study.user_attrs.get("identity")
        found = [direction.name.lower() for direction in study.directions]
        if known is None and found != question.directions:
            raise SettingsError(
                f"study {name!r} in {shown_address(address)} was not begun by lab.sweep, and has "
                f"other goals: to {' and '.join(found)}, where this question is to "
                f"{' and '.join(question.directions)}. Give this one a --name of its own, or "
                "--fresh to set the old one aside"
            )
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
            if is_shared(address, folder):
                study.set_user_attr(LOST_AFTER_ATTRIBUTE, lost_after or LOST_AFTER)
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
        if artifacts is not None and ARTIFACTS not in study.user_attrs:
            study.set_user_attr(ARTIFACTS, artifacts)
        begun = study.user_attrs.get(LOST_AFTER_ATTRIBUTE)
        if lost_after is not None and lost_after != begun:
            # Who waits for less than others beat would rob them.
            raise SettingsError(
                f"--lost-after is {lost_after:g}, but study {name!r} "
                + (
                    "is not shared by machines (no --storage outside its folder): leave it out"
                    if begun is None
                    else f"was begun with {begun:g}, which all its machines must have: leave it out"
                )
            )
        if study.user_attrs.get(SEEDS, 1) != question.seeds:
            study.set_user_attr(SEEDS, question.seeds)
    return study


def claim_trial(
    study: optuna.Study,
    question: Question,
    address: str | None,
    folder: Path,
    limit: int,
    seed: int,
    watch: Watch | None = None,
) -> Claim | None:
    """Take up an interrupted trial, or begin a new one if fewer than ``limit`` have begun.

    Where all have, train the setting again whose place another seed is most likely to decide.

    Args:
        study: Optuna's.
        question: what it asks.
        address: of the storage where it is kept.
        folder: of its runs.
        limit: how many trials it should have.
        seed: of what is drawn.
        watch: what this process has seen of other machines; trials that are lost by it are ended,
            and stood in for.

    Returns:
        Claim | None: None when there is nothing left to do.
    """
    # Alone: a trial without a mark of its folder is no other process's that is about to mark it.
    with alone_in(address, folder):
        signs = signs_of(study, address, folder)
        if signs is not None and watch is not None:
            stand_in_for_lost(study, signs, watch, folder)
        trials = study.get_trials(deepcopy=False)
        settings = SettingsAlone.of(study)
        for frozen in trials:
            if frozen.state is TrialState.RUNNING and is_seen(frozen, folder):
                lock = lock_run(trial_folder(folder, frozen.number))
                if lock is None:
                    continue
                # Whoever ran it may have ended it between the two looks.
                if study._storage.get_trial(frozen._trial_id).state is TrialState.RUNNING:
                    # What it had not drawn yet, it draws as it would have.
                    earlier = (trial for trial in trials if trial.number < frozen.number)
                    settings.sampler = _sampler(question, seed + _settings_in(earlier))
                    trial = Trial(settings, frozen._trial_id)
                    return _claim(trial, trials, question, address, folder, lock)
                lock.release()
        trials = study.get_trials(deepcopy=False)
        repeat = _waiting_repeat(trials, folder)
        if repeat is None and _wants_another(trials, question, limit):
            # A sampler of its own a trial: the same draws in one process, and after a restart.
            begun = (trial for trial in trials if trial.state is not TrialState.WAITING)
            settings.sampler = _sampler(question, seed + _settings_in(begun))
            waiting = (t.number for t in trials if t.state is TrialState.WAITING)
            number = next(waiting, len(trials))
        else:
            if repeat is None and _queue_repeat(study, question, trials, folder, seed):
                repeat = _waiting_repeat(study.get_trials(deepcopy=False), folder)
            if repeat is None:
                return None
            number = repeat.number
        # First: whose folder cannot be had does not begin.
        lock = _lock_new(trial_folder(folder, number))
        try:
            if repeat is None:
                trial = settings.ask()
                assert trial.number == number, "nobody else begins a trial meanwhile"
            else:
                study._storage.set_trial_state_values(repeat._trial_id, TrialState.RUNNING)
                trial = Trial(settings, repeat._trial_id)
            return _claim(trial, trials, question, address, folder, lock)
        except BaseException:
            lock.release()
            raise


def _lock_new(place: Path) -> FileLock:
    """Take the lock of a trial's folder that has just begun, and of whose number nothing is there.

    What an earlier study left there, whose database is gone or was begun anew on another machine,
    is moved aside: the trial would go on with another one's network.

    Raises:
        SettingsError: a process of that study still runs it.
    """
    lock = lock_run(place)
    if lock is None:
        raise SettingsError(
            f"{place} is written to by a process of an earlier study of this name: end it, and "
            "give the command again"
        )
    if not is_run(place):
        return lock
    lock.release()
    put_aside(place)
    lock = lock_run(place)
    assert lock is not None, "nobody else begins a trial meanwhile"
    return lock


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that have begun and use up the study's number.

    Those with values that no run can be built with do not, nor failed ones that are tried again,
    nor further seeds.
    """
    return [
        trial
        for trial in _begun(trials)
        if not trial.user_attrs.get(INVALID) and REPEAT_OF not in trial.user_attrs
    ]


def failed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials that failed while they ran and have not been tried again."""
    return [
        trial
        for trial in _begun(trials)
        if trial.state is TrialState.FAIL and not trial.user_attrs.get(INVALID)
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
        again = failed(study.get_trials(deepcopy=False))
        for trial in again:
            queue_again(study, trial)
    return [trial.number for trial in again]


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
        with replacing(folder / DATABASE) as copy:
            optuna.copy_study(
                from_study_name=name,
                from_storage=storage,
                to_storage=f"sqlite:///{copy}",
                to_study_name=name,
            )
        (folder / STORAGE_NOTE).unlink(missing_ok=True)
    shutil.move(folder, aside)
    if known and shared:
        optuna.delete_study(study_name=name, storage=storage)
    return aside


def _begun(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    replaced = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    return [
        trial
        for trial in trials
        if trial.state is not TrialState.WAITING and trial.number not in replaced
    ]


def _settings_in(trials: Iterable[FrozenTrial]) -> int:
    return sum(REPEAT_OF not in trial.user_attrs for trial in trials)


def _waiting_repeat(trials: Sequence[FrozenTrial], folder: Path) -> FrozenTrial | None:
    """The first further seed that waits in this folder: new, tried again, or left by the dead."""
    waiting = (
        trial
        for trial in trials
        if trial.state is TrialState.WAITING
        and REPEAT_OF in trial.user_attrs
        and is_of(trial, folder)
    )
    return next(waiting, None)


def _queue_repeat(
    study: optuna.Study,
    question: Question,
    trials: Sequence[FrozenTrial],
    folder: Path,
    seed: int,
) -> bool:
    """Queue the next seed of the setting that deserves it most; returns whether one does."""
    if question.seeds < 2:
        return False
    taken: dict[int, set[int]] = {}
    for trial in trials:
        if REPEAT_OF in trial.user_attrs:
            taken.setdefault(trial.user_attrs[REPEAT_OF], set()).add(trial.user_attrs[SEED])
    begun = {trial_folder(folder, number).name: 1 + len(seeds) for number, seeds in taken.items()}
    _, due = study_of(study, folder).race(question.seeds, begun)
    if not due:
        return False
    setting = next(t for t in trials if trial_folder(folder, t.number) == due[0].folder)
    others = taken.get(setting.number, set())
    attributes = {
        REPEAT_OF: setting.number,
        SEED: next(number for number in count(seed + 1) if number not in others),
    }
    # Where files come together, every folder has the setting's scores.
    name = folder_name(folder) if artifacts_of(study, folder) is None else None
    study.enqueue_trial(
        setting.params, user_attrs=attributes if name is None else {**attributes, FOLDER: name}
    )
    return True


def _wants_another(trials: Sequence[FrozenTrial], question: Question, limit: int) -> bool:
    if len(counted(trials)) >= limit:
        return False
    if any(
        trial.state is TrialState.WAITING and REPEAT_OF not in trial.user_attrs for trial in trials
    ):
        return True
    # All combinations of a grid were queued. And drawing what cannot be built must have an end.
    return question.sampler != "grid" and len(invalid(trials)) < limit


def _claim(
    trial: Trial,
    trials: Sequence[FrozenTrial],
    question: Question,
    address: str | None,
    folder: Path,
    lock: FileLock,
) -> Claim:
    mark(trial, address, folder)
    # A trial taken up again gets the values that it was begun with.
    values = question.draw(trial)
    return Claim(
        trial,
        trial_folder(folder, trial.number),
        lock,
        values,
        trial.user_attrs.get(SEED),
        lost_before(trials, trial),
    )


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
