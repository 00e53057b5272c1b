"""Commands in child processes of few megabytes and seconds, and what may be said against one."""

import importlib
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GIBIBYTE = 2**30
MOST_TAKEN = 2 * GIBIBYTE
"""Bytes that a command may take at its peak, whatever it is given, beyond what it begins with."""
# Where that is not held, the child is stopped before the machine suffers.
_LIMIT = 5 * GIBIBYTE
MOST_SECONDS = 120.0
"""Of the processor; what takes more counts as hanging, and so does what takes none for as long."""

_ERROR = re.compile(r"(\S+ \S+ \S+: )?error: ")
# What may be said before something goes wrong: notes, how far it is, what Optuna logs, and warnings
# of libraries.
_NOTED = re.compile(r"(note|warning): | *\d+\.\d %, |\[[IW] 20\d\d-|\S+\.py:\d+: ")
_NO_MEMORY = re.compile(
    r"memory ran out|MemoryError|Cannot allocate memory|DefaultCPUAllocator|bad_alloc"
)

Main = Callable[[Sequence[str] | None], int]


@dataclass(frozen=True)
class Outcome:
    """How a command ended: ``status`` is negative for a signal, None where it hung."""

    status: int | None
    out: str
    err: str
    seconds: float
    taken: int


def command(name: str) -> Main:
    """The ``main`` of a command, such as ``lab.inpaint``."""
    return importlib.import_module(name).main


def import_commands() -> None:
    """Import what commands import after parsing, once for all children that are forked."""
    for name in (
        *("lab.completion", "lab.fillers", "lab.networks", "lab.reporting", "lab.runs"),
        *("lab.selection.display", "lab.settings", "lab.studies", "lab.strategies"),
        *("lab.inpaint", "lab.report", "lab.select", "lab.sweep", "lab.train", "lab.sync"),
        *("lab.evaluate", "data_prep.clean_plate", "data_prep.evaluation_sets"),
        *("data_prep.places2", "data_prep.upscalers", "data_prep.packing", "data_prep.triplets"),
        *("data_prep.tar_source", "data_prep.stratified_sets", "lab.network_table", "lab.variants"),
        *("data_prep.silhouettes", "data_prep.feature_weights", "lab.deployment", "lab.evaluation"),
    ):
        importlib.import_module(name)
    import cv2

    cv2.setNumThreads(1)  # its threads do not live on in a child


def start(main: Main, arguments: Sequence[object], folder: Path, said: Path) -> int:
    """Fork a child that runs a command in ``folder``.

    What it says goes into two files of ``said``, and the bytes it begins with into a third.

    Returns:
        int: its process id, which is also its group's.
    """
    child = os.fork()
    if child:
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(child, child)
        return child
    status = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (_LIMIT, _LIMIT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        for descriptor, name in ((0, os.devnull), (1, said / "out"), (2, said / "err")):
            flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            opened = os.open(name, flags, 0o644)
            os.dup2(opened, descriptor)
            os.close(opened)
        (said / "before").write_text(str(_resident()))
        sys.stdout, sys.stderr = (open(descriptor, "w", closefd=False) for descriptor in (1, 2))
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except KeyboardInterrupt:
            status = 130
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(status)


def end(child: int) -> None:
    """Kill what is left of a child's group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def call(
    main: Main, arguments: Sequence[object], folder: Path, seconds: float = MOST_SECONDS
) -> Outcome:
    """Run a command in a forked child to its end; one that hangs is killed."""
    said = Path(tempfile.mkdtemp(prefix="said-"))
    try:
        return wait(start(main, arguments, folder, said), said, seconds)
    finally:
        shutil.rmtree(said, ignore_errors=True)


def wait(child: int, said: Path, seconds: float = MOST_SECONDS) -> Outcome:
    """Wait for a child that was just started to end; one that hangs is killed.

    A busy machine makes nothing hang: what counts is time of the processor, or that none is taken.
    """
    began = moved = time.monotonic()
    try:
        worked, status, peak = 0.0, None, 0
        while time.monotonic() - moved < seconds and worked < seconds:
            found, code, used = os.wait4(child, os.WNOHANG)
            if found:
                status, peak = os.waitstatus_to_exitcode(code), used.ru_maxrss * 1024
                break
            time.sleep(0.005)
            if processor_seconds(child) > worked:
                worked, moved = processor_seconds(child), time.monotonic()
        end(child)
        if status is None:
            peak = os.wait4(child, 0)[2].ru_maxrss * 1024
        out, err = ((said / name).read_text(errors="replace") for name in ("out", "err"))
        before = int((said / "before").read_text())
        return Outcome(status, out, err, time.monotonic() - began, peak - before)
    finally:
        end(child)  # also where the campaign is interrupted


def complaints(outcome: Outcome, allowed: Sequence[int] = (0, 2)) -> list[str]:
    """What of how a command ended breaks a promise of ``docs/reliability.md``."""
    found = []
    text = outcome.out + outcome.err
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    if outcome.status is None:
        found.append(f"hung: no end after {outcome.seconds:.0f} s")
    elif outcome.status < 0:
        found.append(f"died of signal {-outcome.status}")
    elif outcome.status not in allowed:
        expected = " or ".join(map(str, allowed))
        found.append(f"ended with status {outcome.status}, not {expected}: {lines[-1:]}")
    if "Traceback (most recent call last)" in text:
        found.append(f"traceback: {lines[-1][:300] if lines else ''}")
    elif outcome.status == 2:
        found += _not_one_line(lines)
    if outcome.status == 0 and any(map(_ERROR.match, lines)):
        found.append(f"status 0, and yet an error: {next(filter(_ERROR.match, lines))[:300]}")
    if outcome.status == 2 and sum(map(len, lines)) > 4000:
        found.append(f"an error of {sum(map(len, lines))} characters")
    if _NO_MEMORY.search(text):
        # The limit of a child makes it one line. Without, it would have taken the machine's.
        found.append(f"asked for more memory than there is: {lines[-1][:300] if lines else ''}")
    if "\x1b" in text:
        found.append("an escape sequence on the terminal")
    if outcome.taken > MOST_TAKEN:
        found.append(f"took {outcome.taken / GIBIBYTE:.1f} GiB")
    return found


def _not_one_line(lines: Sequence[str]) -> list[str]:
    """What of the lines of a command that could not do what was asked is not one of an error."""
    if not (lines and _ERROR.match(lines[-1])):
        return [f"status 2 without a last line 'error: …': {list(lines[-1:])}"]
    others = [line for line in lines[:-1] if not _NOTED.match(line)]
    if not others:
        return []
    return [f"{len(others)} more lines than that of the error, such as: {others[0][:300]}"]


def litter(folder: Path) -> list[str]:
    """What a command that ended by itself must not leave: temporary files and folders."""
    found = folder.rglob(".*")
    return [
        f"left {path.relative_to(folder)} half-written"
        for path in found
        if re.fullmatch(r"\.[0-9a-f]{16}\.(partial|old)", path.name)
    ]


def processor_seconds(child: int) -> float:
    """Seconds of the processor that a child has taken."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
