"""Writing a page again whenever what it shows has changed, until that is done."""

import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from time import perf_counter

from lab.checks import UserError
from lab.files import file_state
from lab.formats.runs import BOARD, RESULTS, SCORES, SELECTION
from lab.results import DATABASE, Study

SECONDS = 5.0
"""Between two looks at the folder: reading names and times costs milliseconds."""

# A sweep writes its board and its pictures a moment after its results; then nothing changes.
_QUIET_LOOKS = 3

# A picture's width at most.
_SERIALS = 10_000

_WATCHED = (SCORES, DATABASE, RESULTS, BOARD, SELECTION)


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
        UserError, OSError: the page could not be written the first time; later, ``tell`` says so.
    """
    before, done, quiet, serial = None, False, 0, 0
    while True:
        now = _states(folders())
        if now != before:
            start, first = perf_counter(), before is None
            serial = _next_serial(serial)
            try:
                done = write(serial)
                tell(f"{time.strftime('%H:%M:%S')} written in {perf_counter() - start:.1f} s")
            except (UserError, OSError) as error:
                if first:
                    raise
                tell(f"{time.strftime('%H:%M:%S')} not written: {error}")
            before, quiet = now, 0
        quiet += 1
        if done and quiet > _QUIET_LOOKS:
            return
        time.sleep(seconds)


def is_stale(page: Path, folder: Path) -> bool:
    """Whether a study or run has changed since its page was written, or has none."""
    if not page.exists():
        return True
    written = page.stat().st_mtime_ns
    return any(changed > written for _, changed, _ in _states([folder]).values())


def is_done(study: Study) -> bool:
    """Whether nothing more comes: its sweep has ended, or all epochs of its runs are run."""
    if study.optuna_study is None:
        return all(_is_trained(run.settings, run.last) for run in study.trials)
    results = study.folder / RESULTS
    if not results.exists() or any(run.state == "running" for run in study.trials):
        return False
    ended = results.stat().st_mtime_ns
    # An entrant may come when all else has ended.
    return all(run.changed <= ended for run in study.runs if run.state != "entrant")


def _is_trained(settings: dict[str, object], last: int) -> bool:
    fit = settings.get("fit")
    return isinstance(fit, dict) and last >= fit.get("epochs", last)


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
