"""What runs and studies left on disk: the one reader of tables, pages, notebooks and choices."""

from lab.results.findings import findings, score_text
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
from lab.results.study import Study, open_run, open_study

__all__ = [
    "PICTURE_COLUMNS",
    "RETRY_OF",
    "ResultsError",
    "Run",
    "Study",
    "alone_in",
    "findings",
    "folder_name",
    "is_shared",
    "note_storage",
    "open_run",
    "open_storage",
    "open_study",
    "score_text",
    "shown_address",
    "trial_folder",
    "trial_label",
]
