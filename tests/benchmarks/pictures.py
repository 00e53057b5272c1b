"""What an epoch's pictures cost, on disk and in W&B, against encoding each file plainly."""

import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lab.imaging import to_uint8
from lab.tracking import VISUAL_SAMPLES, SampleVisual, start_wandb, write_visuals
from tests.benchmarks.fills import holed_photo


def picture_seconds(size: int, rounds: int) -> tuple[float, float]:
    """Least processor seconds of an epoch's pictures at ``size``: as plain PNG files, and ours.

    Plain is Pillow's PNG of the same pictures, five a sample, in memory; ours are files that last,
    and a W&B run's copies of them.
    """
    visuals = []
    for index in range(VISUAL_SAMPLES):
        image, mask = (tensor[0] for tensor in holed_photo(size))
        image = image.roll(index, dims=-1)
        visuals.append(SampleVisual(f"photo-{index}", image, mask, image, image, image))
    plain: list[float] = []
    ours: list[float] = []
    before = os.environ.get("WANDB_MODE")
    os.environ["WANDB_MODE"] = "offline"
    try:
        with tempfile.TemporaryDirectory() as folder:
            tracker = start_wandb(Path(folder), "pictures", None, "0" * 16, {})
            for epoch in range(1, rounds + 2):  # the first one writes the truths, too
                began = time.process_time()
                for visual in visuals:
                    for _ in range(5):
                        _plain(visual.truth)
                plain.append(time.process_time() - began)
                began = time.process_time()
                write_visuals(Path(folder), epoch, visuals, tracker)
                ours.append(time.process_time() - began)
            if tracker is not None:
                tracker.finish()
    finally:
        os.environ.pop("WANDB_MODE")
        if before is not None:
            os.environ["WANDB_MODE"] = before
    return min(plain[1:]), min(ours[1:])


def _plain(image: torch.Tensor) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(to_uint8(image))).save(file, "png")
    return file.getvalue()
