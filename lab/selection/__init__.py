"""Choosing between results."""

from lab.selection.paired import PairedDifference, compare_scores, paired_difference
from lab.selection.ranking import HELD, Ranking, rank
from lab.selection.resampling import mean_errors, photo_of

__all__ = [
    "HELD",
    "PairedDifference",
    "Ranking",
    "compare_scores",
    "mean_errors",
    "paired_difference",
    "photo_of",
    "rank",
]
