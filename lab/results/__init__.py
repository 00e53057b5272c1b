"""What runs and studies left on disk: the one reader of tables, pages, notebooks and choices."""

from lab.results.findings import cautions, findings, on_seeds, score_text, verdict
from lab.results.run import PICTURE_COLUMNS, ResultsError, Run
from lab.results.storage import (
    REPEAT_OF,
    RETRY_OF,
    SEED,
    SEEDS,
    SettingsAlone,
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
    study_of,
)

__all__ = [
    "COST_COLUMNS",
    "PICTURE_COLUMNS",
    "REPEAT_OF",
    "RETRY_OF",
    "SEED",
    "SEEDS",
    "ResultsError",
    "Run",
    "SettingsAlone",
    "Study",
    "alone_in",
    "cautions",
    "find_studies",
    "findings",
    "folder_name",
    "is_shared",
    "note_storage",
    "on_seeds",
    "open_run",
    "open_storage",
    "open_study",
    "open_trials",
    "score_text",
    "shown_address",
    "study_of",
    "trial_folder",
    "trial_label",
    "verdict",
]
