"""Reviewing what runs left on disk: an offline page, a W&B report, and uploading offline runs.

`lab.reporting.wandb_report` is not imported here: its library takes seconds, and the page needs
none of it.
"""

from lab.reporting.offline_runs import SyncSummary, sync_offline_runs
from lab.reporting.page import write_report

__all__ = [
    "SyncSummary",
    "sync_offline_runs",
    "write_report",
]
