"""Files and names that come from outside: read without waiting or bursting, shown without harm."""

import os
import stat
from errno import EFBIG, EINVAL, EISDIR
from io import FileIO
from pathlib import Path

MEBIBYTE = 2**20

LONGEST_PATH = 4096
"""Characters of a path that somebody else names; systems have no longer ones."""

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def open_regular(path: str | Path) -> FileIO:
    """Open a file for reading, or the file that a link leads to; nothing but a regular file.

    Raises:
        OSError: it cannot be opened, or is a folder, a pipe, a device or a socket: a pipe would
            wait for somebody to write, and a device may never end.
    """
    # Looked at first: a device may act on being opened. And again: it may have been exchanged.
    _check_regular(os.stat(path), path)
    file = open(path, "rb", buffering=0, opener=_open_without_waiting)
    try:
        _check_regular(os.fstat(file.fileno()), path)
    except OSError:
        file.close()
        raise
    return file


def read_bytes(path: str | Path, most: int) -> bytes:
    """Read a regular file whole.

    Args:
        path: of the file.
        most: bytes; a larger file is refused before any is read.

    Raises:
        OSError: as by `open_regular`, or the file is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(EFBIG, f"it has {size} bytes, and at most {most} are read", str(path))
        blocks = [file.read(size + 1)]
        # Nearly always there is no more; but some systems show endless files as regular and empty.
        while block := file.read(MEBIBYTE):
            blocks.append(block)
            if sum(map(len, blocks)) > most:
                raise OSError(EFBIG, f"it grew to more than {most} bytes", str(path))
    return b"".join(blocks) if len(blocks) > 1 else blocks[0]


def read_text(path: str | Path, most: int = 64 * MEBIBYTE) -> str:
    """Read a regular file of UTF-8 whole.

    Raises:
        OSError: as by `read_bytes`.
        ValueError: it is no UTF-8.
    """
    return read_bytes(path, most).decode("utf-8")


def printable(name: object, lines: bool = False) -> str:
    r"""Return a name so that any terminal, log and JSON file can show it: ``\x1b`` for an escape.

    Whoever names a file could else clear the terminal, fake a line of ours or turn the direction
    of reading.

    Args:
        name: a text, a path, an error.
        lines: whether line breaks and tabs stay, for whole messages.
    """
    text = str(name)
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or (lines and letter in "\n\t")
        else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def unsafe_path(name: str) -> str | None:
    """Say why a path must not be followed below a folder; None where it may."""
    parts = name.replace("\\", "/").split("/")
    if not name or "\0" in name:
        return "its name is empty or damaged"
    if len(name) > LONGEST_PATH:
        return f"its path has {len(name)} characters, more than {LONGEST_PATH}"
    if parts[0] == "" or (len(parts[0]) == 2 and parts[0][1] == ":"):
        return "its path is absolute"
    return "its path leaves the folder by '..'" if ".." in parts else None


def below(folder: Path, name: object) -> Path:
    """Return the path of a file that a record in ``folder`` names.

    Raises:
        ValueError: it is no name, or leads out of the folder.
    """
    reason = unsafe_path(name) if isinstance(name, str) else "it is no text"
    if reason is not None:
        raise ValueError(f"it names the file {printable(repr(name))}, but {reason}")
    return folder / str(name)


def _check_regular(status: os.stat_result, path: str | Path) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(EISDIR, "it is a folder", str(path))
    kind = next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), "something else")
    raise OSError(EINVAL, f"it is {kind}, but must be a regular file", str(path))


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
