"""A run trained in a notebook: its progress, scores and pictures as they come."""

from collections.abc import Sequence
from pathlib import Path

import ipywidgets
from IPython.display import display

from lab.formats.runs import checkpoint_path
from lab.parsing import options_from
from lab.runs import StepProgress, fit_run, has_ended, holding_run, refuse_other_settings
from lab.settings import build_experiment, parse_experiment
from lab.studies import read_question
from lab.tracking import EpochScore
from lab.widgets.epoch_browser import EpochBrowser

_SHOWN = ("hole_psnr", "hole_ssim", "rim_ssim")


def short_training(sweeps: Path, epochs: int, photos: Path | None = None) -> list[str]:
    """Settings of a run that minutes on two cores are enough for.

    Those of the documented network in ``documented_weights.yaml``, on which every variant goes.

    Args:
        sweeps: the folder of the questions.
        epochs: how many.
        photos: a folder, or None for the starter photos.

    Raises:
        SettingsError: the question is not there.
    """
    options = options_from(read_question("documented_weights", sweeps).base)
    options.append(f"--fit.epochs={epochs}")
    return options if photos is None else [*options, f"--data.photos={photos.resolve()}"]


def train_and_watch(options: Sequence[str], folder: Path) -> Path:
    """Train a run, or go on with it, and show below the cell what it does.

    Interrupting the kernel keeps every finished epoch; the same call goes on from the last one. A
    run that has all its epochs is only shown.

    Args:
        options: as for ``python -m lab.train``.
        folder: of the run.

    Returns:
        Path: the network after the last epoch.

    Raises:
        SettingsError: settings that are wrong, or not those that the run in the folder began with;
            or another process is writing it.
    """
    experiment = build_experiment(parse_experiment(options))
    refuse_other_settings(experiment, folder)
    photos = ipywidgets.Label(experiment.read_photos().splitlines()[0])
    bar = ipywidgets.IntProgress(min=0, max=1)
    step, scores = ipywidgets.Label("starting"), ipywidgets.Output()
    pictures = ipywidgets.VBox()
    display(ipywidgets.VBox([photos, ipywidgets.HBox([bar, step]), scores, pictures]))

    def on_step(progress: StepProgress) -> None:
        bar.max = progress.epochs * progress.steps
        bar.value = (progress.epoch - 1) * progress.steps + progress.step
        step.value = (
            f"epoch {progress.epoch} of {progress.epochs}, step {progress.step} of {progress.steps}"
        )

    def on_epoch(score: EpochScore) -> None:
        values = ", ".join(f"{name} {score.means[name]:.4f}" for name in _SHOWN)
        scores.append_stdout(f"epoch {score.epoch}: {values}\n")
        show_pictures()

    def show_pictures() -> None:
        if pictures.children:
            pictures.children[0].refresh()
        else:
            pictures.children = [EpochBrowser(folder)]

    last = checkpoint_path(folder, experiment.fit.epochs)
    if has_ended(experiment, folder):
        bar.value, step.value = 1, f"all {experiment.fit.epochs} epochs are there"
        show_pictures()
        return last
    with holding_run(folder, experiment.fit):
        fit_run(
            experiment,
            folder,
            folder.name,
            on_step=on_step,
            on_epoch=on_epoch,
            on_start=lambda said: scores.append_stdout(f"{said}\n"),
        )
    step.value = f"done: {last}"
    return last
