"""Completing photos: one, a folder of files, or pictures in memory."""

from lab.completion.files import (
    Completion,
    Job,
    Pairing,
    check_targets,
    complete_file,
    pair_files,
)
from lab.completion.pictures import Completed, complete_picture

__all__ = [
    "Completed",
    "Completion",
    "Job",
    "Pairing",
    "check_targets",
    "complete_file",
    "complete_picture",
    "pair_files",
]
