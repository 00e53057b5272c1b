"""The processes of a sweep: each runs trials and tells its news; all end with who was asked."""

import multiprocessing
import time
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from lab.checks import UserError
from lab.command_line import warn_in_one_line, without_ctrl_c
from lab.faults import EnvironmentFaultError, fault_of
from lab.parsing import SettingsError
from lab.studies.display import SweepDisplay
from lab.studies.worker import Sweep, TrialEvent, run_trials

# For a step and an epoch's validation; then they are killed, which loses no more.
_SECONDS_TO_STOP = 30.0


def run_in_processes(sweep: Sweep, workers: int, display: SweepDisplay) -> None:
    """Run `run_trials` in new processes, each of which tells its news through a pipe of its own.

    What they had in common, a killed one could leave locked for all others.
    """
    context = multiprocessing.get_context("spawn")
    # Before Ctrl-C is held back: it lets it through when it starts.
    resource_tracker.ensure_running()
    processes: dict[Connection, BaseProcess] = {}
    open_pipes: list[Connection] = []
    at_work: set[BaseProcess] = set()
    stopped: list[_Stopped] = []

    def listen(seconds: float) -> None:
        for pipe in wait(open_pipes, seconds):
            assert isinstance(pipe, Connection)
            try:
                item = pipe.recv()
            except (EOFError, OSError):
                open_pipes.remove(pipe)
                continue
            at_work.add(processes[pipe])
            if isinstance(item, _Stopped):
                stopped.append(item)
            else:
                display.tell(item)

    try:
        with without_ctrl_c():
            for number in range(workers):
                ours, theirs = context.Pipe()
                # No daemons: those may not have loader processes.
                process = context.Process(target=_work, args=(sweep, number, theirs))
                process.start()
                theirs.close()
                processes[ours] = process
                open_pipes.append(ours)
        while any(process.is_alive() for process in processes.values()):
            listen(0.2)
            if not open_pipes:
                time.sleep(0.2)
        while any(pipe.poll() for pipe in open_pipes):
            listen(0.0)
    finally:
        _stop(processes, at_work)
    if stopped:
        reasons = "; ".join(dict.fromkeys(one.reason for one in stopped))
        if all(one.by_fault for one in stopped):
            raise EnvironmentFaultError(reasons)
        raise SettingsError(f"a worker stopped: {reasons}")
    died = [process for process in processes.values() if process.exitcode]
    if died:
        raise EnvironmentFaultError(
            f"{len(died)} of {workers} workers died (exit status {died[0].exitcode}; -9 means out "
            "of memory or killed). Run the command again to go on with their trials"
        )


def _stop(processes: Mapping[Connection, BaseProcess], at_work: Set[BaseProcess]) -> None:
    """End the processes that still run; what they have finished is on disk, however they end.

    Args:
        processes: all, by their pipes.
        at_work: those that have a trial, and should leave it in order: W&B is told, too.
    """
    for pipe in processes:
        pipe.close()  # which they notice at their next step
    end = time.monotonic() + _SECONDS_TO_STOP
    with suppress(KeyboardInterrupt):  # pressed once more: at once
        for process in at_work:
            process.join(max(0.0, end - time.monotonic()))
    with without_ctrl_c():
        for process in processes.values():
            process.kill()
            process.join()


@dataclass(frozen=True)
class _Stopped:
    """Why a worker ends before its time, and whether that lies in its environment."""

    reason: str
    by_fault: bool


def _work(sweep: Sweep, number: int, pipe: Connection) -> None:
    def tell(item: TrialEvent | _Stopped) -> None:
        # The sweep is interrupted or dead: the study goes on with its next call.
        if pipe.poll():
            raise KeyboardInterrupt
        try:
            pipe.send(item)
        except OSError:
            raise KeyboardInterrupt from None

    warn_in_one_line()
    try:
        try:
            run_trials(sweep, number, tell)
        except Exception as error:
            fault = str(error) if isinstance(error, UserError) else fault_of(error)
            tell(_Stopped(fault or f"{type(error).__name__}: {error}", fault is not None))
            if fault is None:
                raise
    except KeyboardInterrupt:
        return
