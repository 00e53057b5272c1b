"""One hole filled in several ways: side by side, two of them under a wipe, scored."""

from collections.abc import Sequence

import ipywidgets
import pandas as pd
import torch
from torch import Tensor

from lab.completion import Completed
from lab.imaging import Picture, contact_sheet, dilate, photo_file, read_image, show_hole
from lab.metrics import measure, rim_step, texture_mismatch
from lab.widgets.pictures import Wipe, encode_picture

_SHOWN = ("hole_psnr", "hole_ssim", "hole_texture", "rim_seam", "rim_sharpness_error")
_SIDE = 320
# How far the surroundings reach that a fill's texture is held against, in pixels.
_AROUND = 30


class Comparison(ipywidgets.VBox):
    """Several results of one photo and hole.

    Args:
        results: at least one; each must have a name of its own.
        truth: what is right in the hole, of the photo's size; None where nobody knows.

    Attributes:
        results: by name.
        scores: a row a result, a column a metric; empty without a truth.
        without_truth: what can be said without one, a row a result, lower is better:
            ``texture_mismatch``, how differently the fill's patches are distributed from those of
            the 30 pixels around the hole, and ``rim_step``, the step in colour across its border,
            in levels of 8 bits (the functions of `lab.metrics`).
        left, right: what the wipe shows.
        wipe: the pictures.

    Raises:
        ValueError: results of different sizes or of one name, or a truth of another size.
    """

    def __init__(self, results: Sequence[Completed], truth: Picture | None = None) -> None:
        super().__init__()
        self.results = {result.name: result for result in results}
        if len(self.results) < len(results):
            names = ", ".join(result.name for result in results)
            raise ValueError(f"two results have one name ({names}): rename a checkpoint's file")
        first = results[0]
        image, self._mask = first.source.image(), first.mask
        pictures = {"photo": image} | {name: result.tensor for name, result in self.results.items()}
        self.scores = pd.DataFrame()
        if truth is not None:
            pictures["truth"] = read_image(photo_file(truth, "the truth"))
        if len({tuple(picture.shape) for picture in pictures.values()}) > 1:
            sizes = {name: "x".join(map(str, x.shape[:0:-1])) for name, x in pictures.items()}
            raise ValueError(f"pictures of one comparison must be equally large, not {sizes}")
        if truth is not None:
            self._score(pictures["truth"])
        self.without_truth = self._judge()
        self._pictures = {"hole": show_hole(image, self._mask), **pictures}
        self.left = self._choice("left", "photo")
        self.right = self._choice("right", first.name)
        self.wipe = Wipe(b"", b"")
        self._draw()
        for control in (self.left, self.right):
            control.observe(self._draw, "value")
        parts: list[ipywidgets.Widget] = [
            self._image(self._sheet()),
            ipywidgets.HBox([self.left, self.right]),
            self.wipe,
        ]
        table = self.scores[list(_SHOWN)] if len(self.scores) else self.without_truth
        parts.insert(1, ipywidgets.HTML(table.round(4).to_html(escape=True, border=0)))
        self.children = parts

    def _score(self, truth: Tensor) -> None:
        rows = {}
        for name, result in self.results.items():
            values = measure(result.tensor[None], truth[None], self._mask[None])
            rows[name] = {metric: float(value) for metric, value in values.items()}
        self.scores = pd.DataFrame.from_dict(rows, orient="index")

    def _judge(self) -> pd.DataFrame:
        hole = self._mask[None]
        around = dilate(hole, _AROUND) - hole
        rows = {
            name: {
                "texture_mismatch": float(texture_mismatch(result.tensor[None], hole, around)),
                "rim_step": 255.0 * float(rim_step(result.tensor[None], hole)),
            }
            for name, result in self.results.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def _sheet(self) -> Tensor:
        shown = dict(self._pictures)
        shown.pop("photo")
        return contact_sheet([list(shown.values())], list(shown), cell_size=_SIDE)

    def _choice(self, description: str, value: str) -> ipywidgets.Dropdown:
        return ipywidgets.Dropdown(
            description=description, options=list(self._pictures), value=value
        )

    def _image(self, picture: Tensor) -> ipywidgets.Image:
        return ipywidgets.Image(value=encode_picture(picture), format="png")

    def _draw(self, _: object = None) -> None:
        with torch.no_grad():
            for side, control in (("left", self.left), ("right", self.right)):
                setattr(self.wipe, side, encode_picture(self._pictures[control.value]))
                setattr(self.wipe, f"{side}_name", control.value)
