"""Reviewing what runs left on disk: an offline page, a W&B report, and uploading offline runs.

`lab.reporting.wandb_report` is not imported here: its library takes seconds, and the page needs
none of it.
"""

from lab.reporting.index import all_done, write_index
from lab.reporting.offline_runs import SyncSummary, sync_offline_runs
from lab.reporting.page import write_report
from lab.reporting.picturing import picture_more
from lab.reporting.watching import is_done, watch

__all__ = [
    "SyncSummary",
    "all_done",
    "is_done",
    "picture_more",
    "sync_offline_runs",
    "watch",
    "write_index",
    "write_report",
]
