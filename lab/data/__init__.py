"""Photos and masks as batches, and the sets that are judged by."""

from lab.data.batches import Batch
from lab.data.evaluation_sets import (
    EvaluationBatch,
    EvaluationSample,
    EvaluationSet,
    read_evaluation_set,
)
from lab.data.photo_data_module import PhotoDataModule

__all__ = [
    "Batch",
    "EvaluationBatch",
    "EvaluationSample",
    "EvaluationSet",
    "PhotoDataModule",
    "read_evaluation_set",
]
