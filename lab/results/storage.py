"""Where Optuna keeps a study, and what of it other readers need."""

import json
from pathlib import Path

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import ArgumentError

from lab.files import replacing
from lab.results.run import ResultsError

_NOTE = "study.json"


def open_storage(address: str | None, folder: Path) -> BaseStorage:
    """The storage of a study: SQLite in its folder, ``journal:FILE``, or an SQLAlchemy URL.

    Raises:
        ResultsError: an address that cannot be opened.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = f"sqlite:///{folder / 'study.db'}" if address is None else address
    try:
        if url.startswith("journal:"):
            path = Path(url.removeprefix("journal:"))
            path.parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(str(path)))
        # Several processes write: wait for a lock rather than fail.
        options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {}
        # Two processes that make the same tables at once would fail.
        with FileLock(folder / "storage.lock"):
            return RDBStorage(url, engine_kwargs=options)
    except Exception as error:
        raise ResultsError(
            f"the storage {shown_address(address)} cannot be opened: {error}. It must be "
            "journal:FILE or an SQLAlchemy URL such as sqlite:///study.db or "
            "postgresql://user@host/database"
        ) from error


def shown_address(address: str | None) -> str:
    """A storage's address as it may be shown and kept: without a password."""
    if address is None:
        return "study.db"
    try:
        return sqlalchemy.make_url(address).render_as_string(hide_password=True)
    except ArgumentError:
        return address


def note_storage(folder: Path, name: str, address: str | None) -> None:
    """Note in a study's folder where its trials are kept, for whoever reads them later."""
    if address is not None:
        with replacing(folder / _NOTE) as temporary:
            temporary.write_text(json.dumps({"name": name, "storage": shown_address(address)}))


def load_study(folder: Path, storage: str | None = None) -> optuna.Study | None:
    """Optuna's study of a folder; None where the folder has none.

    Args:
        folder: of the study.
        storage: its address where that is neither ``study.db`` in the folder nor noted there.

    Raises:
        ResultsError: it cannot be read.
    """
    name = folder.name
    if storage is None and not (folder / "study.db").exists():
        note = folder / _NOTE
        if not note.exists():
            return None
        noted = json.loads(note.read_text())
        name, storage = noted["name"], noted["storage"]
        if "***" in storage:
            raise ResultsError(
                f"the trials of {folder} are kept in {storage}: give the address with its password "
                "by --storage, or the password by the database's own means (~/.pgpass)"
            )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened = open_storage(storage, folder)
    names = optuna.get_all_study_names(opened)
    # A folder that was renamed still holds one study.
    found = name if name in names else (names[0] if len(names) == 1 else None)
    if found is None:
        raise ResultsError(f"the storage of {folder} holds no study {name!r}, but {names}")
    return optuna.load_study(study_name=found, storage=opened)


def trial_folder(folder: Path, number: int) -> Path:
    """Where a trial's run lies."""
    return folder / "trials" / f"trial-{number:03d}"


def trial_label(trial: optuna.trial.FrozenTrial) -> str:
    """What tables call a trial: by its variant where it varied nothing else, else "trial 7"."""
    if list(trial.params) == ["variant"]:
        return str(trial.params["variant"])
    return f"trial {trial.number}"
