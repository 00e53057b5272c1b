"""Signs of life, by which machines know of each other: of a study's trials, of one training.

A process that runs a trial has a heart: a small process of its own (`beat_on`) that notes the time
beside the trial. In a database, in the table that Optuna made for that; beside a journal, as the
time of a file. So has each machine of those that train one network, in the run's folder. Of its
own, because a thread cannot beat while a long step holds the interpreter; and it ends with the
process that it beats for, however that one ends. All times are the database's or the file server's,
in UTC: no machine's clock or time zone counts.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import sqlalchemy
from sqlalchemy import DateTime, String, cast, column, func, insert, select, table, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

LOST_AFTER = 300.0
"""Seconds without a sign of life after which a trial, or a machine, counts as lost, where nobody
says."""

# Hearts beat that often within it, and whoever finds a trial lost looks again after two beats: a
# database that was away, or whose clock was set, makes all trials look lost for a moment.
_BEATS = 10
_LOOK_AGAIN = 2.0 / _BEATS

_GONE = 3  # a heart's exit status where its trial does not run any more

_BEATEN = table("trial_heartbeats", column("trial_id"), column("heartbeat", DateTime()))
_TRIALS = table("trials", column("trial_id"), column("study_id"), column("state", String()))


@dataclass(frozen=True)
class Sign:
    """The last sign of life of a running trial: when, and how many seconds ago."""

    beat: datetime
    age: float


class SignsOfLife(Protocol):
    """Where the machines that share a study note which of its trials live."""

    def begin(self, trial: int) -> None:
        """Note the first sign of a trial, by its id."""

    def beat(self, trial: int) -> bool:
        """Note that a trial's process lives, now.

        Returns:
            bool: whether the trial is running; nothing is noted of one that is not.

        Raises:
            SQLAlchemyError, OSError: what keeps the signs is away.
        """

    def end(self, trial: int) -> None:
        """Tell a trial's heart, if one beats on, that the trial has ended."""

    def of(self, trials: Collection[int]) -> dict[int, Sign]:
        """The last sign of each of these running trials that ever gave one."""

    def order(self) -> dict[str, str]:
        """What `_signs_by` finds the same place by, in another process; it may hold a password."""


class SignsInDatabase:
    """Signs in the table that Optuna made for them, by the database's clock.

    Args:
        engine: of the study's database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, trial: int) -> None:
        """Note the first sign of a trial."""
        self.beat(trial)

    def beat(self, trial: int) -> bool:
        """Note that a trial's process lives; False where the trial is not running."""
        running = select(_TRIALS.c.trial_id).where(_TRIALS.c.trial_id == trial, _is_running())
        with self._engine.begin() as connection:
            if connection.execute(running).first() is None:
                return False
            now = _now(connection)
            noted = update(_BEATEN).where(_BEATEN.c.trial_id == trial).values(heartbeat=now)
            if not connection.execute(noted).rowcount:
                connection.execute(insert(_BEATEN).values(trial_id=trial, heartbeat=now))
        return True

    def end(self, trial: int) -> None:
        """The state of the trial says it."""

    def of(self, trials: Collection[int]) -> dict[int, Sign]:
        """The last sign of each of these trials that is running and ever gave one."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(_BEATEN.c.trial_id, _BEATEN.c.heartbeat, _now(connection))
                .join(_TRIALS, _TRIALS.c.trial_id == _BEATEN.c.trial_id)
                .where(_BEATEN.c.trial_id.in_(list(trials)), _is_running())
            ).all()
        return {trial: Sign(at, (now - at).total_seconds()) for trial, at, now in rows}

    def order(self) -> dict[str, str]:
        """The database's address."""
        return {"url": self._engine.url.render_as_string(hide_password=False)}


class SignsInFolder:
    """Signs as the times of files, a file each: of a study kept in a journal, and of machines.

    The times are the file server's: it stamps a file whose time is set to "now", and what is asked
    "now" is the stamp of one more file. A file is opened before its time is read, since network
    file systems then ask the server, and otherwise may answer from memory.

    Args:
        folder: of these files; all machines reach it.
        kind: what gives the signs: what is told here as a trial's id is the number of one of these.
    """

    def __init__(self, folder: Path, kind: str = "trial") -> None:
        self._folder = folder
        self._kind = kind

    def begin(self, trial: int) -> None:
        """Note the first sign of a trial."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._stamp(self._file(trial))

    def beat(self, trial: int) -> bool:
        """Note that a trial's process lives; False where somebody took its file away."""
        try:
            os.utime(self._file(trial))
        except FileNotFoundError:
            if not self._folder.is_dir():
                raise  # the file system is away, and not the trial
            return False
        return True

    def end(self, trial: int) -> None:
        """Take the trial's file away, by which a heart that beats on sees it."""
        self._file(trial).unlink(missing_ok=True)

    def of(self, trials: Collection[int]) -> dict[int, Sign]:
        """The last sign of each of these trials that ever gave one."""
        times = {}
        for trial in trials:
            with suppress(FileNotFoundError):
                times[trial] = _time_of(self._file(trial))
        if not times:
            return {}
        clock = self._folder / "clock"
        self._stamp(clock)
        now = _time_of(clock)
        return {trial: Sign(at, (now - at).total_seconds()) for trial, at in times.items()}

    def clear(self) -> None:
        """Take the folder away, unless somebody still gives signs in it."""
        (self._folder / "clock").unlink(missing_ok=True)
        with suppress(OSError):
            self._folder.rmdir()

    def order(self) -> dict[str, str]:
        """The folder."""
        return {"folder": str(self._folder.absolute()), "kind": self._kind}

    def _file(self, trial: int) -> Path:
        return self._folder / f"{self._kind}-{trial}"

    def _stamp(self, file: Path) -> None:
        file.touch()
        os.utime(file)


def _signs_by(order: Mapping[str, str]) -> SignsOfLife:
    """The signs of life at a place, by what its ``order`` said; for one heart."""
    if "folder" in order:
        return SignsInFolder(Path(order["folder"]), order["kind"])
    # A connection a beat: hundreds of hearts leave the server its places, and one that was
    # restarted is found again. None may hang for ever in a network that went away.
    arguments: dict[str, Any] = {}
    # Options of PostgreSQL's own library, which these drivers take.
    if order["url"].startswith(("postgresql+psycopg:", "postgresql+psycopg2:")):
        arguments = {"connect_timeout": 10, "tcp_user_timeout": 10_000}
    engine = sqlalchemy.create_engine(order["url"], poolclass=NullPool, connect_args=arguments)
    return SignsInDatabase(engine)


def _time_of(file: Path) -> datetime:
    with open(file, "rb") as opened:
        return datetime.fromtimestamp(os.fstat(opened.fileno()).st_mtime, UTC)


@dataclass
class Watch:
    """What one process has seen of the signs of life in a study.

    Args:
        lost_after: seconds without one after which a trial is lost.
    """

    lost_after: float = LOST_AFTER
    _seen: dict[int, tuple[datetime, float]] = field(default_factory=dict)
    _since: dict[int, datetime] = field(default_factory=dict)

    @property
    def interval(self) -> float:
        """Seconds between two beats."""
        return self.lost_after / _BEATS

    def look(self, signs: Mapping[int, Sign]) -> set[int]:
        """Take the signs of life there are now; returns the ids of the trials that are lost.

        A trial is lost where its last sign is older than ``lost_after``, and where it gave none in
        the two beats since this process first saw that very sign.
        """
        now = time.monotonic()
        for trial, sign in signs.items():
            before = self._seen.get(trial)
            if before is None or before[0] != sign.beat:
                self._seen[trial] = (sign.beat, now)
        self._seen = {trial: seen for trial, seen in self._seen.items() if trial in signs}
        return {
            trial
            for trial, sign in signs.items()
            if sign.age > self.lost_after
            and now - self._seen[trial][1] >= self.lost_after * _LOOK_AGAIN
        }

    def begin_waiting(self) -> None:
        """From now on, wait for a sign of every trial."""
        self._since = {trial: at for trial, (at, _) in self._seen.items()}

    def waits_for(self, alive: Iterable[int] = ()) -> set[int]:
        """The trials that gave no sign since `begin_waiting`, and are not known to be alive."""
        known = {trial: seen[0] for trial, seen in self._seen.items()}
        silent = {trial for trial, at in self._since.items() if known.get(trial) == at}
        return silent - set(alive)


class Heart:
    """Beats for a trial while this process lives.

    Attributes:
        failures: how often the process that beats ended by itself.

    Args:
        signs: where it beats.
        trial: its id there.
        interval: seconds between two beats.
    """

    def __init__(self, signs: SignsOfLife, trial: int, interval: float) -> None:
        # No other process can read it on its way: it may hold a password.
        self._order = json.dumps({**signs.order(), "trial": trial, "interval": interval})
        self._interval = interval
        self._process: subprocess.Popen[str] | None = None
        self._started = 0.0
        self.failures = 0

    def __enter__(self) -> "Heart":
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()

    def beats(self) -> bool:
        """Whether the trial runs as far as the heart knows; cheap enough for every step.

        A heart that somebody killed is replaced.
        """
        assert self._process is not None
        status = self._process.poll()
        if status == _GONE:
            return False
        if status is not None and time.monotonic() - self._started > self._interval:
            self.failures += status > 0
            self._start()
        return True

    def begin_again(self) -> None:
        """Beat again, after the trial was not to be found."""
        self._start()

    def _start(self) -> None:
        self._started = time.monotonic()
        # A group of its own: what stops or interrupts this process by its terminal leaves the heart
        # alone. The address goes by a pipe, because arguments are for all to see.
        group: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
        places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
        self._process = subprocess.Popen(
            [sys.executable, "-c", "import sys, lab.heartbeats as h; sys.exit(h.beat_on())"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            **group,
        )
        assert self._process.stdin is not None
        with suppress(OSError):  # killed already: `beats` sees it
            self._process.stdin.write(self._order + "\n")
            self._process.stdin.flush()


def kernel() -> str:
    """By what a machine is known until it is started anew.

    Two processes under one kernel see each other's locks, in containers too; of others, nobody
    knows: file systems that machines share keep locks, or say so, or do not.
    """
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _is_running() -> sqlalchemy.ColumnElement[bool]:
    # PostgreSQL has a type of its own for states.
    return cast(_TRIALS.c.state, String(20)) == "RUNNING"


def _now(connection: Connection) -> sqlalchemy.ColumnElement[datetime]:
    """The database's time in UTC, whatever time zone it or this machine is set to."""
    kind = connection.dialect.name
    if kind == "postgresql":
        return func.timezone("UTC", func.clock_timestamp(), type_=DateTime())
    if kind in ("mysql", "mariadb"):
        return func.utc_timestamp(type_=DateTime())
    return func.current_timestamp(type_=DateTime())  # SQLite's is in UTC


def beat_on() -> int:
    """Be a heart: beat until the process that started this one is gone, or its trial is."""
    parent = os.getppid()
    order = json.loads(sys.stdin.readline())

    def end_with_the_parent() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_the_parent, daemon=True).start()
    interval = order["interval"]
    signs = _signs_by(order)
    # Loader processes may hold the pipe of a parent that was killed.
    while os.getppid() == parent:
        pause = interval
        try:
            if not signs.beat(order["trial"]):
                return _GONE
        except (SQLAlchemyError, OSError):
            pause = min(interval, 5.0)
        time.sleep(pause)
    return 0
