"""The votes of a folder, counted: the ranking by eye, and which metrics agree with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lab.metrics import ALL_METRICS, ratio_bin
from lab.results import Study
from lab.selection.checkpoints import completing_runs
from lab.selection.votes import Vote, read_votes
from lab.statistics import Agreement, Voted, agreement, rank_votes

LEAST_VOTES = 20
"""Of fewer votes no bin is told, and it is said that they are few."""


@dataclass(frozen=True)
class Counted:
    """What the votes say; everything is empty where nobody has voted.

    Attributes:
        voters: whose votes they are.
        ranked: what was voted on, the strongest first.
        agreements: every recorded metric against the votes, the most agreeing first.
        by_ratio: the same for the votes within each bin of hole ratios that has enough of them.
        notes: what the numbers cannot say, in words.
    """

    voters: list[str]
    ranked: list[Voted]
    agreements: list[Agreement]
    by_ratio: dict[str, list[Agreement]]
    notes: list[str]


def count_votes(study: Study, seed: int = 0) -> Counted:
    """Read and count the votes in the folder of a study, a run or an evaluation.

    Raises:
        ResultsError: a line that is no vote.
    """
    votes = read_votes(study.folder)
    if not votes:
        return Counted([], [], [], {}, [])
    scores = _scores_of(study, votes)
    values = {
        metric: scores[metric].to_dict() for metric in ALL_METRICS if metric in scores.columns
    }
    samples = scores.groupby(level="sample").first()
    photos = samples["photo"].to_dict()
    bins = samples["hole_ratio"].map(ratio_bin)
    sided = [vote for vote in votes if vote.choice != "tie"]
    known = set(scores.index)
    chosen = [
        vote for vote in sided if {(vote.photo, vote.left), (vote.photo, vote.right)} <= known
    ]
    inside = {
        name: [vote for vote in chosen if bins[vote.photo] == name] for name in sorted(set(bins))
    }
    return Counted(
        voters=sorted({vote.voter for vote in votes}),
        ranked=rank_votes(votes, seed),
        agreements=agreement(chosen, values, photos),
        by_ratio={
            name: agreement(votes, values, photos)
            for name, votes in inside.items()
            if len(inside) > 1 and len(votes) >= LEAST_VOTES
        },
        notes=_notes(len(chosen), len(sided) - len(chosen)),
    )


def _scores_of(study: Study, votes: Sequence[Vote]) -> pd.DataFrame:
    """What was measured of all that was voted on: a row a (sample, checkpoint)."""
    runs = completing_runs(study)
    tables = {}
    for name in sorted({name for vote in votes for name in (vote.left, vote.right)}):
        run, _, epoch = name.rpartition("/")
        number = epoch.removeprefix("epoch-")
        if run in runs and number.isdecimal():
            tables[name] = runs[run].scores_at(int(number))
    if not any(map(len, tables.values())):
        return pd.DataFrame(columns=["photo", "hole_ratio"]).rename_axis(index="sample")
    return pd.concat(tables, names=["checkpoint", "sample"]).swaplevel()


def _notes(chosen: int, left_out: int) -> list[str]:
    notes = []
    if chosen < LEAST_VOTES:
        notes.append(
            f"{chosen} votes chose a fill that is scored: too few to say which metric agrees. Vote "
            f"on more pairs, at least {LEAST_VOTES}"
        )
    if left_out:
        notes.append(
            f"{left_out} votes are on checkpoints or photos without scores here, and are no part "
            "of the agreement"
        )
    return notes
