"""What a study found: trials ranked, baselines that cost no training, and what each weight did."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
import pandas as pd
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lab.contracts import Strategy
from lab.metrics import METRICS
from lab.runs import evaluate_baseline, evaluate_run, open_tasks
from lab.selection import PairedDifference, compare_scores
from lab.strategies import OpenCVInpainting
from lab.studies.question import Question, Value
from lab.studies.storage import trial_folder, trial_label
from lab.studies.worker import Sweep, best_epoch
from lab.tracking import PhotoRecords, checkpoint_path

BASELINES: Mapping[str, Strategy] = {
    "Telea": OpenCVInpainting("telea"),
    "Navier-Stokes": OpenCVInpainting("navier-stokes"),
}


@dataclass(frozen=True)
class Row:
    """One line of the result: a trial at its best epoch, an applied variant, or a baseline.

    Attributes:
        label: the name of the variant or baseline, or "trial 7".
        state: how the trial ended; "applied" for a variant without training, "baseline" for a
            method without a network.
        values: what the trial varied.
        epoch: the best one, by the first goal; None without scores, 0 for a baseline.
        epochs: how many it ran.
        photos: a column a metric, a row a photo; and ``hole_ratio``.
        checkpoint: the network to use; None for a baseline.
        folder: of the run's files.
        reason: why a failed trial failed.
        is_reference: queued by the question, before any was drawn.
    """

    label: str
    state: Literal["complete", "pruned", "failed", "running", "applied", "baseline"]
    values: Mapping[str, Value]
    epoch: int | None
    epochs: int
    photos: pd.DataFrame
    checkpoint: Path | None
    folder: Path
    reason: str = ""
    is_reference: bool = False

    def mean(self, metric: str) -> float:
        """The metric's mean over the photos; NaN when nothing was scored."""
        return float(self.photos[metric].mean()) if metric in self.photos else float("nan")

    def spread(self, metric: str) -> float:
        """The metric's standard deviation over the photos."""
        return float(self.photos[metric].std()) if metric in self.photos else float("nan")


@dataclass(frozen=True)
class StudyResults:
    """Everything that the table at the end of a sweep says.

    Attributes:
        question: what was asked.
        ranked: trials that ran to their end, best first.
        reference: what the others are compared with, the first trial that the question names; None
            where that has not run to its end.
        others: pruned, failed and running trials.
        applied: variants without training, on the reference's best epoch.
        baselines: methods without a network, on the same photos and holes.
        importance: of each varied option for the first goal, adding up to 1; empty where too few
            trials are done.
        planned_epochs: of all trials that ended.
        run_epochs: that were run; the difference is what pruning saved.
    """

    question: Question
    ranked: list[Row]
    reference: Row | None
    others: list[Row]
    applied: list[Row]
    baselines: list[Row]
    importance: Mapping[str, float]
    planned_epochs: int
    run_epochs: int

    @property
    def worst(self) -> Row:
        """The trial whose best epoch is worst, among the finished and the pruned ones."""
        goal = self.question.goals[0]
        sign = 1.0 if METRICS[goal].higher_is_better else -1.0
        scored = [*self.ranked, *(row for row in self.others if row.state == "pruned")]
        return min(scored, key=lambda row: sign * row.mean(goal))

    @property
    def saved_share(self) -> float:
        """Share of the epochs that pruning saved."""
        return 1.0 - self.run_epochs / self.planned_epochs if self.planned_epochs else 0.0

    def compare(
        self, first: Row, second: Row, metric: str | None = None, samples: pd.Index | None = None
    ) -> PairedDifference:
        """How much better ``first`` is, paired by photo.

        Args:
            first: a row.
            second: another.
            metric: default: the first goal.
            samples: the samples to compare on; default: all that both have.
        """
        photos = first.photos if samples is None else first.photos.loc[samples]
        return compare_scores(photos, second.photos, metric or self.question.goals[0])


def collect_results(sweep: Sweep, study: optuna.Study) -> StudyResults:
    """Read what the study's trials left on disk, and score the baselines on the same photos."""
    question = sweep.question
    goal = question.goals[0]
    rows = {trial.number: _row(trial, sweep, goal) for trial in study.trials}
    trials = {trial.number: trial for trial in study.trials}
    complete = [row for number, row in rows.items() if trials[number].state is TrialState.COMPLETE]
    sign = -1.0 if METRICS[goal].higher_is_better else 1.0
    ended = [
        rows[number]
        for number, trial in trials.items()
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    ]
    # Trials come by number: the first one named was queued first.
    reference = next((row for row in complete if row.is_reference), None)
    return StudyResults(
        question=question,
        ranked=sorted(complete, key=lambda row: sign * row.mean(goal)),
        reference=reference,
        others=[
            row
            for number, row in rows.items()
            if trials[number].state not in (TrialState.COMPLETE, TrialState.WAITING)
        ],
        applied=_applied(sweep, reference),
        baselines=_baselines(sweep),
        importance=_importance(study),
        planned_epochs=question.epochs * len(ended),
        run_epochs=sum(row.epochs for row in ended),
    )


def _row(trial: FrozenTrial, sweep: Sweep, goal: str) -> Row:
    run = trial_folder(sweep.folder, trial.number)
    table = PhotoRecords(run / "photos.csv").read()
    states: dict[TrialState, Literal["complete", "pruned", "failed", "running"]] = {
        TrialState.COMPLETE: "complete",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
    }
    epoch, photos, checkpoint = None, pd.DataFrame(), None
    if len(table):
        means = table[table["metric"] == goal].groupby("epoch")["value"].mean()
        epoch = best_epoch(goal, {int(str(key)): float(value) for key, value in means.items()})
        photos = by_photo(table[table["epoch"] == epoch])
        checkpoint = sweep.checkpoint or checkpoint_path(run, epoch)
    return Row(
        label=trial_label(trial),
        state=states.get(trial.state, "running"),
        values=trial.params,
        epoch=epoch,
        epochs=int(table["epoch"].max()) if len(table) else 0,
        photos=photos,
        checkpoint=checkpoint,
        folder=run,
        reason=str(trial.user_attrs.get("reason", "")),
        is_reference=bool(trial.user_attrs.get("first")),
    )


def by_photo(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of one epoch as a row a photo, a column a metric, and ``hole_ratio``."""
    photos = table.pivot(index="photo", columns="metric", values="value")
    photos["hole_ratio"] = table.drop_duplicates("photo").set_index("photo")["hole_ratio"]
    return photos


def _applied(sweep: Sweep, reference: Row | None) -> list[Row]:
    """Score every variant without training on the reference's best epoch."""
    if reference is None or reference.checkpoint is None:
        return []
    rows = []
    for variant in sweep.question.applied:
        folder = sweep.folder / "applied" / variant
        experiment = sweep.build(reference.values, applied=variant)
        name = f"{sweep.name}-{variant}"
        tasks = open_tasks(experiment)
        reached = evaluate_run(experiment, tasks, reference.checkpoint, folder, name, sweep.name)
        photos = by_photo(PhotoRecords(folder / "photos.csv").read())
        rows.append(
            Row(
                label=variant,
                state="applied",
                values={},
                epoch=reached.epoch,
                epochs=reached.epoch,
                photos=photos,
                checkpoint=reference.checkpoint,
                folder=folder,
            )
        )
    return rows


def _baselines(sweep: Sweep) -> list[Row]:
    rows, tasks = [], open_tasks(sweep.build({}))
    for label, strategy in BASELINES.items():
        folder = sweep.folder / "baselines" / label
        evaluate_baseline(tasks, strategy, folder)
        photos = by_photo(PhotoRecords(folder / "photos.csv").read())
        rows.append(Row(label, "baseline", {}, 0, 0, photos, None, folder))
    return rows


def _importance(study: optuna.Study) -> dict[str, float]:
    goals = len(study.directions)
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    varied = {path for trial in complete for path in trial.params}
    # Fewer trials than that say nothing about any single option.
    if len(complete) < max(4, len(varied) // 2):
        return {}
    # With a target, Optuna asks what makes it small, whatever the direction.
    sign = 1.0 if study.directions[0] is StudyDirection.MINIMIZE else -1.0
    target = (lambda trial: sign * trial.values[0]) if goals > 1 else None
    return dict(optuna.importance.get_param_importances(study, target=target))
