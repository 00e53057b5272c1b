"""Scoring: on validation photos, on an evaluation set, on people really removed, on any folder.

What is scored is a strategy, or the pictures that another program made of the same holes.
"""

from lab.evaluation.judging import (
    Judged,
    KnownPixels,
    best_of,
    judge,
    judge_entrant,
)
from lab.evaluation.settings import Evaluation
from lab.evaluation.tasks import Task, Tasks

__all__ = [
    "Evaluation",
    "Judged",
    "KnownPixels",
    "Task",
    "Tasks",
    "best_of",
    "judge",
    "judge_entrant",
]
