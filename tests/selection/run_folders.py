"""Folders of runs and studies as training leaves them, written directly."""

import numpy as np
import optuna
import pandas as pd
from PIL import Image

from lab.formats.runs import checkpoint_path, loss_table
from lab.tracking import SampleScore, write_scores

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
    level = draws.normal(0, 0.1, photos)
    for epoch, mean in enumerate(quality, start=1):
        scores = []
        for crop in range(crops):
            for photo in range(photos):
                name = f"photo{photo}" if crop == 0 else f"photo{photo}~crop{crop}"
                value = mean + level[photo] + draws.normal(0, 0.01)
                given = {
                    key: metric(epoch) if callable(metric) else metric
                    for key, metric in {**SOUND, **metrics}.items()
                }
                scores.append(
                    SampleScore(name, f"photo{photo}", 0.25, {"hole_ssim": value, **given})
                )
        write_scores(folder, epoch, scores)
        if losses:
            values = losses(epoch) if callable(losses) else losses
            loss_table(folder).write_epoch(epoch, pd.DataFrame([values]))
        path = checkpoint_path(folder, epoch)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"network" * 100)
    (folder / "checkpoints" / "last.ckpt").write_bytes(b"everything")
    return folder


def write_study(folder, qualities, goals=("hole_ssim",), **options):
    """A study with a finished trial for each list of true means."""
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=folder.name, storage=f"sqlite:///{folder / 'study.db'}", direction="maximize"
    )
    study.set_user_attr("goals", list(goals))
    for number, quality in enumerate(qualities):
        write_run(folder / "trials" / f"trial-{number:03d}", quality, seed=number, **options)
        study.add_trial(optuna.trial.create_trial(value=max(quality)))
    return folder


def write_untrained(folder, epoch, values, ratio=0.25):
    """A baseline or applied variant: its ``hole_ssim`` of each photo."""
    scores = [
        SampleScore(f"photo{index}", f"photo{index}", ratio, {**SOUND, "hole_ssim": value})
        for index, value in enumerate(values)
    ]
    write_scores(folder, epoch, scores)


def write_visuals(run, photos, epochs):
    """Completions to vote on, of one pixel each."""
    for photo in photos:
        for epoch in epochs:
            path = run / "visuals" / photo / f"epoch-{epoch:03d}-completed.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (1, 1)).save(path)
