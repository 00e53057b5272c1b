"""Completing photos: one, a folder of files, or pictures in memory."""

from lab.completion.files import (
    Completion,
    Job,
    Pairing,
    check_targets,
    complete_file,
    pair_files,
)
from lab.completion.guiding import Guidance
from lab.completion.pictures import Completed, complete_picture

__all__ = [
    "Completed",
    "Completion",
    "Guidance",
    "Job",
    "Pairing",
    "check_targets",
    "complete_file",
    "complete_picture",
    "pair_files",
]
