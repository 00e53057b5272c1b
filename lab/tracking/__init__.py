"""What a run leaves behind: scores a sample, pictures an epoch, checkpoints, and its W&B run."""

from lab.tracking.epoch_recorder import VISUAL_SAMPLES, EpochRecorder
from lab.tracking.epoch_visuals import SampleVisual, write_visuals
from lab.tracking.sample_scores import EpochScore, SampleScore, mean_scores, write_scores
from lab.tracking.wandb_tracker import WandbTracker, logged_in, start_wandb

__all__ = [
    "VISUAL_SAMPLES",
    "EpochRecorder",
    "EpochScore",
    "SampleScore",
    "SampleVisual",
    "WandbTracker",
    "logged_in",
    "mean_scores",
    "start_wandb",
    "write_scores",
    "write_visuals",
]
