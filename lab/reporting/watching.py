"""Writing a page again whenever what it shows has changed, until that is done."""

import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from time import perf_counter

from lab.checks import UserError
from lab.files import file_state
from lab.formats.runs import BOARD, RESULTS, SCORES, SELECTION, last_checkpoint, photo_table
from lab.imaging import UnreadablePhotoError
from lab.results import DATABASE, ResultsError, Run, Study

SECONDS = 5.0
"""Between two looks at the folder: reading names and times costs milliseconds."""

# A sweep writes its board and its pictures a moment after its results; then nothing changes.
_QUIET_LOOKS = 3

# Between two tries of what could not be written, in seconds: the first comes soon.
_LONGEST_WAIT = 60.0

NOT_WRITTEN = (UserError, UnreadablePhotoError, OSError)
"""What a page cannot be written for."""

# A picture's width at most.
_SERIALS = 10_000

# An epoch's scores come first, the checkpoint to go on from last.
_WATCHED = (
    *(SCORES, DATABASE, RESULTS, BOARD, SELECTION),
    last_checkpoint(Path()).as_posix(),
)


def watch(
    folders: Callable[[], Sequence[Path]],
    write: Callable[[int], bool],
    tell: Callable[[str], None],
    seconds: float = SECONDS,
) -> None:
    """Write, and write again after every change in the folders.

    Args:
        folders: gives those of studies and runs; new ones may come.
        write: gets the number of the version; says whether all that it showed is done.
        tell: gets a line whenever something was written, or could not be.
        seconds: between two looks.

    Raises:
        UserError, UnreadablePhotoError, OSError: the page could not be written the first time;
            later, ``tell`` says so, and it is tried again.
    """
    before, done, quiet, serial = None, False, 0, 0
    wait, problem = seconds, ""
    while True:
        now = _states(folders())
        if now != before:
            start, first = perf_counter(), before is None
            serial = _next_serial(serial)
            try:
                done = write(serial)
                tell(f"{time.strftime('%H:%M:%S')} written in {perf_counter() - start:.1f} s")
                before, quiet, wait, problem = now, 0, seconds, ""
            except NOT_WRITTEN as error:
                if first:
                    raise
                if str(error) != problem:
                    tell(f"{time.strftime('%H:%M:%S')} not written: {error}")
                done, wait, problem = False, min(_LONGEST_WAIT, 2 * wait), str(error)
        quiet += 1
        if done and quiet > _QUIET_LOOKS:
            return
        time.sleep(wait)


def is_stale(page: Path, folder: Path) -> bool:
    """Whether a study or run has changed since its page was written, or has none."""
    if not page.exists():
        return True
    written = page.stat().st_mtime_ns
    return any(changed > written for _, changed, _ in _states([folder]).values())


def is_done(study: Study) -> bool:
    """Whether nothing more comes: its sweep has ended, or all epochs of its runs are run."""
    if study.optuna_study is None:
        return all(_is_trained(run) for run in study.trials)
    results = study.folder / RESULTS
    if not results.exists() or any(run.state == "running" for run in study.trials):
        return False
    ended = results.stat().st_mtime_ns
    # An entrant may come when all else has ended.
    return all(run.changed <= ended for run in study.runs if run.state != "entrant")


def _is_trained(run: Run) -> bool:
    try:
        fit = run.settings.get("fit")
    except ResultsError:
        return True  # nobody goes on with what cannot be read
    if not isinstance(fit, dict) or run.last < fit.get("epochs", run.last):
        return False
    # After the scores an epoch leaves its losses, pictures and network; where it ended, this.
    last, scores = last_checkpoint(run.folder), photo_table(run.folder).path
    return not last.exists() or last.stat().st_mtime_ns >= scores.stat().st_mtime_ns


def _states(folders: Sequence[Path]) -> dict[Path, tuple[int, int, int]]:
    """Sizes and times of the files that say what a page shows, a study's runs included."""
    found = {}
    for folder in folders:
        for level, name in product(("", "*/", "*/*/"), _WATCHED):
            for path in folder.glob(f"{level}{name}"):
                try:
                    found[path] = file_state(path)
                except FileNotFoundError:
                    continue  # set aside between the two looks
    return found


def _next_serial(serial: int) -> int:
    """Not that of a version shortly before, by this watch or an earlier one; a picture's width.

    By the clock, which comes round in hours; where versions come faster than seconds, one more.
    """
    now = int(time.time()) % _SERIALS + 1
    is_ahead = serial > 0 and (serial - now) % _SERIALS < _SERIALS // 2
    return serial % _SERIALS + 1 if is_ahead else now
