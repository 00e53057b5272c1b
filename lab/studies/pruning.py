"""Ends trials early where a study has several goals: what cannot reach the front any more."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

from lab.metrics import METRICS
from lab.results import ResultsError, Run, open_trials
from lab.statistics import dominated_by
from lab.studies.question import Question


class FrontPruner:
    """Says of a trial which finished one keeps it off the front for certain (`dominated_by`).

    Only finished trials count: one that still runs may fail, and both would be lost. Of those, only
    the ones whose scores can be read here: of a study on several machines, another folder's do not.

    Args:
        study: Optuna's.
        question: with several goals.
        folder: of the study.
    """

    def __init__(self, study: optuna.Study, question: Question, folder: Path) -> None:
        self._study = study
        self._question = question
        self._folder = folder
        self._finished: dict[str, Run] = {}

    def reason(self, trial: Path, epoch: int) -> str | None:
        """Why a trial need not go on after an epoch; None where it should.

        Args:
            trial: its folder, with the epoch's scores.
            epoch: counted from 1.
        """
        pruning, goals = self._question.pruning, self._question.goals
        looks = range(pruning.warmup_epochs + 1, self._question.epochs)
        if not pruning.enabled or epoch not in looks:
            return None
        scores = _at(Run(trial.name, trial.name, trial, goals[0]), epoch, goals)
        if scores is None:
            return None
        finished = [
            (label, now.loc[scores.index, goals], last.loc[scores.index, goals])
            for label, now, last in self._read(epoch)
            if scores.index.isin(now.index).all() and scores.index.isin(last.index).all()
        ]
        if len(finished) < max(1, pruning.startup_trials):
            return None
        place = dominated_by(
            scores[goals].to_numpy(),
            np.stack([now.to_numpy() for _, now, _ in finished]),
            np.stack([last.to_numpy() for _, _, last in finished]),
            list(scores["photo"]),
            [METRICS[goal].higher_is_better for goal in goals],
            len(looks),
        )
        if place is None:
            return None
        by = f"{', '.join(goals[:-1])} and {goals[-1]}"
        return (
            f"{finished[place][0]} is ahead by {by} after epoch {epoch}, and at its end by more "
            "than trials gain from there"
        )

    def _read(self, epoch: int) -> list[tuple[str, pd.DataFrame, pd.DataFrame]]:
        """The trials that ran to their end: label, scores at an epoch and at the last."""
        read, goals = [], self._question.goals
        for run in open_trials(self._study, self._folder, goals):
            if run.state == "complete":
                # Its files do not change any more: read once. Of one seed, as the trial is.
                kept = self._finished.setdefault(run.name, replace(run, repeats=()))
                now, last = (_at(kept, at, goals) for at in (epoch, self._question.epochs))
                if now is not None and last is not None:
                    read.append((run.label, now, last))
        return read


def _at(run: Run, epoch: int, goals: Sequence[str]) -> pd.DataFrame | None:
    """The scores of an epoch; None where they cannot be read, lie elsewhere, or are not there."""
    try:
        scores = run.scores_at(epoch)
    except (OSError, ResultsError):
        return None
    return scores if len(scores) and set(goals) <= set(scores) else None
