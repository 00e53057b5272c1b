"""Where Optuna keeps a study, who may take its trials, and what of it other readers need."""

import json
import os
import random
import re
import secrets
import shutil
import sqlite3
import time
import warnings
from collections.abc import Container, Iterator
from contextlib import ExitStack, closing, contextmanager
from copy import copy
from datetime import datetime
from errno import ENOSPC
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import URL, Engine
from sqlalchemy.pool import NullPool

from lab.files import lock_of, lock_open_file, make_folder, replacing
from lab.formats.plain import read_json
from lab.results.run import ResultsError
from lab.untrusted import open_regular

FOLDER = "study_folder"
"""The attribute of a trial that says in which folder it began, by `folder_name`."""

RETRY_OF = "retry_of"
"""The attribute of a trial that stands in for a failed one: that one's number."""

REPEAT_OF = "repeat_of"
"""The attribute of a trial that trains another one's setting again: that one's number."""

SEED = "seed"
"""The attribute of such a trial that says from which seed."""

LOST_AFTER_ATTRIBUTE = "lost_after"
"""The attribute of a study that machines share: seconds without a sign of life, then a trial is
lost."""

SEEDS = "seeds"
"""The attribute of a study that says how many seeds a setting may have."""

DATABASE = "study.db"
"""In a study's folder: Optuna's database, unless `STORAGE_NOTE` says where it lies."""

STORAGE_NOTE = "study.json"
"""In a study's folder: where its database lies, if it is not beside it."""

_JOURNAL = "journal:"

# A machine that stops while it is alone in a study would hold all others up.
_SECONDS_ALONE = 300

# What goes to a server: asked for a sign while an epoch is silent, because networks forget who is;
# given up where nothing arrives for as long as a machine may be silent before it is lost.
_OVER_A_NETWORK = {
    "connect_timeout": 30,
    "keepalives_idle": 60,
    "keepalives_interval": 30,
    "keepalives_count": 8,
    "tcp_user_timeout": 300_000,
}
_LONGEST_LINE = 2**20

# Also in what is no address yet, because of a mistake in it.
_PASSWORDS = (
    re.compile(
        r"(?P<before>^(?!journal:|sqlite)([\w+]*:?//)?[^:/@]*:)(?P<secret>(?!//).*)(?P<after>@)"
    ),
    re.compile(r"(?P<before>[?&]\w*pass\w*=)(?P<secret>[^&]*)(?P<after>)", re.IGNORECASE),
)

# Of several machines that make the same tables in an empty database, all but one fail, and try
# again.
_TRIES = 20
_MADE_MEANWHILE = re.compile("already exists|duplicate|unique constraint", re.IGNORECASE)


class SettingsAlone(optuna.Study):
    """A study in which every setting is one trial, its values the means over its seeds.

    What draws from earlier trials, ends one that falls behind, or shows what an option did, must
    not take a setting that was repeated for several.
    """

    @classmethod
    def of(cls, study: optuna.Study) -> "SettingsAlone":
        """The same study, in the same storage."""
        return cls(study.study_name, study._storage, pruner=study.pruner)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        trials = super()._get_trials(deepcopy, None, use_cache)
        values: dict[int, list[list[float]]] = {}
        for trial in trials:
            if trial.state is TrialState.COMPLETE:
                setting = trial.user_attrs.get(REPEAT_OF, trial.number)
                values.setdefault(setting, []).append(trial.values)
        found = []
        for trial in trials:
            if REPEAT_OF in trial.user_attrs or (states is not None and trial.state not in states):
                continue
            seeds = values.get(trial.number, [])
            if len(seeds) > 1:
                # The storage's own stays as it is.
                trial = copy(trial)
                trial.values = [sum(goal) / len(goal) for goal in zip(*seeds, strict=True)]
            found.append(trial)
        return found


class _WholeLines(JournalFileBackend):
    """Optuna's journal, which ends in a whole line also after a full disk.

    The next line would else be glued to half a one, and the file could not be read any more.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add lines, or nothing."""
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        try:
            self._append(lines)
        except OSError as error:
            # A lock that was lost over NFS is an error without a name.
            error.filename = error.filename or self._file_path
            raise

    def _append(self, lines: bytes) -> None:
        # Not made anew where somebody took it away: the trials would be gone without a word.
        with ExitStack() as held:
            file = held.enter_context(open(self._file_path, "r+b", buffering=0))
            # Optuna's own lock is broken after 30 seconds: a machine that was away for longer, or
            # stopped, would come back and cut off what others wrote meanwhile.
            if not lock_open_file(file):
                held.enter_context(get_lock_file(self._lock))
            start = max(0, file.seek(0, os.SEEK_END) - _LONGEST_LINE)
            file.seek(start)
            end = start + file.read().rfind(b"\n") + 1
            file.truncate(end)
            file.seek(end)
            if file.write(lines) < len(lines):
                file.truncate(end)
                raise OSError(ENOSPC, os.strerror(ENOSPC), self._file_path)
            os.fsync(file.fileno())


def open_storage(address: str | None, folder: Path) -> BaseStorage:
    """The storage of a study: SQLite in its folder, ``journal:FILE``, or an SQLAlchemy URL.

    Raises:
        ResultsError: an address that cannot be opened.
        OSError: the folder cannot be made.
    """
    make_folder(folder)
    try:
        if address is not None and address.startswith(_JOURNAL):
            path = Path(address.removeprefix(_JOURNAL))
            make_folder(path.parent)
            return JournalStorage(_WholeLines(str(path)))
        # Two processes that make the same tables at once would fail.
        with lock_of(folder / "storage.lock"):
            return _open_database(database_url(address, folder))
    except Exception as error:
        raise ResultsError(
            f"the storage {shown_address(address)} cannot be opened: "
            f"{_in_one_line(error, address)}. It must be journal:FILE or an SQLAlchemy URL such as "
            "sqlite:///study.db or postgresql://user@host/database"
        ) from None


def _open_database(url: URL) -> RDBStorage:
    if url.get_backend_name() == "sqlite":
        # Several processes write: wait for a lock rather than fail.
        options: dict[str, Any] = {"connect_args": {"timeout": 60}}
    else:
        # An epoch is long, and the server may have ended the connection meanwhile.
        options = {"pool_pre_ping": True, "connect_args": _connection(url)}
    for attempt in count(1):
        try:
            return RDBStorage(url.render_as_string(hide_password=False), engine_kwargs=options)
        except Exception as error:
            if attempt == _TRIES or not _MADE_MEANWHILE.search(f"{error} {error.__cause__}"):
                raise
            time.sleep(random.uniform(0.05, 0.5))
    raise AssertionError("the last attempt returns or raises")


def _connection(url: URL) -> dict[str, Any]:
    """How a database is connected to, beside its address; what that says itself comes first."""
    # Options of PostgreSQL's own library, which these drivers take.
    if url.drivername not in ("postgresql+psycopg", "postgresql+psycopg2"):
        return {}
    return {name: value for name, value in _OVER_A_NETWORK.items() if name not in url.query}


def database_of(study: optuna.Study) -> Engine | None:
    """The database of an open study; None where a journal keeps it."""
    storage = getattr(study._storage, "_backend", study._storage)
    return storage.engine if isinstance(storage, RDBStorage) else None


def database_url(address: str | None, folder: Path) -> URL:
    """The address of a study's database for SQLAlchemy, the folder's own where there is none.

    Raises:
        ValueError: it is none.
    """
    if address is None:
        return URL.create("sqlite", database=str(folder / DATABASE))
    password = _PASSWORDS[0].search(address)
    if password is not None and re.search("[@/]", password["secret"]):
        raise ValueError("its password has an @ or a /: write them as %40 and %2F")
    url = sqlalchemy.make_url(address)
    # SQLAlchemy would take a driver that is not the one pinned here.
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def shown_address(address: str | None) -> str:
    """A storage's address as it may be shown and kept: without a password."""
    if address is None:
        return DATABASE
    for pattern in _PASSWORDS:
        address = pattern.sub(r"\g<before>***\g<after>", address)
    return address


def _in_one_line(error: Exception, address: str | None) -> str:
    said = " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(".")
    for pattern in _PASSWORDS:
        for found in pattern.finditer(address or ""):
            for secret in {found["secret"], unquote(found["secret"])} - {""}:
                said = said.replace(secret, "***")
    return said


def note_storage(
    folder: Path, name: str, address: str | None, artifacts: str | None = None
) -> None:
    """Note in a study's folder where its trials are kept, for whoever reads them later.

    And where files of trials come together, as this machine reaches it.

    Where other folders may share that database, also a name drawn for this one: trials that begin
    here carry it, and are known again by it wherever the folder goes.
    """
    if address is None:
        return
    with lock_of(folder / "study.lock"):
        noted = _read_note(folder) or {}
        drawn = noted.get("folder") or secrets.token_hex(8)
        note = {
            "name": name,
            "storage": shown_address(address),
            "folder": drawn if is_shared(address, folder) else None,
        }
        artifacts = artifacts or noted.get("artifacts")
        if artifacts is not None:
            note["artifacts"] = artifacts
        if note != noted:
            with replacing(folder / STORAGE_NOTE) as temporary:
                temporary.write_text(json.dumps(note) + "\n")


def folder_name(folder: Path) -> str | None:
    """By what trials of this folder are known in a database that other folders may share.

    None where the database is the folder's own: every trial is.
    """
    return (_read_note(folder) or {}).get("folder")


def noted_artifacts(folder: Path) -> str | None:
    """Where the files of trials come together, where the folder notes that."""
    return (_read_note(folder) or {}).get("artifacts")


def _read_note(folder: Path) -> dict[str, Any] | None:
    path = folder / STORAGE_NOTE
    try:
        noted = read_json(path)
    except FileNotFoundError:
        return None
    except ValueError:
        noted = None
    if (
        not isinstance(noted, dict)
        or not all(isinstance(noted.get(name), str) for name in ("name", "storage"))
        or not all(isinstance(noted.get(name, ""), str | None) for name in ("folder", "artifacts"))
    ):
        raise ResultsError(f"{path} is damaged: remove it, and give --storage")
    return noted


@contextmanager
def alone_in(address: str | None, folder: Path) -> Iterator[None]:
    """While this is held, nobody else begins the study or takes a trial of it.

    Neither in this folder nor in another that shares its database. Locks of the operating system
    and of the database, which end with their process.
    """
    with ExitStack() as held:
        held.enter_context(lock_of(folder / "study.lock"))
        if address is not None and is_shared(address, folder):
            file = database_file(address, folder)
            if file is not None:
                held.enter_context(lock_of(f"{file}.study-lock"))
            else:
                url = database_url(address, folder)
                engine = sqlalchemy.create_engine(
                    url, poolclass=NullPool, connect_args=_connection(url)
                )
                connection = held.enter_context(engine.begin())
                if connection.dialect.name == "postgresql":
                    connection.execute(
                        sqlalchemy.text(
                            f"SET LOCAL idle_in_transaction_session_timeout = '{_SECONDS_ALONE}s'"
                        )
                    )
                # A row that Optuna wrote when it made the tables, and that nobody changes.
                connection.execute(sqlalchemy.text("SELECT * FROM version_info FOR UPDATE"))
        yield


def is_shared(address: str | None, folder: Path) -> bool:
    """Whether other folders may use the same database: it does not lie in this one."""
    if address is None:
        return False
    file = database_file(address, folder)
    return file is None or not file.resolve().is_relative_to(folder.resolve())


def database_file(address: str | None, folder: Path) -> Path | None:
    """The file in which a study is kept; None where a server keeps it."""
    if address is None:
        return folder / DATABASE
    if address.startswith(_JOURNAL):
        return Path(address.removeprefix(_JOURNAL))
    url = sqlalchemy.make_url(address)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def is_study_folder(folder: Path) -> bool:
    """Whether `lab.sweep` keeps a study in a folder, or notes there where it does."""
    return (folder / DATABASE).exists() or (folder / STORAGE_NOTE).exists()


def load_study(folder: Path, storage: str | None = None) -> optuna.Study | None:
    """Optuna's study of a folder; None where the folder has none.

    Args:
        folder: of the study.
        storage: its address where that is neither ``study.db`` in the folder nor noted there.

    Raises:
        ResultsError: it cannot be read.
    """
    name = folder.name
    if storage is None and not (folder / DATABASE).exists():
        noted = _read_note(folder)
        if noted is None:
            return None
        name, storage = noted["name"], noted["storage"]
        if "***" in storage:
            raise ResultsError(
                f"the trials of {folder} are kept in {storage}: give the address with its password "
                "by --storage, or the password by the database's own means (~/.pgpass)"
            )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    _refuse_no_storage(storage, folder)
    opened = open_storage(storage, folder)
    names = optuna.get_all_study_names(opened)
    # A folder that was renamed still holds one study.
    found = name if name in names else (names[0] if len(names) == 1 else None)
    if found is None:
        raise ResultsError(f"the storage of {folder} holds no study {name!r}, but {names}")
    study = optuna.load_study(study_name=found, storage=opened)
    check_trials(study, folder)
    return study


def _refuse_no_storage(address: str | None, folder: Path) -> None:
    """Refuse to read trials where none are kept: a folder from somebody else may name any file.

    Optuna makes what it does not find: tables in another program's database, files and folders.

    Raises:
        ResultsError: a file that is not there, no file, or no storage of Optuna's.
    """
    try:
        file = database_file(address, folder)
        if file is None:
            return
        open_regular(file).close()
        if address is not None and address.startswith(_JOURNAL):
            return
        with closing(sqlite3.connect(file)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if ("studies",) not in tables.fetchall():
                raise ValueError("it holds no study")
    except (OSError, ValueError, sqlalchemy.exc.ArgumentError, sqlite3.Error) as error:
        raise ResultsError(
            f"the trials of {folder} cannot be read from {shown_address(address)} "
            f"({_in_one_line(error, address)}): put it back as it was, or give --storage"
        ) from error


def check_trials(study: optuna.Study, folder: Path) -> None:
    """Look once at every trial of a study, for what no trial is.

    Raises:
        ResultsError: the database is damaged, where it opens all the same.
    """
    try:
        study.get_trials(deepcopy=False)
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        raise ResultsError(
            f"the trials of {folder} are damaged ({_in_one_line(error, None)}): put their database "
            "back as it was. Runs in it can still be opened one by one"
        ) from error


def trial_folder(folder: Path, number: int) -> Path:
    """Where a trial's run lies."""
    return folder / "trials" / f"trial-{number:03d}"


def put_aside(place: Path) -> None:
    """Move a run that another study left in a trial's folder out of its way, keeping everything."""
    aside = place.parents[1] / f"of-another-study.{datetime.now():%Y%m%d-%H%M%S}"
    make_folder(aside)
    shutil.move(place, aside / place.name)
    warnings.warn(f"{place} was another study's: it is in {aside} now", stacklevel=3)


def trial_label(trial: FrozenTrial) -> str:
    """What tables call a trial: by its variant where it varied nothing else, else "trial 7"."""
    varied = [name for name, space in trial.distributions.items() if not space.single()]
    if varied == ["variant"]:
        return str(trial.params["variant"])
    return f"trial {trial.number}"
