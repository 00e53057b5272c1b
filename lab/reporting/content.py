"""What a study or a run has to show, read from its files alone."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from lab.metrics import METRICS
from lab.selection import compare_scores
from lab.settings import SettingsError
from lab.studies.question import Value
from lab.studies.storage import open_storage, trial_folder, trial_label
from lab.studies.worker import best_epoch
from lab.tracking import PhotoRecords, checkpoint_path

DEFAULT_GOAL = "hole_ssim"

# Tables that other commands leave in a study's folder, shown as they are.
TABLES = {"board.csv": "Board of variants", "selection.csv": "Choice of checkpoints"}

# Folders of what a study scored without training it: a run each, of one epoch.
UNTRAINED = {"applied": "applied", "baselines": "baseline"}

_STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


@dataclass(frozen=True)
class RunContent:
    """One run.

    Attributes:
        name: the folder's, unique in the study: "trial-003", "baselines/Telea".
        label: for people: "trial 3", or the variant's or baseline's name.
        folder: where it lies.
        state: "complete", "pruned", "failed", "running"; "applied" or "baseline" for what was not
            trained; or "run" outside of a study.
        values: what its trial varied, by the option's dotted path.
        scores: a row an (epoch, photo), a column a metric; no rows before the first epoch's end.
        ratios: share of the hole, by photo.
        best: the epoch whose mean of the first goal is best; None without scores.
        reason: why it failed.
        is_reference: the question names its settings.
        config: ``config.yaml``; empty where there is none.
    """

    name: str
    label: str
    folder: Path
    state: str
    values: Mapping[str, Value]
    scores: pd.DataFrame
    ratios: Mapping[str, float]
    best: int | None
    reason: str = ""
    is_reference: bool = False
    config: str = ""

    @property
    def best_scores(self) -> pd.DataFrame:
        """The scores of the best epoch: a row a photo, a column a metric."""
        rows = self.scores[self.scores.index.get_level_values("epoch") == self.best]
        return rows.droplevel("epoch")

    @property
    def means(self) -> dict[str, float]:
        """Every metric's mean over the photos, at the best epoch."""
        return {str(metric): float(mean) for metric, mean in self.best_scores.mean().items()}

    @property
    def checkpoint(self) -> Path | None:
        """The network of the best epoch, where it is still kept."""
        path = None if self.best is None else checkpoint_path(self.folder, self.best)
        return path if path is not None and path.exists() else None

    @property
    def is_untrained(self) -> bool:
        """Whether it was scored without a training of its own."""
        return self.state in UNTRAINED.values()


@dataclass(frozen=True)
class StudyContent:
    """A study, or a single run as a study of one.

    Attributes:
        name: of the study or run.
        folder: where it lies.
        question: in words; empty where none was asked.
        goals: metrics, the first one ranks.
        runs: ranked ones first, best first; then the other trials; then what was not trained.
        baselines: means of each metric by the label of baselines that only ``results.csv`` has.
        study: Optuna's; None without a storage.
        tables: title and rows (the first is the heading) of the tables that lie in the folder.
    """

    name: str
    folder: Path
    question: str
    goals: Sequence[str]
    runs: Sequence[RunContent]
    baselines: Mapping[str, Mapping[str, float]]
    study: optuna.Study | None
    tables: Mapping[str, Sequence[Sequence[str]]]

    @property
    def is_study(self) -> bool:
        """Whether this is more than a single run."""
        return all(run.folder != self.folder for run in self.runs)

    @property
    def ranked(self) -> list[RunContent]:
        """The runs that ended well and have scores, best first."""
        return [run for run in self.runs if _is_ranked(run)]

    def findings(self) -> list[str]:
        """What the numbers say, in sentences, intervals included."""
        ranked = self.ranked
        if not ranked:
            return ["No run has ended with scores yet."]
        goal, best = self.goals[0], ranked[0]
        metric = METRICS[goal]
        unit = f" {metric.unit}" if metric.unit else ""
        direction = "higher" if metric.higher_is_better else "lower"
        sentences = [
            f"Best by {goal} ({direction} is better): {best.label} after epoch {best.best}, "
            f"{best.means[goal]:.4g}{unit} on average over {len(best.best_scores)} "
            "photos."
        ]
        others = ranked[1:2] + [run for run in ranked[2:] if run.is_reference]
        for other in others:
            named = ", which the question names," if other.is_reference else ""
            sentences.append(f"Against {other.label}{named} it gains {_gain(best, other, goal)}.")
        for run in self.runs:
            if run.is_untrained and run.best is not None:
                sentences.append(
                    f"Against {run.label}, which needs no training of its own, it gains "
                    f"{_gain(best, run, goal)}."
                )
        for label, means in self.baselines.items():
            if goal in means:
                gain = best.means[goal] - means[goal]
                better = (gain > 0) == metric.higher_is_better
                sentences.append(
                    f"{label}, which needs no training, reaches {means[goal]:.4g}{unit}: "
                    f"{'worse' if better else 'better'} than the best run by {abs(gain):.3g}."
                )
        return sentences


def read_content(folder: Path, storage: str | None = None) -> StudyContent:
    """Read a study's or a run's folder.

    Args:
        folder: ``runs/<study>`` or ``runs/<run>``.
        storage: of the study if it is not ``study.db`` in the folder; see `open_storage`.

    Raises:
        SettingsError: no such folder, or nothing in it that could be shown.
    """
    if not folder.is_dir():
        raise SettingsError(
            f"{folder} is no folder: give that of a study or run, such as runs/NAME"
        )
    if (folder / "photos.csv").exists():
        runs = [
            _read_run(folder, folder.name, folder.name, [DEFAULT_GOAL]),
            *_untrained(folder, [DEFAULT_GOAL]),
        ]
        return StudyContent(folder.name, folder, "", [DEFAULT_GOAL], runs, {}, None, {})
    study = _open(folder, storage)
    goals = [DEFAULT_GOAL] if study is None else list(study.user_attrs.get("goals", [DEFAULT_GOAL]))
    runs = _trials(study, folder, goals) if study else _runs_below(folder, goals)
    untrained = _untrained(folder, goals)
    labels = {run.label for run in untrained}
    tables = _tables(folder)
    if not runs and not tables:
        raise SettingsError(
            f"{folder} is neither a run nor a study: it has no photos.csv, and no trial. "
            "Give a folder that lab.train or lab.sweep wrote"
        )
    sign = -1.0 if METRICS[goals[0]].higher_is_better else 1.0
    ranked = [run for run in runs if _is_ranked(run)]
    ranked.sort(key=lambda run: sign * run.means[goals[0]])
    return StudyContent(
        name=folder.name,
        folder=folder,
        question="" if study is None else str(study.user_attrs.get("question", "")),
        goals=goals,
        runs=[*ranked, *(run for run in runs if not _is_ranked(run)), *untrained],
        baselines={
            label: means for label, means in _baselines(folder).items() if label not in labels
        },
        study=study,
        tables=tables,
    )


def shown_path(path: Path) -> str:
    """A path as a person would type it here, without the folders above the working folder."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)


def _is_ranked(run: RunContent) -> bool:
    return run.state in ("complete", "run") and run.best is not None


def _gain(best: RunContent, other: RunContent, goal: str) -> str:
    first, second = best.best_scores, other.best_scores
    if not len(first.index.intersection(second.index)):
        return "nothing that could be said: they share no photo"
    difference = compare_scores(first, second, goal)
    return (
        f"{difference} (mean over {difference.photos} photos with its 95 % interval); better on "
        f"{difference.share_won:.0%} of them"
    )


def _open(folder: Path, storage: str | None) -> optuna.Study | None:
    if storage is None and not (folder / "study.db").exists():
        return None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    opened = open_storage(storage, folder)
    names = optuna.get_all_study_names(opened)
    # A folder that was renamed still holds one study.
    name = folder.name if folder.name in names else (names[0] if len(names) == 1 else None)
    if name is None:
        raise SettingsError(f"the storage of {folder} holds no study {folder.name!r}, but {names}")
    return optuna.load_study(study_name=name, storage=opened)


def _trials(study: optuna.Study, folder: Path, goals: Sequence[str]) -> list[RunContent]:
    return [
        _read_run(
            trial_folder(folder, trial.number),
            trial_folder(folder, trial.number).name,
            trial_label(trial),
            goals,
            trial,
        )
        for trial in study.get_trials(deepcopy=False)
        if trial.state in _STATES
    ]


def _runs_below(folder: Path, goals: Sequence[str]) -> list[RunContent]:
    """Runs in a folder without Optuna's storage, such as the variants of a board."""
    folders = sorted(
        path
        for path in (*folder.glob("*/photos.csv"), *folder.glob("*/*/photos.csv"))
        if path.parents[1].name not in UNTRAINED
    )
    names = [path.parent.relative_to(folder).as_posix().removeprefix("trials/") for path in folders]
    return [
        _read_run(path.parent, name, name, goals) for path, name in zip(folders, names, strict=True)
    ]


def _untrained(folder: Path, goals: Sequence[str]) -> list[RunContent]:
    return [
        replace(_read_run(path.parent, f"{kind}/{label}", label, goals), state=state)
        for kind, state in UNTRAINED.items()
        for path in sorted((folder / kind).glob("*/photos.csv"))
        if (label := path.parent.name)
    ]


def _read_run(
    folder: Path, name: str, label: str, goals: Sequence[str], trial: FrozenTrial | None = None
) -> RunContent:
    scores, ratios = _read_scores(folder / "photos.csv")
    best = None
    if goals[0] in scores:
        means = scores[goals[0]].groupby(level="epoch").mean()
        best = best_epoch(goals[0], {int(str(key)): float(v) for key, v in means.items()})
    config = folder / "config.yaml"
    attributes = {} if trial is None else trial.user_attrs
    return RunContent(
        name=name,
        label=label,
        folder=folder,
        state="run" if trial is None else _STATES[trial.state],
        values={} if trial is None else trial.params,
        scores=scores,
        ratios=ratios,
        best=best,
        reason=str(attributes.get("reason", "")),
        is_reference=bool(attributes.get("first")),
        config=config.read_text() if config.exists() else "",
    )


def _read_scores(path: Path) -> tuple[pd.DataFrame, dict[str, float]]:
    """The scores, a row an (epoch, photo) and a column a metric, and each photo's hole ratio."""
    try:
        table = PhotoRecords(path).read()
        if not len(table):
            return pd.DataFrame(), {}
        ratios = table.groupby("photo")["hole_ratio"].first()
        scores = table.pivot(index=["epoch", "photo"], columns="metric", values="value")
    except (KeyError, ValueError, pd.errors.ParserError) as error:
        raise SettingsError(
            f"{path} is not what a run writes ({error}): remove it or the run's folder"
        ) from error
    return scores, {str(photo): float(ratio) for photo, ratio in ratios.items()}


def _baselines(folder: Path) -> dict[str, dict[str, float]]:
    path = folder / "results.csv"
    if not path.exists():
        return {}
    table = pd.read_csv(path, dtype={"label": str, "state": str})
    rows = table[table["state"] == "baseline"]
    return {
        str(row["label"]): {
            metric: float(row[metric])
            for metric in METRICS
            if metric in row and pd.notna(row[metric])
        }
        for _, row in rows.iterrows()
    }


def _tables(folder: Path) -> dict[str, list[list[str]]]:
    tables = {}
    for name, title in TABLES.items():
        if (folder / name).exists():
            with (folder / name).open(newline="") as file:
                tables[title] = [row for row in csv.reader(file) if row]
    return tables
