"""Files: written so that a kill or a power cut leaves the old or the new, and told by content."""

import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from filelock import FileLock, Timeout

from lab.untrusted import open_regular

try:
    import fcntl
except ImportError:  # Windows, where folders cannot be synced, and litter of killed processes stays
    fcntl = None  # type: ignore[assignment]

# NFS gives the exclusive lock of a file to who may write to it.
_LOCKABLE = os.O_RDWR | getattr(os, "O_NONBLOCK", 0)

_MOUNTS = Path("/proc/self/mountinfo")

_SHARED_BY_MACHINES = (
    *("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "beegfs_nodev", "ceph"),
    *("fuse.ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "afs", "9p", "pvfs2"),
)

# What flock says where a file system has no locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)

# Seconds after which a folder is litter where nobody can tell who holds it.
_LONG_AGO = 24 * 3600

# The disk writes in one go what waits for it together.
_SYNCED_AT_ONCE = 16


@contextmanager
def replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path beside ``path``, and move what was written there over it at the end.

    Nothing is moved when the body raises; the temporary file is removed. What processes that were
    killed left half-written in the folder is cleared away by the next that writes there.

    Args:
        path: of the file.
        durable: have it on disk before it gets its name, so that not even a power cut leaves half
            of it. That takes some milliseconds; `sync_files` does it for many files together.
    """
    make_folder(path.parent)
    clear_litter(path.parent)
    try:
        temporary, held = begin_new(path, is_folder=False)
    except OSError as error:
        error.filename = str(path)
        raise
    try:
        yield temporary
        if durable:
            _sync_file(temporary)
        os.replace(temporary, path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        # A full disk names no file, and the temporary one means nothing to anybody.
        if error.errno is not None and error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(held)


def append(path: Path, content: bytes) -> None:
    """Add to the end of a file that is there; it is on disk when this returns.

    A kill or a full disk may leave a part: whoever reads the file must tell a part from the whole.

    Raises:
        OSError: there is no such file, it is a link, or the disk is full; names the file.
    """
    try:
        with open(path, "ab", opener=_open_own) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def sync_files(paths: Iterable[Path]) -> None:
    """Have on disk what was written with ``durable=False``, and its names, a few at a time."""
    files = list(paths)
    with ThreadPoolExecutor(_SYNCED_AT_ONCE) as pool:
        list(pool.map(_sync_file, files))
        list(pool.map(_sync_folder, {path.parent for path in files}))


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing; they outlast a power cut."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def beside(path: Path, suffix: str) -> Path:
    """A hidden name in the folder of ``path`` that nobody can guess, ending in ``.suffix``.

    Its length does not depend on the name, which may be as long as the file system allows.
    """
    return path.with_name(f".{secrets.token_hex(8)}.{suffix}")


def begin_new(path: Path, is_folder: bool) -> tuple[Path, int]:
    """Make an empty file or folder beside ``path``, and hold it: what is held is no litter.

    Returns:
        tuple[Path, int]: where it is, and what holds it until it is closed.
    """
    while True:
        temporary = beside(path, "partial")
        if is_folder:
            temporary.mkdir()
        else:
            temporary.touch(exist_ok=False)
        if fcntl is None:
            return temporary, os.open(os.devnull, os.O_RDONLY)
        # Somebody may take it for litter before it is held.
        with suppress(FileNotFoundError):
            held = os.open(temporary, os.O_RDONLY if is_folder else _LOCKABLE)
            with suppress(OSError):  # a file system without locks: nobody clears it away either
                fcntl.flock(held, fcntl.LOCK_EX)
            if os.fstat(held).st_nlink:
                return temporary, held
            os.close(held)


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
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder beside ``path``, and move it to ``path`` at the end.

    Nothing changes when the body raises. A kill in the moment between the two renames leaves the
    old folder whole under its temporary name, beside the new one, until the next call succeeds.
    """
    make_folder(path.parent)
    clear_litter(path.parent)
    aside = beside(path, "old")
    temporary, held = begin_new(path, is_folder=True)
    try:
        yield temporary
        if path.exists():
            os.replace(path, aside)
        os.replace(temporary, path)
        clear_litter(path.parent, "old")
    finally:
        if aside.exists() and not path.exists():
            os.replace(aside, path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
        os.close(held)


def network_file_system(path: Path) -> str | None:
    """The kind of the file system that a path lies on, where other machines may share it.

    Returns:
        str | None: such as ``nfs4``; None for one of this machine, or where nothing is known.
    """
    try:
        mounts = [line.split() for line in _MOUNTS.read_text().splitlines()]
    except OSError:
        return None
    place, kind, depth = path.resolve(), None, -1
    for words in mounts:
        # man 5 proc: the fifth field is the mount point, the kind follows a lone dash.
        mounted = Path(words[4].replace("\\040", " "))
        if place.is_relative_to(mounted) and len(mounted.parts) >= depth:
            kind, depth = words[words.index("-") + 1], len(mounted.parts)
    return kind if kind in _SHARED_BY_MACHINES else None


def lock_of(path: Path | str) -> FileLock:
    """A lock of the operating system, which ends with its process, also by ``kill -9``.

    Where a file system keeps none, taking it is an error (`lab.faults` says what to do): a file
    that only lies there in its place would outlive a machine that died, and nobody could go on.
    """
    return FileLock(path, fallback_to_soft=False)


def lock_run(folder: Path) -> FileLock | None:
    """Take the lock that whoever writes in a run's folder holds; None where another process does.

    The caller releases it.
    """
    make_folder(folder)
    lock = lock_of(folder / "running.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    return lock


def lock_open_file(file: IO[bytes]) -> bool:
    """Wait until nobody else holds the lock of an open file, and take it; it ends as that closes.

    Whoever was away for so long that the lock went to somebody else cannot write to the file any
    more: NFS 4 refuses it.

    Args:
        file: open for writing, without which NFS gives no lock.

    Returns:
        bool: False where the file system, or the operating system, has no such locks.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise
    return True


@cache
def clear_litter(folder: Path, suffix: str = "partial") -> None:
    """Remove what processes that were killed left in a folder; once a process is enough."""
    if fcntl is None:
        return
    for path in folder.iterdir():
        if not re.fullmatch(rf"\.[0-9a-f]{{16}}\.{suffix}", path.name):
            continue
        with suppress(OSError):  # held by who is writing it, or gone
            is_folder = path.is_dir()
            if is_folder and not _is_litter(path):
                continue
            found = os.open(path, os.O_NOFOLLOW | (os.O_RDONLY if is_folder else _LOCKABLE))
            try:
                fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path) if is_folder else path.unlink()
            finally:
                os.close(found)


def _is_litter(folder: Path) -> bool:
    """Whether a folder that looks like litter may be: NFS keeps locks of files alone."""
    return network_file_system(folder) is None or time.time() - folder.stat().st_mtime > _LONG_AGO


def _open_own(path: str, flags: int) -> int:
    return os.open(path, flags & ~os.O_CREAT | getattr(os, "O_NOFOLLOW", 0))


def _sync_file(path: Path) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk, where the file system can."""
    if fcntl is None:
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(opened)
