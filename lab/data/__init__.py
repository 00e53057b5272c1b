"""Photos and masks as batches, and the sets that are judged by."""

from lab.data.batches import Batch
from lab.data.entrants import Entrant, open_entrant, parse_entrant
from lab.data.evaluation_sets import (
    EvaluationBatch,
    EvaluationSample,
    EvaluationSet,
    read_evaluation_set,
)
from lab.data.photo_data_module import PhotoDataModule
from lab.data.photo_folders import (
    MaskPolarity,
    Polarity,
    find_polarity,
    pair_folders,
    read_photo_folders,
)

__all__ = [
    "Batch",
    "Entrant",
    "EvaluationBatch",
    "EvaluationSample",
    "EvaluationSet",
    "MaskPolarity",
    "PhotoDataModule",
    "Polarity",
    "find_polarity",
    "open_entrant",
    "pair_folders",
    "parse_entrant",
    "read_evaluation_set",
    "read_photo_folders",
]
