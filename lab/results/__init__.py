"""What runs and studies left on disk: the one reader of tables, pages, notebooks and choices."""

from lab.results.findings import cautions, findings, score_text, verdict
from lab.results.run import PICTURE_COLUMNS, ResultsError, Run
from lab.results.storage import (
    RETRY_OF,
    alone_in,
    folder_name,
    is_shared,
    note_storage,
    open_storage,
    shown_address,
    trial_folder,
    trial_label,
)
from lab.results.study import (
    COST_COLUMNS,
    Study,
    find_studies,
    open_run,
    open_study,
    open_trials,
)

__all__ = [
    "COST_COLUMNS",
    "PICTURE_COLUMNS",
    "RETRY_OF",
    "ResultsError",
    "Run",
    "Study",
    "alone_in",
    "cautions",
    "find_studies",
    "findings",
    "folder_name",
    "is_shared",
    "note_storage",
    "open_run",
    "open_storage",
    "open_study",
    "open_trials",
    "score_text",
    "shown_address",
    "trial_folder",
    "trial_label",
    "verdict",
]
