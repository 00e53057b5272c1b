"""How the files of a study's trials come together where machines share no folder.

Each machine puts what its trials leave into an artifact store of Optuna's, a folder that all can
reach or a bucket, and notes it in the study the way Optuna does, so that Optuna Dashboard shows it.
Whoever reads the study fetches what is not here yet. A trial's files in the store: its tables and
settings, an archive of pictures and a network an epoch, ``last.ckpt`` and ``unfinished.ckpt``, from
which another machine goes on, and a few pictures of the last epoch for the dashboard. What is noted
is whole: the file is written first.
"""

import io
import json
import re
import secrets
import shutil
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from uuid import uuid4

import optuna
from optuna.artifacts import (
    ArtifactMeta,
    Boto3ArtifactStore,
    FileSystemArtifactStore,
    get_all_artifact_meta,
)
from optuna.artifacts._protocol import ArtifactStore
from optuna.artifacts._upload import ARTIFACTS_ATTR_PREFIX
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import FrozenTrial

from lab.faults import EnvironmentFaultError
from lab.files import lock_run, replacing
from lab.formats.plain import read_json
from lab.formats.runs import (
    LOSSES,
    RECORD,
    SCORES,
    SETTINGS,
    checkpoint_path,
    is_run,
    last_checkpoint,
    read_record,
    unfinished_checkpoint,
    write_record,
)
from lab.results.run import ResultsError
from lab.results.storage import FOLDER, folder_name, noted_artifacts, put_aside, trial_folder
from lab.untrusted import MEBIBYTE, open_regular

ARTIFACTS = "artifacts"
"""The attribute of a study that says where the files of its trials come together."""

_TRIED = "can-be-written"
_MARK = "artifacts_mark"  # of a study: a file in its store
_STORED = "epochs_stored"  # of a trial: how many epochs of it are in the store
_FETCHED = "fetched.json"  # in a run's folder that was fetched: how many epochs of it

# As long as a database is waited for (`lab.results.storage`), in seconds.
_PATIENCE = 300.0
_BETWEEN_TRIES = 5.0
_BUCKET_ERRORS = "botocore.exceptions"

_TABLES = "tables.zip"
_LAST = "last.ckpt"
_UNFINISHED = "unfinished.ckpt"
_NETWORK = re.compile(r"epoch-(\d{3,6})\.pt")
_PICTURES = re.compile(r"epoch-(\d{3,6})-pictures\.zip")
_SHOWN = 4  # pictures in the dashboard
_SHOWN_PICTURE = re.compile(r"epoch-(\d{3,6})-completed\.png")

# What an archive may hold: a store may be written to by others.
_MEMBER = re.compile(
    r"config\.yaml|run\.json|photos\.csv|losses\.csv"
    r"|visuals/[^/\\\x00]{1,255}/(truth|hole|epoch-\d{3,6}-[a-z0-9_-]{1,64})\.png"
)
_MOST_MEMBERS = 10_000
_LARGEST_MEMBER = 256 * MEBIBYTE
_LARGEST_FILE = 8192 * MEBIBYTE


class _WholeFiles(FileSystemArtifactStore):
    """Optuna's store in a folder, in which no reader finds half a file, or waits for a pipe."""

    def open_reader(self, artifact_id: str) -> BinaryIO:
        try:
            return BufferedReader(open_regular(self._get_filepath(artifact_id)))
        except FileNotFoundError as error:
            raise ArtifactNotFound("not found") from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        with (
            replacing(self._get_filepath(artifact_id)) as temporary,
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(content_body, file)


def open_store(address: str) -> ArtifactStore:
    """The artifact store at an address: a folder, or ``s3://BUCKET``.

    Raises:
        ResultsError: no such bucket's address, boto3 is not installed, or what it is told by the
            environment does not fit.
    """
    if not address.startswith("s3://"):
        return _WholeFiles(address)  # a folder that is missing is made by who writes
    bucket = address.removeprefix("s3://").strip("/")
    if not bucket or "/" in bucket or "@" in bucket:
        raise ResultsError(f"{address} names no bucket: give s3://BUCKET, without a folder or key")
    try:
        return Boto3ArtifactStore(bucket)
    except ImportError as error:
        raise ResultsError(
            f"{address} is reached by boto3, which is not installed: in the project's folder, "
            "pip install --constraint constraints.txt '.[cluster]'"
        ) from error
    except Exception as error:
        if not isinstance(error, ValueError) and not _is_of_buckets(error):
            raise
        raise ResultsError(
            f"{address} cannot be opened ({error}): see AWS_ENDPOINT_URL, which begins with "
            "https:// or http://, AWS_PROFILE and ~/.aws/config"
        ) from error


def check_store(address: str) -> None:
    """Write a few bytes into the store, so that a study finds out before its first epoch ends.

    Raises:
        ResultsError: no such bucket's address, or boto3 is not installed.
        EnvironmentFaultError: a bucket that is not there, cannot be reached or may not be written.
        OSError: a folder that cannot be written to.
    """
    store = open_store(address)
    with _reaching(address):
        store.write(_TRIED, io.BytesIO(b"written as a study begins, to see that it can be\n"))


def claim_store(study: optuna.Study, address: str) -> None:
    """See that a store is the one in which the study's files come together, or make it that.

    A folder whose file system is not mounted on this machine would be another one.

    Raises:
        ResultsError: it does not hold this study's files.
        EnvironmentFaultError, OSError: as `check_store`.
    """
    store = open_store(address)
    mark = study.user_attrs.get(_MARK)
    with _reaching(address):
        if mark is None:
            mark = f"study-{secrets.token_hex(8)}"
            store.write(mark, io.BytesIO(b"by this its machines know the store of a study\n"))
            study.set_user_attr(_MARK, mark)
            return
        try:
            store.open_reader(mark).close()
        except ArtifactNotFound:
            raise ResultsError(
                f"{address} is not where the files of study {study.study_name!r} come together: is "
                "it mounted on this machine? Else give its --artifacts as it is reached here"
            ) from None


def artifacts_of(study: optuna.Study, folder: Path) -> str | None:
    """Where the files of a study's trials come together: as noted here, or in the study."""
    noted = noted_artifacts(folder) or study.user_attrs.get(ARTIFACTS)
    return noted if isinstance(noted, str) else None


def store_run(study: optuna.Study, trial: int, run: Path, address: str) -> None:
    """Put into the store what a trial's run has left since it was last put there.

    Args:
        study: Optuna's.
        trial: its number.
        run: its folder, between two epochs.
        address: of the store.

    Raises:
        UpdateFinishedTrialError: the trial has ended.
        EnvironmentFaultError: the store cannot be reached.
    """
    files = _TrialFiles(study, trial, address)
    pictures = sorted((run / "visuals").glob("*/*.png"))
    by_epoch: dict[str, list[Path]] = {}
    for path in pictures:
        found = re.match(r"epoch-(\d+)-", path.name)
        if found:
            by_epoch.setdefault(found[1], []).append(path)
    fixed = [path for path in pictures if path.stem in ("truth", "hole")]
    for number, (epoch, paths) in enumerate(sorted(by_epoch.items())):
        name = f"epoch-{epoch}-pictures.zip"
        if name not in files.known:
            paths = [*paths, *(fixed if number == 0 else [])]
            files.put(name, _zipped(run, paths), "application/zip")
    for path in sorted((run / "checkpoints").glob("epoch-*.pt")):
        if path.name not in files.known:
            files.put_path(path.name, path)
    latest = max(by_epoch, default="")
    shown = [path for path in by_epoch.get(latest, []) if _SHOWN_PICTURE.fullmatch(path.name)]
    for number, path in enumerate(shown[:_SHOWN], start=1):
        files.put_path(f"completed-{number}.png", path, "image/png")
    files.put_tables(run)
    if last_checkpoint(run).exists():
        files.put_path(_LAST, last_checkpoint(run))
    if _UNFINISHED in files.known:
        files.put(_UNFINISHED, io.BytesIO())  # of an epoch that has ended: it takes no more room
    study._storage.set_trial_user_attr(files.trial_id, _STORED, len(by_epoch))


def store_unfinished(study: optuna.Study, trial: int, run: Path, address: str) -> None:
    """Put into the store what a trial's run has kept within an epoch.

    It replaces what was kept there before; the epoch's end empties it. Nobody can go on from it
    without the epochs before: those are put there first, as where a run goes on that another
    machine began. A store that is away is not waited for: the next time is soon.

    Args:
        study: Optuna's.
        trial: its number, of one that has not ended.
        run: its folder.
        address: of the store.

    Raises:
        EnvironmentFaultError: the store cannot be reached.
    """
    files = _TrialFiles(study, trial, address, patience=0.0)
    if last_checkpoint(run).exists() and _LAST not in files.known:
        store_run(study, trial, run, address)
        files = _TrialFiles(study, trial, address, patience=0.0)
    if _TABLES not in files.known:
        files.put_tables(run)
    files.put_path(_UNFINISHED, unfinished_checkpoint(run))


class _TrialFiles:
    """What of a trial is in a store, and how more is put there.

    Args:
        study: Optuna's.
        trial: its number.
        address: of the store.
        patience: seconds for which a store that cannot be reached is tried again.
    """

    def __init__(
        self, study: optuna.Study, trial: int, address: str, patience: float | None = None
    ) -> None:
        self._patience = patience
        self._storage, self._address = study._storage, address
        self.trial_id = self._storage.get_trial_id_from_study_id_trial_number(
            study._study_id, trial
        )
        self.known = _names(study, self._storage.get_trial(self.trial_id))
        self._store = open_store(address)

    def put(self, name: str, file: BinaryIO, kind: str = "application/octet-stream") -> None:
        """Put a file there, in the place of one of that name."""
        key = self.known.get(name) or str(uuid4())

        def write() -> None:
            file.seek(0)
            self._store.write(key, file)

        with _reaching(self._address):
            _persist(write, self._patience)
        if name not in self.known:
            meta = ArtifactMeta(key, name, kind, None)
            self._storage.set_trial_system_attr(
                self.trial_id, ARTIFACTS_ATTR_PREFIX + key, json.dumps(asdict(meta))
            )
            self.known[name] = key

    def put_path(self, name: str, path: Path, kind: str = "application/octet-stream") -> None:
        with path.open("rb") as file:
            self.put(name, file, kind)

    def put_tables(self, run: Path) -> None:
        tables = [run / name for name in (SETTINGS, RECORD, SCORES, LOSSES)]
        self.put(_TABLES, _zipped(run, filter(Path.exists, tables)), "application/zip")


def fetch_runs(study: optuna.Study, folder: Path, networks: bool = True) -> None:
    """Fetch what trials of other machines have left since it was last fetched.

    Args:
        study: Optuna's.
        folder: of the study, here.
        networks: those of every epoch, too; the rest alone is enough to rank and to show.

    Raises:
        EnvironmentFaultError: the store cannot be reached.
        ResultsError: it holds something else than runs.
    """
    address = artifacts_of(study, folder)
    stored = [t for t in study.get_trials(deepcopy=False) if _STORED in t.user_attrs]
    if address is None or not stored:
        return
    store = open_store(address)
    for trial in stored:
        run = trial_folder(folder, trial.number)
        names = _names(study, trial)
        is_fetched = (run / _FETCHED).exists()
        if not is_fetched and is_run(run):
            here = folder_name(folder)
            if here is None or trial.user_attrs.get(FOLDER) in (None, here):
                continue  # it ran here, as far as is known
            lock = lock_run(run)
            if lock is None:
                continue  # somebody writes there
            lock.release()
            put_aside(run)
        had = _fetched(run)
        if is_fetched and had["of"] not in (None, names.get(_TABLES)):
            put_aside(run)
            had = _fetched(run)
        had["of"] = names.get(_TABLES)
        epochs = trial.user_attrs[_STORED]
        try:
            with _reaching(address):
                if had["files"] < epochs:
                    # First: without it, the run would be taken for one of this machine.
                    _note_fetched(run, had)
                    _fetch(store, names, run, lambda name: name == _TABLES)
                    _fetch(store, names, run, _after(_PICTURES, had["files"]))
                    had["files"] = epochs
                    _note_fetched(run, had)
                if networks and had["networks"] < epochs:
                    _fetch(store, names, run, _after(_NETWORK, had["networks"]))
                    had["networks"] = epochs
                    _note_fetched(run, had)
        except ArtifactNotFound:
            warnings.warn(
                f"{address} lacks files of trial {trial.number}, which it is said to hold",
                stacklevel=2,
            )


def fetch_networks(study: optuna.Study, folder: Path, epochs: Mapping[str, int]) -> None:
    """Fetch the network of one epoch of each of these runs, where it is not here.

    Args:
        study: Optuna's.
        folder: of the study, here.
        epochs: by the names of the trials' runs.

    Raises:
        EnvironmentFaultError: the store cannot be reached.
    """
    address = artifacts_of(study, folder)
    if address is None:
        return
    store = open_store(address)
    for trial in study.get_trials(deepcopy=False):
        run = trial_folder(folder, trial.number)
        path = checkpoint_path(run, epochs.get(run.name, 0))
        key = _names(study, trial).get(path.name)
        if key is None or path.exists() or not (run / _FETCHED).exists():
            continue
        with suppress(ArtifactNotFound), _reaching(address):  # a run without it says so
            _download(store, key, path)


def fetch_to_go_on(study: optuna.Study, trial: int, run: Path) -> bool:
    """Fetch into a run's folder what a lost trial left, as `lab.formats.runs.copy_run` copies it.

    Returns:
        bool: False where there is nothing to go on from.

    Raises:
        EnvironmentFaultError: the store cannot be reached.
        ResultsError: it holds something else than runs.
    """
    address = artifacts_of(study, run.parents[1])
    names = _names(study, study.get_trials(deepcopy=False)[trial])
    kept = {_LAST: last_checkpoint(run), _UNFINISHED: unfinished_checkpoint(run)}
    kept = {name: path for name, path in kept.items() if name in names}
    if address is None or not kept:
        return False
    store = open_store(address)
    # Not known as checkpoints before all the rest is here.
    waiting = {path.with_name(f"fetched-{name}"): path for name, path in kept.items()}
    try:
        with _reaching(address):
            for temporary, path in [*waiting.items()]:
                _download(store, names[path.name], temporary)
                if temporary.stat().st_size == 0:
                    temporary.unlink()
                    del waiting[temporary]
            if not waiting:
                return False
            _fetch(store, names, run, lambda name: name == _TABLES)
            for pattern in (_PICTURES, _NETWORK):
                _fetch(store, names, run, _after(pattern, 0))
    except ArtifactNotFound:
        for temporary in waiting:
            temporary.unlink(missing_ok=True)
        return False
    record = read_record(run)
    record.pop("id", None)
    write_record(run, record)
    for temporary, path in waiting.items():
        temporary.replace(path)
    return True


def _persist(act: Callable[[], None], patience: float | None = None) -> None:
    """Do what needs the store; where it cannot be reached, again and again for a while.

    Args:
        act: may be done again.
        patience: for how many seconds; None for `_PATIENCE`.

    Raises:
        Exception: what it raised last.
    """
    patience = _PATIENCE if patience is None else patience
    until, is_first = time.monotonic() + patience, True
    while True:
        try:
            act()
        except Exception as error:
            if not _is_away(error) or time.monotonic() > until:
                raise
            if is_first:
                warnings.warn(
                    f"the artifact store cannot be reached ({error}): it is tried again for "
                    f"{patience / 60:g} minutes",
                    stacklevel=2,
                )
            is_first = False
            time.sleep(min(_BETWEEN_TRIES, patience))
        else:
            return


def _is_away(error: Exception) -> bool:
    """Whether a bucket's server did not answer, or was not well; not, that it refused."""
    # boto3 is not always installed.
    kinds = {kind.__name__ for kind in type(error).__mro__ if kind.__module__ == _BUCKET_ERRORS}
    if "ClientError" in kinds:
        response = getattr(error, "response", {})
        return bool(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500)
    return bool(kinds & {"ConnectionError", "HTTPClientError", "IncompleteReadError"})


def _is_of_buckets(error: Exception) -> bool:
    # boto3 is not always installed.
    return type(error).__module__.partition(".")[0] in ("boto3", "botocore", "s3transfer")


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    """Say of a store that cannot be reached in one line what to do."""
    try:
        yield
    except Exception as error:
        if not _is_of_buckets(error):
            raise
        raise EnvironmentFaultError(
            f"the artifact store {address} cannot be reached ({error}). Nothing that was finished "
            "is lost: the same command goes on"
        ) from error


def _names(study: optuna.Study, trial: FrozenTrial) -> dict[str, str]:
    """What of a trial is in the store: its keys by the files' names."""
    metas = get_all_artifact_meta(trial, storage=study._storage)
    return {meta.filename: meta.artifact_id for meta in metas}


def _zipped(run: Path, paths: Iterable[Path]) -> BinaryIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            archive.write(path, path.relative_to(run).as_posix())
    buffer.seek(0)
    return buffer


def _after(pattern: re.Pattern[str], epochs: int) -> Callable[[str], bool]:
    """Which files are of a later epoch than the first ones that were fetched."""

    def is_wanted(name: str) -> bool:
        found = pattern.fullmatch(name)
        # Of what is scored at an epoch of its own, there is one, whatever its number.
        return found is not None and (int(found[1]) > epochs or epochs == 0)

    return is_wanted


def _fetch(
    store: ArtifactStore, names: dict[str, str], run: Path, is_wanted: Callable[[str], bool]
) -> None:
    for name, key in sorted(names.items()):
        if not is_wanted(name):
            continue
        if _NETWORK.fullmatch(name):
            _download(store, key, run / "checkpoints" / name)
        else:
            _unpack(store, key, run)


def _download(store: ArtifactStore, key: str, path: Path) -> None:
    def download() -> None:
        with (
            store.open_reader(key) as reader,
            replacing(path) as temporary,
            temporary.open("wb") as file,
        ):
            written = 0
            while block := reader.read(MEBIBYTE):
                written += len(block)
                if written > _LARGEST_FILE:
                    raise ResultsError(f"{key} in the artifact store is larger than any checkpoint")
                file.write(block)

    _persist(download)


def _unpack(store: ArtifactStore, key: str, run: Path) -> None:
    # Of this process alone: others may fetch the same.
    with TemporaryDirectory() as place:
        archived = Path(place) / "archive.zip"
        _download(store, key, archived)
        try:
            with zipfile.ZipFile(archived) as archive:
                _unpack_members(archive, key, run)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise ResultsError(f"{key} in the artifact store is damaged ({error})") from error


def _unpack_members(archive: zipfile.ZipFile, key: str, run: Path) -> None:
    members = archive.infolist()
    if len(members) > _MOST_MEMBERS:
        raise ResultsError(f"{key} in the artifact store holds too many files for a run")
    for member in members:
        is_known = _MEMBER.fullmatch(member.filename) and "/../" not in member.filename
        if not is_known or member.file_size > _LARGEST_MEMBER:
            raise ResultsError(
                f"{key} in the artifact store holds {member.filename!r}, which no run writes: "
                "remove it"
            )
        with replacing(run / member.filename, durable=False) as temporary:
            temporary.write_bytes(archive.read(member))


def _fetched(run: Path) -> dict[str, Any]:
    """How many epochs have been fetched, and ``of`` which trial: the key of its tables."""
    found: Any = {}
    try:
        found = read_json(run / _FETCHED)
    except (FileNotFoundError, ValueError):
        pass  # it is fetched once more
    found = found if isinstance(found, dict) else {}
    of = found.get("of")
    return {
        **{
            name: count if isinstance(count := found.get(name), int) else 0
            for name in ("files", "networks")
        },
        "of": of if isinstance(of, str) else None,
    }


def _note_fetched(run: Path, had: dict[str, Any]) -> None:
    with replacing(run / _FETCHED) as temporary:
        temporary.write_text(json.dumps(had) + "\n")
