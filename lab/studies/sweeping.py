"""A sweep from its question to its result: prepare, run in one or more processes, conclude."""

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from queue import Empty
from typing import Any

import optuna
import torch
from optuna.trial import TrialState
from rich.console import Console

from lab.files import file_sha256
from lab.networks import UnreadableCheckpointError, load_network
from lab.processors import usable_processors
from lab.results import note_storage, open_storage
from lab.runs import open_tasks, settle
from lab.settings import Experiment, SettingsError, options_from
from lab.studies.board import make_board, print_board, write_board
from lab.studies.display import SweepDisplay
from lab.studies.question_file import question_path, read_question
from lab.studies.result_table import print_results, write_contact_sheet, write_results
from lab.studies.results import StudyResults, collect_results
from lab.studies.storage import set_aside
from lab.studies.worker import Sweep, TrialEvent, run_trials

# What a sweep sets in every trial, and the option that says how.
_SET_BY_THE_SWEEP = {
    "--fit.threads": "--threads",
    "--fit.epochs": "--epochs",
    "--fit.seed": "--seed",
    "--data.seed": "--seed",
}


def default_workers() -> int:
    """How many processes a sweep takes when nobody says: one with a GPU, else one a core, up to 4.

    Cores are those that this process may use. On processors, small networks gain more from a trial
    a core than from sharing out one trial's layers, and lose less when the machine has other work.
    """
    if torch.cuda.is_available():
        return 1
    return max(1, min(4, usable_processors()))


def begin_sweep(
    question_name: str,
    *,
    name: str | None = None,
    settings: Sequence[str] = (),
    photos: Path | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    workers: int = 1,
    threads: int | None = None,
    storage: str | None = None,
    seed: int = 0,
    fresh: bool = False,
    checkpoint: Path | None = None,
    runs: Path = Path("runs"),
    sweeps: Path = Path("sweeps"),
) -> Sweep:
    """Read the question and check that every trial can be built, before any is trained.

    Args:
        question_name: of ``sweeps/<question_name>.yaml``, or the path of a question's file.
        name: of the study; default: the question's.
        settings: command-line options of `lab.train` on top of the question's base.
        photos: a folder, or None for the starter photos.
        trials: in place of the question's.
        epochs: in place of the question's.
        workers: processes among which the cores are shared out.
        threads: of each process; None takes those of the study that is there, else shares out the
            cores. Another number gives other weights, so a study keeps its own.
        storage: see `open_storage`.
        seed: of the draws.
        fresh: set an existing study of that name aside.
        checkpoint: the network that a question without training is about.
        runs: folder of the studies.
        sweeps: folder of the questions.

    Raises:
        SettingsError: anything that a trial would fail on.
    """
    for option, value in (("--workers", workers), ("--threads", threads)):
        if value is not None and value < 1:
            raise SettingsError(f"{option} must be at least 1, not {value}")
    question = read_question(question_name, sweeps)
    try:
        question = replace(
            question,
            trials=question.trials if trials is None else trials,
            epochs=question.epochs if epochs is None else epochs,
        )
    except ValueError as error:
        raise SettingsError(str(error)) from error
    _check_checkpoint(question_name, question.trains, checkpoint)
    study_name = name or question_path(question_name, sweeps).stem
    folder = runs / study_name
    options = [*options_from(question.base), *settings]
    _refuse_what_the_sweep_sets(options)
    if photos is not None:
        # Resolved, so that a worker or a later call from elsewhere reads the same folder.
        options.append(f"--data.photos={photos.resolve()}")
    begun = {} if fresh else _identity_of(study_name, storage, folder)
    sweep = Sweep(
        name=study_name,
        question=question,
        options=tuple(options),
        folder=folder,
        storage=storage,
        seed=seed,
        threads=threads or begun.get("threads") or max(1, usable_processors() // workers),
        precision=begun.get("precision"),
        identity={},
        checkpoint=None if checkpoint is None else checkpoint.resolve(),
    )
    built = settle(sweep.build({}))
    sweep = replace(sweep, precision=built.fit.precision)
    sweep = replace(sweep, identity=_identity(sweep, built))
    # What needs missing files or cannot be combined shows at the choices and ends of ranges.
    for values in question.extremes:
        sweep.build(values)
    for variant in question.applied:
        sweep.build({}, applied=variant)
    open_tasks(sweep.build({}))
    if fresh:
        set_aside(study_name, open_storage(storage, folder), folder)
    sweep.open()
    note_storage(folder, study_name, storage)
    return sweep


def run_sweep(sweep: Sweep, workers: int, console: Console | None = None) -> StudyResults:
    """Run what is left of the study, and print, write and return its results.

    Raises:
        SettingsError: a trial cannot be built.
        KeyboardInterrupt: Ctrl-C; everything finished is kept.
    """
    console = console or Console()
    study = sweep.open()
    ended = study.get_trials(
        deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    )
    console.print(f"[bold]{sweep.question.question}[/bold]", soft_wrap=True)
    console.print(open_tasks(sweep.build({})).summary(), soft_wrap=True, highlight=False)
    if ended:
        console.print(f"Going on with {len(ended)} finished trials in {sweep.folder}")
    with SweepDisplay(sweep.question, finished_trials=len(ended), console=console) as display:
        if workers == 1:
            run_trials(sweep, 0, display.tell)
        else:
            _run_in_processes(sweep, workers, display)
    results = collect_results(sweep, study)
    write_results(results)
    print_results(results, console)
    sheet = write_contact_sheet(results)
    if sheet is not None:
        console.print(f"Pictures: {sheet}", soft_wrap=True)
    board = make_board(sweep, results)
    if board is not None and board.lines:
        if sweep.question.sampler == "grid":
            print_board(board, console)
        written = write_board(board, sweep.folder)
        names = ", ".join(path.name for path in written)
        console.print(f"Each against {board.reference.label}: {names} in {sweep.folder}")
    return results


def _check_checkpoint(question: str, trains: bool, checkpoint: Path | None) -> None:
    """Raise ``SettingsError`` for a missing or needless ``--checkpoint``."""
    if trains and checkpoint is not None:
        raise SettingsError(
            f"the question {question!r} trains its own networks, so --checkpoint has no effect: "
            "leave it out, or start from its weights by --model.warm_start"
        )
    if not trains and checkpoint is None:
        raise SettingsError(
            f"the question {question!r} is about a trained network: name one by --checkpoint FILE "
            "(a run's checkpoints/epoch-NNN.pt, or a published checkpoint)"
        )
    if checkpoint is not None:
        try:
            load_network(checkpoint)
        except (OSError, UnreadableCheckpointError) as error:
            raise SettingsError(f"--checkpoint: {error}") from error


def _refuse_what_the_sweep_sets(options: Sequence[str]) -> None:
    """Raise ``SettingsError`` for an option that every trial would override without a word."""
    for option in options:
        right = _SET_BY_THE_SWEEP.get(option.partition("=")[0])
        if right is not None:
            raise SettingsError(
                f"{option} has no effect, because a sweep sets it itself: leave it out (of the "
                f"options or of the question's base) and use {right}"
            )


def _identity_of(name: str, storage: str | None, folder: Path) -> dict[str, Any]:
    """What the trials of the study that is there have in common; nothing where there is none."""
    if not folder.exists():
        return {}
    summaries = optuna.get_all_study_summaries(open_storage(storage, folder))
    known = (study.user_attrs for study in summaries if study.study_name == name)
    identity: dict[str, Any] = next(known, {}).get("identity", {})
    return identity


def _identity(sweep: Sweep, built: Experiment) -> dict[str, Any]:
    """What trials must have in common to be comparable: settings, epochs, seed, goal and photos.

    Threads and precision too: either changes the weights.
    """
    built.read_photos()
    settings = built.plain
    fit = settings["fit"]
    photos = built.data.source
    return {
        "goal": sweep.question.goals,
        **{name: fit.pop(name) for name in ("threads", "precision")},
        **({"checkpoint": file_sha256(sweep.checkpoint)} if sweep.checkpoint else {}),
        **{path: value for path, value in _flat(settings) if path not in sweep.question.search},
        "photos": f"{photos.training_count} + {photos.validation_count}, digest {photos.digest}",
        "scored": f"digest {open_tasks(built).digest}",
    }


def _flat(settings: dict[str, Any]) -> list[tuple[str, Any]]:
    pairs = (option.removeprefix("--").split("=", 1) for option in options_from(settings))
    return [(path, value) for path, value in pairs]


def _run_in_processes(sweep: Sweep, workers: int, display: SweepDisplay) -> None:
    """Run `run_trials` in new processes that tell their news through a queue."""
    context = multiprocessing.get_context("spawn")
    news: multiprocessing.Queue[TrialEvent | str] = context.Queue()
    processes = [
        # No daemons: those may not have loader processes.
        context.Process(target=_work, args=(sweep, number, news))
        for number in range(workers)
    ]
    for process in processes:
        process.start()
    failures: list[str] = []
    try:
        while any(process.is_alive() for process in processes):
            try:
                item = news.get(timeout=0.2)
            except Empty:
                continue
            if isinstance(item, str):
                failures.append(item)
            else:
                display.tell(item)
        while not news.empty():
            item = news.get()
            if isinstance(item, str):
                failures.append(item)
            else:
                display.tell(item)
    finally:
        # Ctrl-C reaches the processes too; each leaves its trial open and stops by itself.
        for process in processes:
            process.join(timeout=30)
            if process.is_alive():
                process.terminate()
    if failures:
        raise SettingsError("a worker stopped: " + "\n".join(failures))
    died = [process for process in processes if process.exitcode]
    if died:
        raise SettingsError(
            f"{len(died)} of {workers} workers died (exit status {died[0].exitcode}; -9 means out "
            "of memory or killed). Run the command again to go on with their trials"
        )


def _work(sweep: Sweep, number: int, news: "multiprocessing.Queue[TrialEvent | str]") -> None:
    parent = multiprocessing.parent_process()

    def tell(event: TrialEvent) -> None:
        if parent is not None and not parent.is_alive():
            # Killed without a chance to say so; its study goes on with the next call.
            os._exit(1)
        news.put(event)

    try:
        run_trials(sweep, number, tell)
    except KeyboardInterrupt:
        return
    except Exception as error:
        news.put(f"{type(error).__name__}: {error}")
        raise
