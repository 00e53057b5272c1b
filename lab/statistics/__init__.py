"""What the numbers of a few photos say about others: the only place that makes an interval."""

from lab.statistics.agreement import Agreement, agreement
from lab.statistics.bradley_terry import Choice, Comparison, Voted, rank_votes
from lab.statistics.dominance import RISK, dominated_by
from lab.statistics.paired import PairedDifference, compare_scores, paired_difference, rests_on
from lab.statistics.racing import Race, race
from lab.statistics.ranking import HELD, Ranking, rank
from lab.statistics.resampling import Floats, mean_errors
from lab.statistics.seeds import SeedSpread, seed_spread

__all__ = [
    "HELD",
    "RISK",
    "Agreement",
    "Choice",
    "Comparison",
    "Floats",
    "PairedDifference",
    "Race",
    "Ranking",
    "SeedSpread",
    "Voted",
    "agreement",
    "compare_scores",
    "dominated_by",
    "mean_errors",
    "paired_difference",
    "race",
    "rank",
    "rank_votes",
    "rests_on",
    "seed_spread",
]
