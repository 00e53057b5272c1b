"""What a run leaves behind: scores a photo, pictures an epoch, checkpoints, and its W&B run."""

from lab.tracking.epoch_recorder import VISUAL_PHOTOS, EpochRecorder, EpochScore, checkpoint_path
from lab.tracking.epoch_visuals import PhotoVisual, visual_path, write_visuals
from lab.tracking.loss_records import LossRecords
from lab.tracking.photo_records import PhotoRecords, PhotoScore, mean_scores
from lab.tracking.wandb_tracker import WandbTracker, start_wandb

__all__ = [
    "VISUAL_PHOTOS",
    "EpochRecorder",
    "EpochScore",
    "LossRecords",
    "PhotoRecords",
    "PhotoScore",
    "PhotoVisual",
    "WandbTracker",
    "checkpoint_path",
    "mean_scores",
    "start_wandb",
    "visual_path",
    "write_visuals",
]
