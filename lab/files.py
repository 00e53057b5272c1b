"""Files: written so that a kill leaves the old one or the new one, and told apart by content."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``, and move what was written there over it at the end.

    Nothing is moved when the body raises; the temporary file is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def file_state(path: Path) -> tuple[int, int, int]:
    """Return (bytes, time of content, time of status): whatever changes or copies a file shows.

    Raises:
        OSError: there is no such file.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside ``path``, and move it to ``path`` at the end.

    Nothing changes when the body raises. A kill in the moment between the two renames leaves the
    old folder whole under its temporary name, beside the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    aside = path.with_name(f".{path.name}.{os.getpid()}.old")
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            os.replace(path, aside)
        os.replace(temporary, path)
    finally:
        if aside.exists() and not path.exists():
            os.replace(aside, path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def lock_run(folder: Path) -> FileLock | None:
    """Take the lock that whoever writes in a run's folder holds; None where another process does.

    An operating-system lock: it ends with its process, also by ``kill -9``. The caller releases it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "running.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock
