"""Studies: a question in YAML, its trials shared out among processes, and what they found."""

from lab.studies.compression import compression_table, print_compression, write_compression
from lab.studies.question import Pruning, Question, Search
from lab.studies.question_file import read_question
from lab.studies.results import StudyResults, collect_results
from lab.studies.scores import print_scores
from lab.studies.sweeping import begin_sweep, default_workers, run_sweep
from lab.studies.worker import Sweep, TrialEvent, run_trials

__all__ = [
    "Pruning",
    "Question",
    "Search",
    "StudyResults",
    "Sweep",
    "TrialEvent",
    "begin_sweep",
    "collect_results",
    "compression_table",
    "default_workers",
    "print_compression",
    "print_scores",
    "read_question",
    "run_sweep",
    "run_trials",
    "write_compression",
]
