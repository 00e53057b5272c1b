"""Disks that are full or read-only: at every write by injection, and as real file systems."""

import builtins
import errno
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.campaign.checks import Asked, Case, Check, NotHere
from tests.campaign.contained import Main, call, complaints, litter
from tests.campaign.kills import Undisturbed
from tests.campaign.works import Work, differences, works
from tests.test_faults import Disk

FAULTS = (
    ("full", errno.ENOSPC, False),
    ("read-only", errno.EROFS, False),
    ("full for what is written, not for names", errno.ENOSPC, True),
)
"""What a disk does from a write on: its name, its error, and whether files are still opened."""

_PAGE = 4096
_FULL = "/dev/full"


class WholeDisk(Disk):
    """The same of a child process, in which what is brought to the disk counts and fails, too.

    Args:
        late: files can be opened and moved yet, and what is written into them finds no room:
            where most file systems notice that they are full.
    """

    def __init__(self, late: bool = False) -> None:
        super().__init__()
        self.late, self.failed = late, False
        self._fsync, self._open = os.fsync, io.open
        self._full = os.open(_FULL, os.O_WRONLY)
        # Nothing of it is undone: the child ends with its command.
        os.fsync = self._synced
        io.open = builtins.open = self._opened

    def write(self, path: object) -> None:
        """Note a write, and fail it where the disk is full by then."""
        if self.late:
            self.written.append(os.fsdecode(path))
        else:
            self.failed = self.full_at is not None and self.writes + 1 >= self.full_at
            super().write(path)

    def _synced(self, descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        path = os.readlink(f"/proc/self/fd/{number}")
        if self.folder is not None and (path == _FULL or self.holds(path)):
            self.written.append(path)
            if self.was_full:
                self.failed = True
                raise OSError(self.error, os.strerror(self.error))
        self._fsync(descriptor)

    def _opened(self, file: Any, mode: str = "r", *others: Any, **options: Any) -> Any:
        opened = self._open(file, mode, *others, **options)
        is_new = not isinstance(file, int) and set(mode) & set("wax")
        if is_new and self.late and self.folder is not None and self.was_full and self.holds(file):
            self.failed = True
            # What takes no byte for Python takes none for what is written in C, either.
            os.dup2(self._full, opened.fileno(), inheritable=False)
        return opened


def on_a_disk(
    work: Work,
    folder: Path,
    at: int | None,
    fault: tuple[str, int, bool],
    counted: Path,
) -> Main:
    """The command on a disk that fails from its ``at``-th write on.

    It notes how many writes there were, and whether one failed.
    """

    def main(arguments: Sequence[str] | None) -> int:
        _, error, late = fault
        disk = WholeDisk(late)
        disk.watch(folder, at, error)
        try:
            return work.main(arguments)
        finally:
            disk.folder = None
            counted.write_text(f"{disk.writes} {int(disk.failed)}")

    return main


def fail_every_write(asked: Asked) -> Iterator[Case]:
    """For each command, each write and each fault: one line, and then the same command ends it."""
    whole, number = Undisturbed(asked.folder), 0
    for work in works():
        folder, counted = asked.folder / f"count-{work.name}", asked.folder / "count"
        work.begin(folder, whole.material)
        before = _files(folder)
        main = on_a_disk(work, folder, None, FAULTS[0], counted)
        assert call(main, work.words(whole.material), folder).status == 0
        (writes, _), made = _counted(counted), len(_files(folder) - before)
        if writes < max(made, 1) and number in asked.cases:
            # Else the cases would be few, or none, and find nothing.
            seen = f"of the writes of {made} new files only {writes} are seen"
            yield Case(number, work.name, [seen])
        for at, fault in ((at, fault) for at in range(1, writes + 1) for fault in FAULTS):
            if number in asked.cases:
                yield _fail_one(asked, whole, work, at, fault, number)
            number += 1
        if number >= asked.cases.stop:
            return


def _fail_one(
    asked: Asked,
    whole: Undisturbed,
    work: Work,
    at: int,
    fault: tuple[str, int, bool],
    number: int,
) -> Case:
    folder, counted = asked.folder / str(number), asked.folder / "count"
    work.begin(folder, whole.material)
    main = on_a_disk(work, folder, at, fault, counted)
    outcome = call(main, work.words(whole.material), folder)
    findings = complaints(outcome) + litter(folder)
    writes, failed = _counted(counted)
    if writes < at:
        findings.append(f"nothing was tried: it had {writes} writes")
    elif failed and outcome.status == 0:
        findings.append("it succeeded, although a write failed")
    findings += _go_on(work, folder, whole)
    return Case(number, f"{work.name}, {fault[0]} from write {at} on", findings)


def _counted(path: Path) -> tuple[int, bool]:
    """What `on_a_disk` noted."""
    writes, failed = map(int, path.read_text().split())
    return writes, bool(failed)


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def fill_small_disks(asked: Asked) -> Iterator[Case]:
    """On file systems with too little room, or read-only ones: what libraries write, too."""
    whole, every = Undisturbed(asked.folder), works()
    for number in asked.cases:
        work, draws = every[number % len(every)], asked.draws(number)
        with mounted(asked.folder / str(number)) as (folder, remount):
            work.begin(folder, whole.material)
            is_full = draws.random() < 0.75
            room = int(draws.uniform(0, _used(whole.place(work)) - _used(folder))) // _PAGE * _PAGE
            remount(f"size={_used(folder) + room}" if is_full else "ro")
            outcome = work.call(folder, whole.material)
            findings = complaints(outcome)
            if not is_full and outcome.status == 0:
                findings.append("it succeeded where nothing can be written")
            remount("rw,size=1g")
            # It could not be removed from a disk that is read-only; from a full one, it can.
            findings += litter(folder) if is_full else []
            findings += _go_on(work, folder, whole)
        label = f"{room // 1024} KiB of room" if is_full else "read-only"
        yield Case(number, f"{work.name}, {label}", findings)


def _go_on(work: Work, folder: Path, whole: Undisturbed) -> list[str]:
    found = complaints(work.call(folder, whole.material), work.statuses) + litter(folder)
    found += differences(work, folder, whole.content(work))
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return [f"with room again: {text}" for text in found]


@contextmanager
def mounted(folder: Path) -> Iterator[tuple[Path, Callable[[str], None]]]:
    """A file system in memory in ``folder``, and what mounts it again with other options."""
    folder.mkdir()

    def mount(*options: str) -> None:
        command = ["mount", *options, str(folder)]
        found = subprocess.run(command, capture_output=True, text=True)
        if found.returncode:
            raise NotHere(f"no file system can be mounted here: {found.stderr.strip()}")

    try:
        mount("-t", "tmpfs", "-o", "size=1g", "campaign")
    except FileNotFoundError:
        raise NotHere("there is no mount here") from None
    try:
        yield folder, lambda options: mount("-o", f"remount,{options}")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _used(folder: Path) -> int:
    """Bytes that the files of a folder take of a file system in memory, in whole pages."""
    paths = [folder, *folder.rglob("*")]
    return sum(_PAGE * (1 + os.lstat(path).st_size // _PAGE) for path in paths)


_DISK = "one line and status 2, nothing half-written; with room, the same command ends it, the same"

CHECKS = (
    Check("disk.writes", _DISK, 100_000, fail_every_write, smoke=2),
    Check("disk.small", _DISK, 60, fill_small_disks, smoke=2),
)
