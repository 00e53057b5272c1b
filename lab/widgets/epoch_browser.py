"""What a run or a study left of every epoch: a slider through all photos, a wipe between two."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import ipywidgets
import numpy as np

from lab.reporting.pictures import MAIN_STAGE, Photo, find_photos
from lab.results import ResultsError, Run, open_study
from lab.widgets.pictures import Wipe

_TRUTH, _HOLE = "truth", "photo with its hole"


def _names(runs: Sequence[Run]) -> list[str]:
    """What runs are called, and where two are called alike, as what they lie in, too."""
    labels = [run.label for run in runs]
    return [
        run.label if labels.count(run.label) == 1 else f"{run.label} ({run.name})" for run in runs
    ]


class EpochBrowser(ipywidgets.VBox):
    """Moves all pictured photos of a run through its epochs by one slider.

    Args:
        folder: of a run or a study.
        metric: shown beside each photo.
        side: width of a picture on the page, in pixels.

    Attributes:
        run: which run of a study.
        stage: what the network gave before pasting, or the completed photo.
        epoch: the slider.

    Raises:
        ResultsError: no run or study, or none with pictures yet.
    """

    def __init__(self, folder: Path, metric: str = "hole_ssim", side: int = 192) -> None:
        super().__init__()
        self._folder, self._metric, self._side = folder, metric, side
        self.run = ipywidgets.Dropdown(description="run")
        self.stage = ipywidgets.Dropdown(description="stage")
        self.epoch = ipywidgets.SelectionSlider(
            options=[1], description="epoch", layout={"width": "24em"}
        )
        self._grid = ipywidgets.GridBox(
            layout={"grid_template_columns": "12em repeat(3, max-content)", "grid_gap": "4px 8px"}
        )
        self._cells: dict[str, tuple[ipywidgets.HTML, ipywidgets.Image]] = {}
        self._shown: list[Photo] = []
        self.refresh()
        self.run.observe(self._choose_run, "value")
        for control in (self.stage, self.epoch):
            control.observe(self._draw, "value")
        controls = [self.stage, self.epoch]
        if len(self._runs) > 1:
            controls.insert(0, self.run)
        self.children = [ipywidgets.HBox(controls), self._grid]

    def refresh(self) -> None:
        """Read the folder again, and show the newest epoch."""
        study = open_study(self._folder, networks=False)
        photos = find_photos(study.runs)
        shown = [run for run in study.runs if any(run.name in photo.epochs for photo in photos)]
        self._runs = dict(zip(_names(shown), shown, strict=True))
        if not self._runs:
            raise ResultsError(f"{self._folder} has no pictures yet: wait for its first epoch")
        self._photos = photos
        chosen = self.run.value
        self.run.options = list(self._runs)
        self.run.value = chosen if chosen in self._runs else next(iter(self._runs))
        self._choose_run()

    def _choose_run(self, _: object = None) -> None:
        name = self._run.name
        shown = [photo for photo in self._photos if name in photo.epochs]
        # Widgets are made anew only for other photos: while a run trains, they stay the same.
        if [photo.truth for photo in shown] != [photo.truth for photo in self._shown]:
            self._lay_out(shown)
        self._shown = shown
        stages = shown[0].epochs[name]
        stage = self.stage.value or MAIN_STAGE
        self.stage.options = sorted(stages)
        self.stage.value = stage if stage in stages else MAIN_STAGE
        epochs = sorted(stages[MAIN_STAGE])
        self.epoch.options = epochs
        self.epoch.value = epochs[-1]
        self._draw()

    def _lay_out(self, photos: list[Photo]) -> None:
        """A row a photo: its name, the hole, the picture that the slider changes, the truth."""
        self._cells = {}
        children: list[ipywidgets.Widget] = [
            ipywidgets.HTML(f"<b>{title}</b>") for title in ("", "hole", "filled", "truth")
        ]
        for photo in photos:
            text, filled = ipywidgets.HTML(), self._image(b"")
            hole, truth = (self._image(path.read_bytes()) for path in (photo.hole, photo.truth))
            self._cells[photo.name] = (text, filled)
            children += [text, hole, filled, truth]
        self._grid.children = children

    def _draw(self, _: object = None) -> None:
        run, stage, epoch = self._run, self.stage.value, self.epoch.value
        for photo in self._shown:
            text, filled = self._cells[photo.name]
            path = photo.epochs[run.name].get(stage, {}).get(epoch)
            filled.value = b"" if path is None else path.read_bytes()
            text.value = f"{escape(photo.name)}<br>{self._score(run, epoch, photo.name)}"

    def _score(self, run: Run, epoch: int, photo: str) -> str:
        if self._metric not in run.scores or (epoch, photo) not in run.scores.index:
            return ""
        value = float(np.asarray(run.scores.loc[(epoch, photo), self._metric]).item())
        return f"{self._metric} {value:.4g}"

    def _image(self, value: bytes) -> ipywidgets.Image:
        image = ipywidgets.Image(value=value, format="png", width=self._side)
        image.add_class("lab-pixels")
        return image

    @property
    def _run(self) -> Run:
        return self._runs[self.run.value]


class EpochComparison(ipywidgets.VBox):
    """Two of a photo's pictures under a wipe: epochs, trials, the hole, the truth.

    Args:
        folder: of a run or a study.

    Attributes:
        photo: which one.
        left: what is left of the line; begins as the first epoch of the best run.
        right: what is right of it; begins as the last one.
        wipe: the pictures.

    Raises:
        ResultsError: no run or study, or none with pictures yet.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        study = open_study(folder, networks=False)
        self._runs = study.runs
        photos = {photo.name: photo for photo in find_photos(study.runs)}
        if not photos:
            raise ResultsError(f"{folder} has no pictures yet: wait for its first epoch")
        self._photos = photos
        self.photo = ipywidgets.Dropdown(description="photo", options=list(photos))
        self.left = ipywidgets.Dropdown(description="left")
        self.right = ipywidgets.Dropdown(description="right")
        self.wipe = Wipe(b"", b"")
        self._choose_photo()
        self.photo.observe(self._choose_photo, "value")
        for control in (self.left, self.right):
            control.observe(self._draw, "value")
        controls = ipywidgets.HBox([self.photo, self.left, self.right])
        self.children = [controls, self.wipe]

    def _choose_photo(self, _: object = None) -> None:
        photo = self._photos[self.photo.value]
        names = _names(self._runs)
        self._pictures = {
            f"{f'{name}, ' if len(names) > 1 else ''}epoch {epoch}": path
            for name, run in zip(names, self._runs, strict=True)
            for epoch, path in sorted(photo.epochs.get(run.name, {}).get(MAIN_STAGE, {}).items())
        }
        epochs = list(self._pictures)
        of_best = [name for name in epochs if name.startswith(f"{names[0]}, ")] or epochs
        self._pictures |= {_TRUTH: photo.truth, _HOLE: photo.hole}
        for control, first in ((self.left, of_best[0]), (self.right, of_best[-1])):
            kept = control.value if control.value in self._pictures else first
            control.options = list(self._pictures)
            control.value = kept
        self._draw()

    def _draw(self, _: object = None) -> None:
        for side, control in (("left", self.left), ("right", self.right)):
            if control.value in self._pictures:
                setattr(self.wipe, side, self._pictures[control.value].read_bytes())
                setattr(self.wipe, f"{side}_name", control.value)
