"""Photos and masks as batches."""

from lab.data.photo_data_module import PhotoDataModule
from lab.data.photo_datasets import Batch

__all__ = ["Batch", "PhotoDataModule"]
