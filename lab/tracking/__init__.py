"""What a run leaves behind: scores a photo, pictures an epoch, checkpoints, and its W&B run."""

from lab.tracking.epoch_recorder import VISUAL_PHOTOS, EpochRecorder, EpochScore, checkpoint_path
from lab.tracking.epoch_visuals import visual_path
from lab.tracking.photo_records import PhotoRecords, PhotoScore
from lab.tracking.wandb_tracker import WandbTracker, start_wandb

__all__ = [
    "VISUAL_PHOTOS",
    "EpochRecorder",
    "EpochScore",
    "PhotoRecords",
    "PhotoScore",
    "WandbTracker",
    "checkpoint_path",
    "start_wandb",
    "visual_path",
]
