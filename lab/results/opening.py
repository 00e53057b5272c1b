"""Opening what lies in a folder: a run, a study with all its runs, or several runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from lab.formats.runs import SCORES, SETTINGS, is_run
from lab.metrics import ALL_METRICS
from lab.results.artifacts import ARTIFACTS, fetch_runs
from lab.results.run import ResultsError, Run, State
from lab.results.storage import (
    REPEAT_OF,
    RETRY_OF,
    SEED,
    SEEDS,
    SettingsAlone,
    is_study_folder,
    load_study,
    note_storage,
    trial_folder,
    trial_label,
)
from lab.results.study import Study, is_ranked

DEFAULT_GOAL = "hole_ssim"

REMOVAL_GOAL = "hole_texture_mismatch"
"""What results are ranked by where no truth is known: it agrees with the eye in 0.7 of the votes
(docs/findings.md), and a seam alone does not."""

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}

# How many folders deep studies are looked for: runs/2026/loss_weights.
_DEEPEST = 3

# Folders of what a study scored without training it: a run each, of one epoch.
_UNTRAINED: dict[str, State] = {
    "applied": "applied",
    "entrants": "entrant",
    "baselines": "baseline",
}

# Where an evaluation of several networks keeps each as a run.
_NETWORKS = "networks/"


def open_run(folder: str | Path, goal: str = DEFAULT_GOAL) -> Run:
    """Open one run's folder; each table is read when it is first asked for.

    ``scores``, ``epochs``, ``losses`` and ``pictures`` are tables, each with its columns in its
    docstring; ``options`` are the settings by dotted path, ``settings`` the same nested.

    Args:
        folder: as `lab.train` wrote it, or a trial's.
        goal: the metric by which an epoch is the best.

    Raises:
        ResultsError: it is no run's folder.
    """
    folder = Path(folder)
    if not is_run(folder):
        raise ResultsError(
            f"{folder} is no run: it has neither {SCORES} nor {SETTINGS}. Give a folder that "
            "lab.train wrote, or one of a study's trials"
        )
    run = Run(folder.name, folder.name, folder, goal)
    scored = run.record.get("checkpoint")
    return run if scored is None else replace(run, label=checkpoint_label(Path(scored)))


def checkpoint_label(path: Path) -> str:
    """What tables call a network: its run and epoch; a published one by its file."""
    of_run = path.parent.name == "checkpoints"
    return f"{path.parents[1].name}/{path.stem}" if of_run else path.name


def open_study(
    folder: str | Path,
    storage: str | None = None,
    artifacts: str | None = None,
    networks: bool = True,
) -> Study:
    """Open the folder of a study, of a run, or one that holds runs.

    Files that trials on other machines left in the study's artifact store are fetched first. A
    folder that is missing is made where ``storage`` holds a study of its name with such a store.

    ``scores``, ``epochs``, ``losses``, ``pictures`` and ``options`` are those of all ``runs``, by
    their names; ``results`` has a row a setting, ``comparisons`` what each leads by, ``costs`` what
    each costs. Each says its columns in its docstring, and is read when it is first asked for.

    Args:
        folder: such as ``runs/loss_weights``.
        storage: of the study's trials, if it is neither ``study.db`` in the folder nor noted there:
            ``journal:FILE`` or an SQLAlchemy URL.
        artifacts: where files of trials come together as this machine reaches it, if that is not
            where the study says: a folder, or ``s3://BUCKET``. Goes with ``storage``; the folder
            notes it.
        networks: fetch those of every epoch, too: some tens of megabytes each, for who uses or
            chooses them. A run says of what was not fetched that it has no ``checkpoint``.

    Raises:
        ResultsError: no such folder, nothing in it that a run or a study wrote, a storage that
            cannot be read or holds no such study, or a store that is not here.
        EnvironmentFaultError: the store cannot be reached.
    """
    folder = Path(folder)
    if artifacts is not None and storage is None:
        raise ResultsError("--artifacts goes with --storage, where the study says what is in them")
    if not folder.is_dir() and (storage is None or folder.exists()):
        raise ResultsError(
            f"{folder} is no folder: give that of a study or run, such as runs/NAME; of a study on "
            "other machines its --storage, too"
        )
    if is_run(folder):
        return _in_order(folder, [open_run(folder)])
    with _made_for_a_study(folder) as is_new:
        study = load_study(folder, storage)
        if is_new and study is not None and study.study_name != folder.name:
            raise ResultsError(
                f"{folder} is no folder, and the storage holds no study {folder.name!r}, but "
                f"{study.study_name!r}: call the folder that"
            )
        if study is not None and (is_new or artifacts is not None):
            store = _store_of(study, artifacts)
            note_storage(folder, study.study_name, storage, None if artifacts is None else store)
    if study is not None:
        fetch_runs(study, folder, networks)
        return study_of(study, folder)
    runs = _runs_below(folder, DEFAULT_GOAL)
    if not runs and not _untrained(folder, DEFAULT_GOAL):
        raise ResultsError(
            f"{folder} is neither a run nor a study: it has no {SCORES}, and no trial. "
            "Give a folder that lab.train or lab.sweep wrote"
        )
    return _in_order(folder, runs)


@contextmanager
def _made_for_a_study(folder: Path) -> Iterator[bool]:
    """Take a missing folder, and those above it, away again where no study is opened in it.

    Yields:
        Whether it was missing.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield bool(missing)
    except BaseException:
        if missing:
            # Opening a storage leaves its lock. What others put there meanwhile stays.
            (folder / "storage.lock").unlink(missing_ok=True)
            with suppress(OSError):
                for path in missing:
                    path.rmdir()
        raise


def _store_of(study: optuna.Study, artifacts: str | None) -> str:
    """Where a study's files come together: as a person says, else as the study does.

    Raises:
        ResultsError: they do not, or not in a folder that is here.
    """
    said = study.user_attrs.get(ARTIFACTS)
    if not isinstance(said, str):
        raise ResultsError(
            f"the files of study {study.study_name!r} lie in the folder of its runs alone, and in "
            "no store (--artifacts of lab.sweep): give that folder"
        )
    address = said if artifacts is None else artifacts
    if address.startswith("s3://"):
        return address
    place = Path(address).expanduser().resolve()
    if not place.is_dir():
        raise ResultsError(
            f"the files of study {study.study_name!r} come together in {place}, which is no folder "
            "on this machine: mount it, or give --artifacts as it is reached here"
        )
    return str(place)


def has_results(folder: str | Path) -> bool:
    """Whether `open_study` finds something in a folder that a run or a study scored.

    A study that has only begun counts; a folder that is missing, empty or somebody else's does not.
    """
    folder = Path(folder)
    return (
        (folder / SCORES).exists()
        or is_study_folder(folder)
        or bool(_runs_below(folder, DEFAULT_GOAL))
        or bool(_untrained(folder, DEFAULT_GOAL))
    )


def study_of(study: optuna.Study, folder: Path) -> Study:
    """What an open study of Optuna's left in its folder so far.

    Raises:
        ResultsError: something there is damaged.
    """
    goals = study.user_attrs.get("goals", [DEFAULT_GOAL])
    if not isinstance(goals, list) or not goals or not set(goals) <= ALL_METRICS.keys():
        raise ResultsError(f"the study in {folder} has the goals {goals!r}, which are none")
    found = _in_order(folder, open_trials(study, folder, goals), goals)
    question = str(study.user_attrs.get("question", ""))
    seeds = int(study.user_attrs.get(SEEDS, 1))
    return replace(found, question=question, optuna_study=SettingsAlone.of(study), seeds=seeds)


def _in_order(folder: Path, runs: Sequence[Run], goals: Sequence[str] = (DEFAULT_GOAL,)) -> Study:
    untrained = _untrained(folder, goals[0])
    if list(goals) == [DEFAULT_GOAL] and _have_no_truth([*runs, *untrained]):
        goals = (REMOVAL_GOAL,)
        runs, untrained = ([replace(run, goal=goals[0]) for run in of] for of in (runs, untrained))
    sign = -1.0 if ALL_METRICS[goals[0]].higher_is_better else 1.0
    ranked = sorted(filter(is_ranked, runs), key=lambda run: sign * run.mean(goals[0]))
    others = [run for run in runs if not is_ranked(run)]
    entrants = [run for run in untrained if run.state == "entrant"]
    entrants.sort(key=lambda run: sign * run.mean(goals[0]))
    listed = iter(entrants)
    untrained = [next(listed) if run.state == "entrant" else run for run in untrained]
    return Study(folder.resolve().name, folder, "", list(goals), [*ranked, *others, *untrained])


def _have_no_truth(runs: Sequence[Run]) -> bool:
    """Whether these are removals of whose background nothing is known."""
    scored = [run for run in runs if len(run.scores)]
    return bool(scored) and all(REMOVAL_GOAL in run.scores for run in scored)


def find_studies(folder: str | Path) -> list[Path]:
    """The folders of studies and of lone runs below a folder, by name.

    None where the folder is itself a study or a run, or where only runs lie below it: those are
    shown together, as a study without a question.
    """
    folder = Path(folder)
    if is_run(folder) or is_study_folder(folder):
        return []
    if _untrained(folder, DEFAULT_GOAL):
        return []
    found = list(_below(folder, _DEEPEST))
    are_studies = [is_study_folder(path) or not is_run(path) for path in found]
    return found if any(are_studies) else []


def _below(folder: Path, depth: int) -> Iterator[Path]:
    for path in sorted(folder.glob("[!.]*/")):
        if is_run(path) or is_study_folder(path) or _untrained(path, DEFAULT_GOAL):
            yield path
        elif depth > 1:
            yield from _below(path, depth - 1)


def open_trials(study: optuna.Study, folder: Path, goals: Sequence[str]) -> list[Run]:
    """The trials of a study that have begun, in their order, each to be read from its folder."""
    trials = study.get_trials(deepcopy=False)
    later = {t.user_attrs[RETRY_OF]: t.number for t in trials if RETRY_OF in t.user_attrs}

    def reason(trial: FrozenTrial) -> str:
        again = f" (tried again as trial {later[trial.number]})" if trial.number in later else ""
        return f"{trial.user_attrs.get('reason', '')}{again}"

    labels = {trial.number: trial_label(trial) for trial in trials}

    def label(trial: FrozenTrial) -> str:
        if REPEAT_OF not in trial.user_attrs:
            return labels[trial.number]
        return f"{labels[trial.user_attrs[REPEAT_OF]]}, seed {trial.user_attrs[SEED]}"

    def state(trial: FrozenTrial) -> State:
        is_repeat = REPEAT_OF in trial.user_attrs and trial.state is TrialState.COMPLETE
        return "repeat" if is_repeat else _STATES[trial.state]

    runs = [
        Run(
            name=(place := trial_folder(folder, trial.number)).name,
            label=label(trial),
            folder=place,
            goal=goals[0],
            state=state(trial),
            values=trial.params,
            reason=reason(trial),
            is_reference=bool(trial.user_attrs.get("first")),
            place=trial.user_attrs.get(RETRY_OF, trial.number),
            counts_last=len(goals) > 1,
            setting=trial_folder(folder, trial.user_attrs[REPEAT_OF]).name
            if REPEAT_OF in trial.user_attrs
            else "",
        )
        for trial in trials
        if trial.state in _STATES
    ]
    repeats: dict[str, list[Run]] = {}
    for run in runs:
        if run.state == "repeat" and run.best is not None:
            repeats.setdefault(run.setting, []).append(run)
    return [replace(run, repeats=tuple(repeats.get(run.name, ()))) for run in runs]


def _runs_below(folder: Path, goal: str) -> list[Run]:
    """Runs in a folder without Optuna's storage."""
    folders = sorted(
        path.parent
        for path in (*folder.glob(f"*/{SCORES}"), *folder.glob(f"*/*/{SCORES}"))
        if path.parents[1].name not in _UNTRAINED
    )
    names = [path.relative_to(folder).as_posix().removeprefix("trials/") for path in folders]
    return [
        Run(name, name.removeprefix(_NETWORKS), path, goal)
        for path, name in zip(folders, names, strict=True)
    ]


def _untrained(folder: Path, goal: str) -> list[Run]:
    return [
        Run(f"{kind}/{path.parent.name}", path.parent.name, path.parent, goal, state)
        for kind, state in _UNTRAINED.items()
        for path in sorted((folder / kind).glob(f"*/{SCORES}"))
    ]
