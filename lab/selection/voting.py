"""The votes of a folder, counted: the ranking by eye, and which metrics agree with it."""

from dataclasses import dataclass

from lab.metrics import METRICS
from lab.selection.choosing import Selection
from lab.selection.votes import read_votes
from lab.statistics import Agreement, Voted, agreement, rank_votes


@dataclass(frozen=True)
class Counted:
    """What the votes say; everything is empty where nobody has voted.

    Attributes:
        voters: whose votes they are.
        ranked: the checkpoints that were voted on, the strongest first.
        agreements: every recorded metric against the votes, the most agreeing first.
    """

    voters: list[str]
    ranked: list[Voted]
    agreements: list[Agreement]


def count_votes(selection: Selection, seed: int = 0) -> Counted:
    """Read and count the votes in the selection's folder.

    Raises:
        ResultsError: a line that is no vote.
    """
    scores = selection.scores
    votes = read_votes(scores.study.folder)
    if not votes:
        return Counted([], [], [])
    names = [point.name for point in scores.checkpoints]
    values = {
        metric: {
            (sample, name): float(table[row, column])
            for row, sample in enumerate(scores.samples)
            for column, name in enumerate(names)
        }
        for metric, table in scores.values.items()
        if metric in METRICS
    }
    return Counted(
        voters=sorted({vote.voter for vote in votes}),
        ranked=rank_votes(votes, seed),
        agreements=agreement(votes, values),
    )
