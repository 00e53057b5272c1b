"""Folders of runs and studies as training leaves them, written directly."""

import numpy as np
from PIL import Image

from lab.tracking import LossRecords, PhotoRecords, PhotoScore, checkpoint_path

SOUND = {
    "hole_psnr": 20.0,
    "rim_ssim": 0.8,
    "hole_l1": 0.1,
    "whole_l1": 0.025,  # all of it in the hole, a quarter of the photo
    "hole_blur": 0.1,
    "answer_known_l1": 0.03,
}
ALIVE = {"real_logit": 0.8, "fake_logit": -0.4, "discriminator": 1.2}


def write_run(folder, quality, photos=20, crops=1, losses=ALIVE, seed=0, **metrics):
    """A run of an epoch for each number of ``quality``: its true mean ``hole_ssim``.

    ``metrics`` are further values, for all epochs or as a function of the epoch.
    """
    draws = np.random.default_rng(seed)
    records, kept = PhotoRecords(folder / "photos.csv"), LossRecords(folder / "losses.csv")
    level = draws.normal(0, 0.1, photos)
    for epoch, mean in enumerate(quality, start=1):
        scores = []
        for crop in range(crops):
            for photo in range(photos):
                name = f"photo{photo}" if crop == 0 else f"photo{photo}-crop{crop}"
                value = mean + level[photo] + draws.normal(0, 0.01)
                given = {
                    key: metric(epoch) if callable(metric) else metric
                    for key, metric in {**SOUND, **metrics}.items()
                }
                scores.append(PhotoScore(name, 0.25, {"hole_ssim": value, **given}))
        records.write_epoch(epoch, scores)
        if losses:
            kept.write_epoch(epoch, losses(epoch) if callable(losses) else losses)
        path = checkpoint_path(folder, epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"network" * 100)
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"everything")
    return folder


def write_study(folder, qualities, **options):
    """A study with a trial for each list of true means."""
    for number, quality in enumerate(qualities):
        write_run(folder / "trials" / f"trial-{number:03d}", quality, seed=number, **options)
    return folder


def write_visuals(run, photos, epochs):
    """Completions to vote on, of one pixel each."""
    for photo in photos:
        for epoch in epochs:
            path = run / "visuals" / photo / f"epoch-{epoch:03d}-completed.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (1, 1)).save(path)
