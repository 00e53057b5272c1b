"""A sweep from its question to its result: prepare, run in one or more processes, conclude."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import torch
from optuna.trial import TrialState
from rich.console import Console

from lab.command_line import SETTING_GROUPS
from lab.files import file_sha256, lock_of, network_file_system
from lab.formats.plain import parse_yaml
from lab.metrics import REVISIONS
from lab.networks import UnreadableCheckpointError, load_network
from lab.parsing import SettingsError, options_from
from lab.processors import usable_processors
from lab.results import (
    artifacts_of,
    check_store,
    claim_store,
    database_file,
    note_storage,
    open_storage,
)
from lab.runs import FOUND_ANYWHERE, contents, open_tasks, refuse_evaluation, settle
from lab.settings import Experiment, parse_experiment, plain_settings
from lab.studies.board import make_board, print_board, write_board
from lab.studies.display import SweepDisplay
from lab.studies.processes import run_in_processes
from lab.studies.question_file import question_path, read_question
from lab.studies.result_table import print_results, write_contact_sheet, write_results
from lab.studies.results import StudyResults, collect_results
from lab.studies.storage import counted, retry_failed, set_aside
from lab.studies.worker import Sweep, run_trials
from lab.terminal import Terminal

# What a sweep sets in every trial, and the option that says how.
_SET_BY_THE_SWEEP = {
    "--fit.threads": "--threads",
    "--fit.epochs": "--epochs",
    "--fit.seed": "--seed",
    "--data.seed": "--seed",
}

# Twice the time for which a server of NFS 4 holds what a dead machine had open.
_LEAST_ON_NFS = 180


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
    seeds: int | None = None,
    goals: Sequence[str] | None = None,
    workers: int = 1,
    threads: int | None = None,
    storage: str | None = None,
    lost_after: float | None = None,
    artifacts: str | None = None,
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
        seeds: in place of the question's.
        goals: metrics in place of the question's.
        workers: processes among which the cores are shared out.
        threads: of each process; None takes those of the study that is there, else shares out the
            cores. Another number gives other weights, so a study keeps its own.
        storage: see `open_storage`.
        lost_after: seconds after which a machine that gives no sign of life is lost, where several
            share the storage; None for those that the study was begun with, or 300.
        artifacts: where files of trials come together: a folder that all machines reach, or
            ``s3://BUCKET``; None for what the study says.
        seed: of the draws, and the first of the trainings; further ones count on from it.
        fresh: set an existing study of that name aside.
        checkpoint: the network that a question without training is about.
        runs: folder of the studies.
        sweeps: folder of the questions.

    Raises:
        SettingsError: anything that a trial would fail on.
        ResultsError: a storage that cannot be opened.
        OSError: a folder that cannot be read or written to.
    """
    for option, value in (("--workers", workers), ("--threads", threads)):
        if value is not None and value < 1:
            raise SettingsError(f"{option} must be at least 1, not {value}")
    if lost_after is not None:
        _check_lost_after(lost_after, storage)
    if artifacts is not None:
        if not artifacts.startswith("s3://"):
            artifacts = str(Path(artifacts).expanduser().resolve())
        check_store(artifacts)
    question = read_question(question_name, sweeps)
    try:
        question = replace(
            question.with_settings(_by_path(settings)),
            trials=question.trials if trials is None else trials,
            epochs=question.epochs if epochs is None else epochs,
            seeds=question.seeds if seeds is None else seeds,
            goal=question.goal if goals is None else list(goals),
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
        lost_after=lost_after,
        artifacts=artifacts,
    )
    built = settle(sweep.build({}))
    if built.evaluation.removal:
        raise SettingsError(
            f"of removals (evaluation.removal) nobody knows the truth, which {question.goals[0]} "
            "needs: leave it out, or score them by python -m lab.evaluate"
        )
    sweep = replace(sweep, precision=built.fit.precision)
    identity = _as_it_was_noted(_identity(sweep, built), built, begun)
    sweep = replace(sweep, identity=_known_then(identity, begun))
    # What needs missing files or cannot be combined shows at the choices and ends of ranges.
    for values in (*question.extremes, *question.first):
        tried = sweep.build(values)
        if question.trains:
            refuse_evaluation(tried)
            _refuse_other_samples(built, tried, values, question.varied)
    for variant in question.applied:
        sweep.build({}, applied=variant)
    if fresh:
        set_aside(study_name, storage, folder)
    study = sweep.open()
    note_storage(folder, study_name, storage, artifacts)
    said = artifacts_of(study, folder)
    if said is not None:
        claim_store(study, said)
    return sweep


def run_sweep(
    sweep: Sweep, workers: int, console: Console | None = None, again: bool = False
) -> StudyResults:
    """Run what is left of the study, and print, write and return its results.

    Args:
        sweep: what `begin_sweep` made.
        workers: processes that share the trials; 1 runs them in this one.
        console: where to print.
        again: try failed trials again (`retry_failed`).

    Raises:
        UserError: a trial cannot be gone on with, or what `lab.faults` knows stopped a worker.
        Exception: what `lab.faults` knows stopped this process.
        KeyboardInterrupt: Ctrl-C; everything finished is kept.
    """
    console = console or Terminal()
    study = sweep.open()
    failed = retry_failed(study, sweep.storage, sweep.folder) if again else []
    ended = [
        trial
        for trial in counted(study.get_trials(deepcopy=False))
        if trial.state is not TrialState.RUNNING
    ]
    console.print(sweep.question.question, style="bold", soft_wrap=True, highlight=False)
    console.print(sweep.tasks().summary(), soft_wrap=True, highlight=False)
    for sentence in _what_is_safe(sweep):
        console.print(sentence, soft_wrap=True, highlight=False)
    if ended:
        console.print(f"Going on with {len(ended)} finished trials in {sweep.folder}")
    if again:
        numbers = ", ".join(map(str, failed))
        console.print(f"Trying again: trial {numbers}" if failed else "No trial had failed")
    display = SweepDisplay(sweep.question, finished_trials=len(ended), console=console)
    for trial in ended:
        if trial.state is TrialState.COMPLETE:
            display.note_value(trial.number, trial.values[0])
    with display:
        if workers == 1:
            run_trials(sweep, 0, display.tell)
        else:
            run_in_processes(sweep, workers, display)
    # Two commands that share a study end at the same time.
    with lock_of(sweep.folder / "results.lock"):
        return _conclude(sweep, study, console)


def _conclude(sweep: Sweep, study: optuna.Study, console: Console) -> StudyResults:
    """Score what needs no training, write all tables and pictures, and print what was found."""
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


def _check_lost_after(seconds: float, storage: str | None) -> None:
    """Refuse a time in which a living machine may be silent.

    Raises:
        SettingsError: too few seconds, for where the machines look for signs of life.
    """
    if not 5 <= seconds < math.inf:
        raise SettingsError(f"--lost-after must be at least 5 seconds, not {seconds:g}")
    if storage is None or not storage.startswith("journal:"):
        return
    place = Path(storage.removeprefix("journal:")).parent
    kind = network_file_system(place) or ""
    if kind.startswith("nfs") and seconds < _LEAST_ON_NFS:
        raise SettingsError(
            f"--lost-after {seconds:g} is too short on {kind} ({place}): its server holds files "
            "for a dead machine some 90 seconds, in which others may be silent. Take at least "
            f"{_LEAST_ON_NFS}"
        )


def _what_is_safe(sweep: Sweep) -> Iterator[str]:
    """What to know of a study whose file lies where other machines may write to it."""
    file = database_file(sweep.storage, sweep.folder)
    kind = None if file is None else network_file_system(file.parent)
    shared = [] if sweep.storage is None else [sweep.folder, file]
    old = next((place for place in shared if place and network_file_system(place) == "nfs"), None)
    if old is not None:
        yield (
            f"{old} lies on NFS 3, which keeps the locks of a machine that died until "
            "that is started again: its trial waits so long. Mount it as NFS 4 (-o vers=4.2)"
        )
    if kind is None:
        return
    if sweep.storage is not None and sweep.storage.startswith("journal:"):
        yield (
            f"{file} lies on {kind}. Several machines may run this study where that file system "
            "keeps locks between them (NFS 4 does); where it does not, give --storage "
            "postgresql://USER@HOST/DATABASE. All must run the same version of the workbench"
        )
    else:
        yield (
            f"{file} lies on {kind}, where SQLite is safe for one machine at a time only: it "
            "overwrites pages in place, under locks that network file systems do not all keep. For "
            "several machines, give --storage journal:FILE, which is only ever added to, or "
            "--storage postgresql://USER@HOST/DATABASE, which needs no locks of the file system"
        )


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


def _by_path(settings: Sequence[str]) -> dict[str, Any]:
    """The values of ``--path=value``, by path."""
    parted = (setting.removeprefix("--").partition("=") for setting in settings)
    return {path: parse_yaml(value) for path, equals, value in parted if equals}


def _refuse_what_the_sweep_sets(options: Sequence[str]) -> None:
    """Raise ``SettingsError`` for an option that every trial would override without a word."""
    for option in options:
        right = _SET_BY_THE_SWEEP.get(option.partition("=")[0])
        if right is not None:
            raise SettingsError(
                f"{option} has no effect, because a sweep sets it itself: leave it out (of the "
                f"options or of the question's base) and use {right}"
            )


def _refuse_other_samples(
    built: Experiment, tried: Experiment, values: Mapping[str, Any], varied: Sequence[str]
) -> None:
    """Raise ``SettingsError`` where a trial would be scored on other samples than the baselines.

    A searched option may say so, or a variant that is a choice.
    """
    ours, others = built.plain["data"], tried.plain["data"]
    for name in sorted(built.data.SCORED_BY):
        if others[name] != ours[name]:
            trial = ", ".join(f"{path}={values[path]}" for path in varied if path in values)
            raise SettingsError(
                f"the trial {trial} would be scored on other samples than the rest of the study: "
                f"its data.{name} is {others[name]}, and not {ours[name]}. Give data.{name} one "
                "value, in the question's base; and, where a variant says another, under search "
                "as its one choice, too"
            )


def _identity_of(name: str, address: str | None, folder: Path) -> dict[str, Any]:
    """What the trials of the study that is there have in common; nothing where there is none."""
    if address is None and not folder.exists():
        return {}
    summaries = optuna.get_all_study_summaries(open_storage(address, folder))
    known = (study.user_attrs for study in summaries if study.study_name == name)
    identity: dict[str, Any] = next(known, {}).get("identity", {})
    return identity


def _identity(sweep: Sweep, built: Experiment) -> dict[str, Any]:
    """What trials must have in common to be comparable: settings, epochs, seed, goal and photos.

    Threads and precision too: either changes the weights. Of files and photos, what they hold:
    where they lie may differ from machine to machine.
    """
    built.read_photos()
    settings = built.plain
    fit = settings["fit"]
    if fit["nodes"] > 1:
        raise SettingsError(
            f"fit.nodes is {fit['nodes']}, but machines share a study trial by trial: leave it at "
            "1, and start the sweep on each"
        )
    for name in ("devices", "nodes"):
        if fit[name] == 1:  # studies that were begun before there was a choice say nothing
            del fit[name]
    del fit["checkpoint_minutes"]  # no result depends on it
    photos = built.data.source
    of_its_own = {name: fit.pop(name) for name in ("threads", "precision")}
    common = dict(_flat(settings)) | contents(built)
    for path in FOUND_ANYWHERE:
        common.pop(path, None)
    return {
        "goal": sweep.question.goals,
        **{f"{goal}'s form": REVISIONS[goal] for goal in sweep.question.goals if goal in REVISIONS},
        **of_its_own,
        **({"checkpoint": file_sha256(sweep.checkpoint)} if sweep.checkpoint else {}),
        **{path: value for path, value in common.items() if path not in sweep.question.search},
        "photos": f"{photos.training_count} + {photos.validation_count}, digest {photos.digest}",
        "scored": f"digest {open_tasks(built).digest}",
    }


def _as_it_was_noted(
    identity: dict[str, Any], built: Experiment, begun: Mapping[str, Any]
) -> dict[str, Any]:
    """Say of a study that knew where files lie, and not what they hold, what it knew.

    Args:
        identity: of the study as it is asked for now.
        built: its settings.
        begun: the identity that it was begun with; empty where it begins now.
    """
    lay = {path: begun[path] for path in FOUND_ANYWHERE & begun.keys()}
    for path, file in built.files.items():
        if path in identity and begun.get(path) == str(file):
            lay[path] = begun[path]
    return identity | lay


def _known_then(identity: dict[str, Any], begun: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out settings that a study's version did not know, where they stand at their defaults.

    Args:
        identity: of the study as it is asked for now.
        begun: the identity that it was begun with; empty where it begins now.
    """
    news = identity.keys() - begun.keys()
    if not begun or not news:
        return identity
    options = [
        f"--{path}={value}"
        for path, value in begun.items()
        if path.partition(".")[0] in SETTING_GROUPS
    ]
    try:
        defaults = plain_settings(parse_experiment(options))
    except SettingsError:
        return identity
    values = dict(_flat(defaults))
    return {
        path: value
        for path, value in identity.items()
        if path not in news or path not in values or values[path] != value
    }


def _flat(settings: dict[str, Any]) -> list[tuple[str, Any]]:
    pairs = (option.removeprefix("--").split("=", 1) for option in options_from(settings))
    return [(path, value) for path, value in pairs]
