"""Study folders as a sweep leaves them, written directly: many trials in a second."""

import io

import numpy as np
import optuna
import pandas as pd
from PIL import Image

import lab.metrics

STAGES = ("coarse", "refined", "completed")
HOLE = "model.objective.weights.hole_l1"
MS_SSIM = "model.objective.weights.ms_ssim"
RATE = "model.optimization.generator_learning_rate"
METRICS = {"hole_ssim": 0.3, "hole_psnr": 14.0, "rim_ssim": 0.6, "hole_l1": 0.2}


def png(colour, size=48):
    """A picture of one colour with a grain, so that it takes as much room as a photo."""
    grain = np.random.default_rng(0).integers(-20, 21, (size, size, 3))
    pixels = np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def colour_of(photo, epoch, stage="completed", trial=0):
    """What the middle of a picture shows; different in every epoch."""
    return (40 + 15 * epoch, 30 + 30 * photo, 60 * STAGES.index(stage) + 12 * (trial % 3))


def write_pictures(run, photos, epochs, size=48, trial=0, made=None):
    made = {} if made is None else made
    for number, photo in enumerate(photos):
        folder = run / "visuals" / photo
        folder.mkdir(parents=True)
        truth = np.asarray(Image.open(io.BytesIO(png((20, 160, 40 * number), size))))
        hole = truth.copy()
        hole[size // 4 : size // 2, size // 4 : size // 2] = (237, 38, 158)
        for name, pixels in (("truth", truth), ("hole", hole)):
            Image.fromarray(pixels).save(folder / f"{name}.png")
        for epoch in range(1, epochs + 1):
            for stage in STAGES:
                colour = colour_of(number, epoch, stage, trial)
                made[colour, size] = made.get((colour, size)) or png(colour, size)
                (folder / f"epoch-{epoch:03d}-{stage}.png").write_bytes(made[colour, size])


def write_baseline(folder, photos, quality=1.0, size=48):
    """What needs no training: one epoch, numbered 0, and nothing but its completions."""
    for number, photo in enumerate(photos):
        pictures = folder / "visuals" / photo
        pictures.mkdir(parents=True)
        for name in ("truth", "hole"):
            source = folder.parents[1] / "trials" / "trial-000" / "visuals" / photo / f"{name}.png"
            (pictures / f"{name}.png").write_bytes(source.read_bytes())
        (pictures / "epoch-000-completed.png").write_bytes(png(colour_of(number, 0), size))
    write_scores(folder, photos, [0], quality)


def write_run(run, photos, epochs, quality=0.0, size=48, trial=0, made=None):
    """A run whose scores grow with ``quality`` and with the epochs."""
    write_pictures(run, photos, epochs, size, trial, made)
    write_scores(run, photos, range(1, epochs + 1), quality)
    write_losses(run, epochs, trial)
    (run / "config.yaml").write_text(f"fit:\n  epochs: {epochs}\n  seed: {trial}\n")
    (run / "checkpoints").mkdir()
    for epoch in range(1, epochs + 1):
        (run / "checkpoints" / f"epoch-{epoch:03d}.pt").touch()


def write_scores(run, photos, epochs, quality):
    rows = [
        {"epoch": epoch, "photo": photo, "sample": photo, "hole_ratio": 0.1 + 0.05 * number}
        | {
            metric: base * (1 + quality + 0.02 * epoch + 0.03 * number)
            for metric, base in METRICS.items()
        }
        for epoch in epochs
        for number, photo in enumerate(photos)
    ]
    pd.DataFrame(rows).to_csv(run / "photos.csv", index=False)


def write_losses(run, epochs, trial=0):
    """A term that falls, a discriminator that tells true photos from completed ones ever better."""
    rows = [
        {
            "epoch": epoch,
            "total": 4.0 / epoch + trial,
            "hole_l1": 0.4 / epoch,
            "discriminator": 2.0 / epoch,
            "real_logit": 0.5 * epoch,
            "fake_logit": -0.25 * epoch,
        }
        for epoch in range(1, epochs + 1)
    ]
    pd.DataFrame(rows).to_csv(run / "losses.csv", index=False)


def add_pruned(folder, photos=("cat", "lake"), epochs=2, size=48):
    """A further trial that was ended early, by `hole_ssim`."""
    study = optuna.load_study(study_name=folder.name, storage=f"sqlite:///{folder / 'study.db'}")
    number = len(study.trials)
    run = folder / "trials" / f"trial-{number:03d}"
    write_run(run, photos, epochs, -0.05, size, number)
    study.add_trial(
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.PRUNED,
            params={HOLE: 5.0, MS_SSIM: 1.0, RATE: 1e-3},
            distributions=study.trials[0].distributions,
            intermediate_values={epoch: 0.2 + 0.01 * epoch for epoch in range(1, epochs + 1)},
        )
    )
    return run


def best_at(run, epoch):
    """Rewrite a run's scores so that this epoch is its best."""
    table = pd.read_csv(run / "photos.csv")
    for metric in METRICS:
        table.loc[table["epoch"] == epoch, metric] += 0.1
    table.to_csv(run / "photos.csv", index=False)


def write_study(folder, trials=3, epochs=4, photos=("cat", "lake"), goals=("hole_ssim",), size=48):
    """A study of finished trials, each better than the one before; the question names the first."""
    folder.mkdir(parents=True)
    study = optuna.create_study(
        study_name=folder.name,
        storage=f"sqlite:///{folder / 'study.db'}",
        directions=[
            "maximize" if lab.metrics.METRICS[goal].higher_is_better else "minimize"
            for goal in goals
        ],
    )
    study.set_user_attr("question", "Does it matter <b>how</b> much?")
    study.set_user_attr("goals", list(goals))
    ranges = {
        HOLE: optuna.distributions.FloatDistribution(0.1, 24.0, log=True),
        MS_SSIM: optuna.distributions.FloatDistribution(0.0, 5.0),
        RATE: optuna.distributions.FloatDistribution(1e-5, 0.1, log=True),
    }
    made = {}
    for number in range(trials):
        quality = 0.01 * number
        write_run(
            folder / "trials" / f"trial-{number:03d}", photos, epochs, quality, size, number, made
        )
        study.add_trial(
            optuna.trial.create_trial(
                values=[quality + index for index, _ in enumerate(goals)],
                params={
                    HOLE: 0.1 * (1 + number),
                    MS_SSIM: (number * 7 % 50) / 10,
                    RATE: 1e-4 * (1 + number * 3 % 11),
                },
                distributions=ranges,
                user_attrs={"first": True} if number == 0 else {},
            )
        )
    write_baseline(folder / "baselines" / "Telea", photos, quality=1.0, size=size)
    return folder


def write_study_with_knee(folder):
    """A study of two goals, whose second trial gives up little of one for half of the other."""
    write_study(folder, trials=4, goals=("hole_ssim", "hole_l1"))
    # From true and blurred to false and sharp.
    for number, (first, second) in enumerate([(0.60, 0.4), (0.59, 0.2), (0.50, 0.15), (0.4, 0.1)]):
        path = folder / "trials" / f"trial-{number:03d}" / "photos.csv"
        table = pd.read_csv(path)
        table["hole_ssim"], table["hole_l1"] = first, second
        table.to_csv(path, index=False)
    return folder
