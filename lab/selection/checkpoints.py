"""The checkpoints that can be chosen from, and what their samples scored."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lab.checks import unknown_name_message
from lab.metrics import METRICS
from lab.results import ResultsError, Run, Study
from lab.statistics import Floats

_NAME = re.compile(r"(?:(trial-\d{3,})/)?epoch-(\d{3,})")
_UNTRAINED = re.compile(r"(?:applied|baselines|entrants|networks)/(.+)/epoch-\d{3,}")


@dataclass(frozen=True)
class Checkpoint:
    """A network after some epochs of a run.

    Attributes:
        name: ``epoch-009``, in a study ``trial-003/epoch-009``.
        run: whose it is.
        epoch: counted from 1.
    """

    name: str
    run: Run
    epoch: int

    @property
    def path(self) -> Path:
        """The network's file, which may be gone."""
        path = self.run.checkpoint_at(self.epoch)
        assert path is not None, "a baseline has no checkpoint to choose"
        return path

    @property
    def is_the_runs_own(self) -> bool:
        """Whether the run trained it; else it is a person's file, which the run only scored."""
        return "checkpoint" not in self.run.record


def describe(name: str) -> str:
    """A checkpoint's name in words: ``trial 3, epoch 9``; ``telea`` of what was not trained."""
    untrained = _UNTRAINED.fullmatch(name)
    if untrained:
        return untrained[1]
    match = _NAME.fullmatch(name)
    if match is None:
        return name
    trial, epoch = match.groups()
    before = f"trial {int(trial.removeprefix('trial-'))}, " if trial else ""
    return f"{before}epoch {int(epoch)}"


@dataclass(frozen=True)
class Scores:
    """The checkpoints of a study on the samples that all of them were scored on.

    Attributes:
        study: whose they are.
        checkpoints: run by run, epoch by epoch.
        samples: names of what was scored.
        photos: what each sample was cut from.
        ratios: the hole's share of each sample.
        values: ``(samples, checkpoints)`` for each recorded metric; NaN where a value is missing.
        notes: what was left out, in words.
    """

    study: Study
    checkpoints: list[Checkpoint]
    samples: list[str]
    photos: list[str]
    ratios: Floats
    values: dict[str, Floats]
    notes: list[str]


def runs_by_name(study: Study) -> dict[str, Run]:
    """The runs whose checkpoints can be chosen: a lone run as ``""``, else trials by their names.

    Raises:
        ResultsError: the folder holds neither a run nor a study's trials.
    """
    if not study.is_study:
        return {"": study.trials[0]}
    named = {run.name: run for run in study.trials}
    if not any(_NAME.fullmatch(f"{name}/epoch-000") for name in named):
        raise ResultsError(
            f"{study.folder} is neither a run nor a study: give a folder that python -m lab.train "
            "or python -m lab.sweep made"
        )
    return dict(sorted(named.items()))


def completing_runs(study: Study) -> dict[str, Run]:
    """The runs whose completions can be voted on: of `runs_by_name`, then what was not trained.

    Of an evaluation, everything that it scored.

    Raises:
        ResultsError: the folder holds neither a run nor a study's trials, nor an evaluation.
    """
    untrained = {run.name: run for run in (*study.applied, *study.entrants, *study.baselines)}
    if study.is_study and is_evaluation(study):
        return {run.name: run for run in study.trials} | untrained
    return runs_by_name(study) | untrained


def is_evaluation(study: Study) -> bool:
    """Whether `lab.evaluate` wrote it: networks and entrants, or one network at its top."""
    if not study.is_study:
        return "checkpoint" in study.trials[0].record
    return bool(study.runs) and all(run.name.startswith("networks/") for run in study.trials)


def read_scores(study: Study, metrics: Sequence[str]) -> Scores:
    """Gather what every epoch of every run scored.

    Args:
        study: or a run opened as one.
        metrics: those that a checkpoint must have, finite, to take part.

    Raises:
        ResultsError: an unknown metric, nothing scored yet, files that cannot be read, or no
            sample that all runs share.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise ResultsError(unknown_name_message("metric", metric, METRICS))
    notes: list[str] = []
    scored: dict[str, Run] = {}
    for name, run in runs_by_name(study).items():
        if len(run.scores):
            scored[name] = run
        elif name:
            notes.append(f"{name} has no scored epoch yet")
    if not scored:
        raise ResultsError(
            f"no epoch is scored in {study.folder} yet: wait until the first has ended, or see why "
            "it has not by giving the command of the run again"
        )
    samples = _common_samples(scored, study.folder, notes)
    checkpoints, columns = [], []
    for name, run in scored.items():
        for epoch in run.epochs.index:
            label = f"epoch-{epoch:03d}"
            scores = run.scores_at(epoch).reindex(samples)
            reason = _unusable(scores, metrics)
            if reason:
                notes.append(f"{f'{name}/' if name else ''}{label} is left out: {reason}")
                continue
            full = f"{name}/{label}" if name else label
            checkpoints.append(Checkpoint(full, run, int(epoch)))
            columns.append(scores)
    if not checkpoints:
        raise ResultsError(f"no checkpoint in {study.folder} can be ranked: {'; '.join(notes)}")
    about = columns[0]
    recorded = {str(name) for column in columns for name in column} - {"photo", "hole_ratio"}
    return Scores(
        study=study,
        checkpoints=checkpoints,
        samples=samples,
        photos=list(about["photo"]),
        ratios=about["hole_ratio"].to_numpy(dtype=np.float64),
        values={
            metric: np.column_stack(
                [
                    column[metric] if metric in column else np.full(len(samples), np.nan)
                    for column in columns
                ]
            ).astype(np.float64)
            for metric in sorted(recorded)
        },
        notes=notes,
    )


def _common_samples(runs: Mapping[str, Run], folder: Path, notes: list[str]) -> list[str]:
    scored = [run.scores.index.unique("sample") for run in runs.values()]
    common = set.intersection(*map(set, scored))
    if not common:
        raise ResultsError(f"the trials in {folder} share no validation sample: choose in each")
    everything = len(set.union(*map(set, scored)))
    if len(common) < everything:
        notes.append(f"compared on the {len(common)} of {everything} samples that all trials have")
    return [sample for sample in scored[0] if sample in common]


def _unusable(scores: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Why an epoch cannot be ranked; empty if it can."""
    for metric in metrics:
        if metric not in scores:
            recorded = (str(name) for name in scores if name not in ("photo", "hole_ratio"))
            return f"{metric} was not recorded (it has {', '.join(recorded)})"
        missing = int((~np.isfinite(scores[metric].to_numpy(dtype=np.float64))).sum())
        if missing:
            return f"{metric} is missing or not finite on {missing} of {len(scores)} samples"
    return ""
