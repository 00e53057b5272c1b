"""Who holds a trial: the folder and machine that run it, and what is known of their lives.

Under one kernel, the lock of a trial's folder says at once whether its process lives. Of other
machines, the signs of life beside a shared study do (`lab.heartbeats`). A trial without one for so
long is lost: it ends as failed, and another trial with its values stands in for it, in a folder of
its own. So the storage itself holds back a machine that was taken for lost and comes back: what it
tells of an ended trial is refused, and no file has two writers.
"""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from lab.checks import UserError
from lab.files import lock_run
from lab.heartbeats import (
    LOST_AFTER,
    Heart,
    SignsInDatabase,
    SignsInFolder,
    SignsOfLife,
    Watch,
    kernel,
)
from lab.results import (
    ARTIFACTS,
    FOLDER,
    LOST_AFTER_ATTRIBUTE,
    REPEAT_OF,
    RETRY_OF,
    SEED,
    database_file,
    database_of,
    folder_name,
    is_shared,
    trial_folder,
)

EPOCHS = "epochs"
"""The attribute of a trial that says how many epochs it has."""

GIVEN_UP = "given_up"
"""The attribute of a trial whose process was interrupted: others need not wait for a sign of it."""

_MACHINE = "machine"  # for people: a restarted container is another machine
_KERNEL = "kernel"
_LOST = "lost"

# What a trial that is tried again has in common with the one before it.
_KEPT = ("first", REPEAT_OF, SEED)

# What is lost that often may be what ends the machines.
_MOST_LOSSES = 3


# So often a heart may end by itself.
_MOST_FAILURES = 3


class TrialLostError(UserError):
    """The trial was taken for lost: it has ended, and another one stands in for it."""


def is_of(trial: FrozenTrial, folder: Path) -> bool:
    """Whether a trial began in this folder, or died before it could say where."""
    name, begun = folder_name(folder), trial.user_attrs.get(FOLDER)
    return name is None or begun is None or begun == name


def is_seen(trial: FrozenTrial, folder: Path) -> bool:
    """Whether the lock of a trial's folder says if its process lives.

    It is a trial of this folder, and began under this kernel, or where no machine gives signs.
    """
    return is_of(trial, folder) and trial.user_attrs.get(_KERNEL, kernel()) == kernel()


def where_begun(trial: FrozenTrial) -> str:
    """What is known of where a trial was begun, in parentheses."""
    since = f"since {trial.datetime_start:%Y-%m-%d %H:%M}" if trial.datetime_start else ""
    return f"(machine {trial.user_attrs.get(_MACHINE, 'unknown')}, {since})"


def mark(trial: Trial, address: str | None, folder: Path) -> None:
    """Note in a trial that this folder and machine hold it; its first sign of life, too."""
    signs = signs_of(trial.study, address, folder)
    if signs is not None:
        signs.begin(trial._trial_id)
        trial.set_user_attr(_KERNEL, kernel())
        if trial.user_attrs.get(GIVEN_UP):
            trial.set_user_attr(GIVEN_UP, False)
    name = folder_name(folder)
    if name is not None:
        trial.set_user_attr(FOLDER, name)
    trial.set_user_attr(_MACHINE, socket.gethostname())


def signs_of(study: optuna.Study, address: str | None, folder: Path) -> SignsOfLife | None:
    """Where the machines that share a study note that they live; None where it is not shared."""
    if not is_shared(address, folder):
        return None
    database = database_of(study)
    if database is not None:
        return SignsInDatabase(database)
    journal = database_file(address, folder)
    assert journal is not None, "what is no database is a file"
    return SignsInFolder(Path(f"{journal}.signs-of-life") / f"study-{study._study_id}")


def watch_of(study: optuna.Study, address: str | None, folder: Path) -> Watch | None:
    """What is to be seen of other machines; None where no others share the study."""
    if not is_shared(address, folder):
        return None
    return Watch(study.user_attrs.get(LOST_AFTER_ATTRIBUTE, LOST_AFTER))


def stand_in_for_lost(study: optuna.Study, signs: SignsOfLife, watch: Watch, folder: Path) -> None:
    """End the trials that are lost, and queue what stands in for them; the caller is alone."""
    running = {
        trial._trial_id: trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        if not is_seen(trial, folder)
    }
    seen = signs.of(running)
    for number in watch.look(seen):
        if _end_lost(
            study,
            running[number],
            folder,
            f"gave no sign of life for {seen[number].age:.0f} seconds",
        ):
            signs.end(number)
    for number, trial in running.items():
        # Elsewhere it would begin anew, where its own machine may come back.
        is_reachable = is_of(trial, folder) or ARTIFACTS in study.user_attrs
        if trial.user_attrs.get(GIVEN_UP) and is_reachable:
            if _end_lost(study, trial, folder, "was interrupted"):
                signs.end(number)
    # Also what somebody ended who was killed before this.
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get(RETRY_OF) for trial in trials}
    for trial in trials:
        if trial.state is TrialState.FAIL and trial.user_attrs.get(_LOST):
            if trial.number not in again and _fruitless_losses(trials, trial) < _MOST_LOSSES:
                queue_again(study, trial)


def _fruitless_losses(trials: Sequence[FrozenTrial], trial: FrozenTrial) -> int:
    """How often in a row a trial was lost without an epoch more; interruptions are none."""
    losses = 0
    while True:
        losses += not trial.user_attrs.get(GIVEN_UP)
        before = trial.user_attrs.get(RETRY_OF)
        if before is None or not trials[before].user_attrs.get(_LOST):
            return losses
        if trial.user_attrs.get(EPOCHS, 0) > trials[before].user_attrs.get(EPOCHS, 0):
            return losses
        trial = trials[before]


def _end_lost(study: optuna.Study, trial: FrozenTrial, folder: Path, why: str) -> bool:
    """End the trial of a machine that is gone; False where a lock says that its process lives."""
    lock = None
    if is_of(trial, folder):
        # Machines may share a folder, and see each other's locks in it, or not.
        lock = lock_run(trial_folder(folder, trial.number))
        if lock is None:
            return False
    machine = trial.user_attrs.get(_MACHINE, "unknown")
    try:
        storage, number = study._storage, trial._trial_id
        storage.set_trial_user_attr(number, _LOST, True)
        storage.set_trial_user_attr(number, "reason", f"machine {machine} {why}")
        storage.set_trial_state_values(number, TrialState.FAIL)
    except UpdateFinishedTrialError:
        pass  # it has just told its result
    finally:
        if lock is not None:
            lock.release()
    return True


def queue_again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue a failed trial once more, with its values, under a new number."""
    # Another seed belongs where its setting's scores are: everywhere, where files come together.
    bound = REPEAT_OF in trial.user_attrs and ARTIFACTS not in study.user_attrs
    known = (*_KEPT, FOLDER) if bound else _KEPT
    kept = {key: value for key, value in trial.user_attrs.items() if key in known}
    study.enqueue_trial(trial.params, user_attrs={**kept, RETRY_OF: trial.number})


def lost_before(trials: Sequence[FrozenTrial], trial: Trial) -> tuple[int, ...]:
    """The lost trials that a trial stands in for, the latest first."""
    return _losses_before(trials, trial.user_attrs.get(RETRY_OF))


def _losses_before(trials: Sequence[FrozenTrial], number: int | None) -> tuple[int, ...]:
    numbers: list[int] = []
    while number is not None and trials[number].user_attrs.get(_LOST):
        numbers.append(number)
        number = trials[number].user_attrs.get(RETRY_OF)
    return tuple(numbers)


class Hold:
    """A trial that this process runs, for as long as nobody has taken it for lost."""

    def __init__(
        self,
        study: optuna.Study,
        trial: Trial,
        heart: Heart | None = None,
        signs: SignsOfLife | None = None,
    ) -> None:
        self._study = study
        self._trial = trial
        self._heart = heart
        self._signs = signs

    def glance(self) -> None:
        """Look whether the heart beats; for every step.

        Raises:
            TrialLostError: the heart knows that the trial has ended.
            UserError: no heart can beat here, and others would take this machine for lost.
        """
        if self._heart is None:
            return
        if self._heart.failures >= _MOST_FAILURES:
            raise UserError(
                "the process by which other machines know that this one lives cannot run here: see "
                "what python -c 'import lab.heartbeats' says, and whether the driver that the "
                "storage's address names is installed"
            )
        if self._heart.beats():
            return
        self.check()
        # Its sign was taken away, and it was not ended.
        assert self._signs is not None
        self._signs.begin(self._trial._trial_id)
        self._heart.begin_again()

    def check(self) -> None:
        """Ask the storage; before anything is written.

        Raises:
            TrialLostError: the trial has ended.
        """
        if self._heart is None:
            return
        found = self._study._storage.get_trial(self._trial._trial_id)
        if found.state is not TrialState.RUNNING:
            why = found.user_attrs.get("reason", "somebody ended it")
            raise TrialLostError(f"taken for lost and ended: {why}")

    def give_up(self) -> None:
        """Let others go on with it at once."""
        if self._heart is not None:
            with suppress(UpdateFinishedTrialError):
                self._study._storage.set_trial_user_attr(self._trial._trial_id, GIVEN_UP, True)

    def tell(self, values: Sequence[float] | None = None, state: TrialState | None = None) -> None:
        """Tell how the trial ended.

        Raises:
            TrialLostError: it had ended before.
        """
        self.check()
        try:
            self._study.tell(self._trial.number, values, state=state)
        except (ValueError, UpdateFinishedTrialError):
            self.check()
            raise
        if self._signs is not None:
            self._signs.end(self._trial._trial_id)


@contextmanager
def holding(study: optuna.Study, trial: Trial, address: str | None, folder: Path) -> Iterator[Hold]:
    """Hold a trial and give signs of life of it, where other machines look for them.

    Raises:
        TrialLostError: the body wrote to a trial that had been ended meanwhile.
    """
    signs, watch = signs_of(study, address, folder), watch_of(study, address, folder)
    if signs is None or watch is None:
        yield Hold(study, trial)
        return
    with Heart(signs, trial._trial_id, watch.interval) as heart:
        hold = Hold(study, trial, heart, signs)
        try:
            yield hold
        except UpdateFinishedTrialError:
            hold.check()
            raise
