"""Deleting the checkpoints that nobody will use, and none that somebody may be writing."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.files import lock_run
from lab.results import ResultsError
from lab.selection.checkpoints import Checkpoint
from lab.selection.choosing import Selection


def spare_checkpoints(
    selection: Selection, keep: int, also_keep: Sequence[str] = ()
) -> list[Checkpoint]:
    """Which ranked checkpoints go when ``keep`` stay: all but the best, in the order of ranks.

    The chosen one stays and counts among those kept; those without a mark stay before those with
    one. Only networks of epochs that were ranked go: ``last.ckpt`` and unknown files stay, and what
    a run did not train but only scored.

    Args:
        selection: the ranking.
        keep: how many stay, at least 1.
        also_keep: names of checkpoints that stay besides, such as the one that votes chose.
    """
    order = sorted(selection.ranking.order, key=lambda index: bool(selection.marks[index]))
    if selection.chosen is not None:
        order.remove(selection.chosen)
        order.insert(0, selection.chosen)
    there = [selection.checkpoints[index] for index in order]
    there = [point for point in there if point.is_the_runs_own and point.path.exists()]
    return [point for point in there[keep:] if point.name not in also_keep]


def delete_checkpoints(spare: Sequence[Checkpoint]) -> None:
    """Delete the files; the caller holds the runs' locks (`locked_runs`)."""
    for point in spare:
        point.path.unlink(missing_ok=True)


@contextmanager
def locked_runs(runs: Sequence[Path]) -> Iterator[None]:
    """Hold the locks of all runs, so that nothing is trained in them meanwhile.

    Raises:
        ResultsError: a process is writing one of them.
    """
    with ExitStack() as held:
        for run in runs:
            lock = lock_run(run)
            if lock is None:
                raise ResultsError(
                    f"nothing was deleted: a process is writing {run}. Wait until it has ended, "
                    "or stop it"
                )
            held.callback(lock.release)
        yield
