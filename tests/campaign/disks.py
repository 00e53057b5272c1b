"""Disks that are full or read-only: at every write by injection, and as real file systems."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.campaign.checks import Asked, Case, Check, NotHere
from tests.campaign.contained import call, complaints, litter
from tests.campaign.kills import Undisturbed
from tests.campaign.works import Work, differences, works
from tests.test_faults import Disk

ERRORS = {errno.ENOSPC: "full", errno.EROFS: "read-only"}
_PAGE = 4096


def on_a_disk(
    work: Work, folder: Path, at: int | None, error: int, counted: Path | None = None
) -> Callable[[Sequence[str] | None], int]:
    """The command on a disk that fails from its ``at``-th write on; notes how many there were."""

    def main(arguments: Sequence[str] | None) -> int:
        disk = Disk()
        disk.watch(folder, at, error)
        try:
            return work.main(arguments)
        finally:
            disk.folder = None
            if counted is not None:
                counted.write_text(str(disk.writes))

    return main


def fail_every_write(asked: Asked) -> Iterator[Case]:
    """For each command, each write and each error: one line, and then the same command ends it."""
    whole, number = Undisturbed(asked.folder), 0
    for work in works():
        folder, counted = asked.folder / f"count-{work.name}", asked.folder / "count"
        work.begin(folder, whole.material)
        main = on_a_disk(work, folder, None, errno.ENOSPC, counted)
        assert call(main, work.words(whole.material), folder).status == 0
        writes = range(1, int(counted.read_text()) + 1)
        for at, error in ((at, error) for at in writes for error in ERRORS):
            if number in asked.cases:
                yield _fail_one(asked, whole, work, at, error, number)
            number += 1
        if number >= asked.cases.stop:
            return


def _fail_one(
    asked: Asked, whole: Undisturbed, work: Work, at: int, error: int, number: int
) -> Case:
    folder = asked.folder / str(number)
    work.begin(folder, whole.material)
    outcome = call(on_a_disk(work, folder, at, error), work.words(whole.material), folder)
    findings = complaints(outcome) + litter(folder) + _go_on(work, folder, whole)
    return Case(number, f"{work.name}, {ERRORS[error]} at write {at}", findings)


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
