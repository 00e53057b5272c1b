"""A mask drawn by hand on a photo: brush, eraser, undo."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import anywidget
import cv2
import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from PIL import Image
from torch import Tensor

from lab.checks import check_image, check_mask
from lab.widgets.pictures import ASSETS, encode_picture

Kind = Literal["brush", "eraser", "clear"]

# What is shown of a larger photo is shrunk to this; strokes are in the photo's own pixels.
_LONGEST_SIDE = 1024
_COLOUR = (237, 38, 158)
# cv2 reads the last bits of a coordinate as a fraction: here, sixteenths of a pixel.
_FRACTION_BITS = 4


class MaskPainter(anywidget.AnyWidget):
    """Shows a photo to paint a hole on.

    The browser sends strokes, and the mask is drawn from them here, in the photo's own pixels. So
    what the widget holds can be kept, shown again, and set without a hand: a stroke is a mapping of
    ``kind`` (``"brush"``, ``"eraser"``, or ``"clear"``, which empties all), ``radius`` in pixels
    and ``points``, a list of ``[x, y]`` in pixels, x to the right and y downwards from the upper
    left corner. Undo takes the last one away.

    Args:
        image: the photo, ``(3, H, W)`` in [0, 1].
        start: a mask ``(1, H, W)`` to begin from, such as one that a mask source found.
        strokes: drawn already.

    Raises:
        TypeError, ValueError: no image or mask by the conventions, or sizes that differ.
    """

    _esm = ASSETS / "mask_painter.js"
    _css = ASSETS / "widgets.css"
    photo = traitlets.Bytes().tag(sync=True)
    start = traitlets.Bytes().tag(sync=True)
    width = traitlets.Int().tag(sync=True)
    height = traitlets.Int().tag(sync=True)
    strokes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        image: Tensor,
        start: Tensor | None = None,
        strokes: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        check_image(image[None])
        height, width = image.shape[1:]
        if start is not None:
            check_mask(start[None], image[None])
        self._start = torch.zeros(1, height, width) if start is None else start
        super().__init__(
            photo=encode_picture(_shrunk(image)),
            start=b"" if start is None else _coloured(start),
            width=width,
            height=height,
        )
        self.observe(self._summarize, "strokes")
        self.strokes = [dict(stroke) for stroke in strokes]
        self._summarize()

    @property
    def mask(self) -> Tensor:
        """What is painted, ``(1, H, W)`` of 0 and 1, 1 = hole; all 0 where nothing is.

        Raises:
            ValueError: a stroke of another kind.
        """
        levels = np.ascontiguousarray(self._start[0].numpy().astype(np.uint8))
        for stroke in self.strokes:
            _draw(levels, stroke)
        return torch.from_numpy(levels.astype(np.float32))[None]

    def _summarize(self, _: object = None) -> None:
        share = float(self.mask.mean())
        self.summary = f"hole: {share:.1%} of the photo" if share else "nothing is painted yet"


def _draw(levels: np.ndarray, stroke: Mapping[str, Any]) -> None:
    """Draw one stroke onto uint8 levels ``(H, W)`` of 0 and 1."""
    kind: Kind = stroke["kind"]
    if kind not in ("brush", "eraser", "clear"):
        raise ValueError(f"a stroke's kind is {kind!r}, but must be brush, eraser or clear")
    if kind == "clear":
        levels[:] = 0
        return
    value, radius = int(kind == "brush"), float(stroke["radius"])
    # A pixel's coordinate is its middle here, and its upper left corner in the browser.
    points = np.rint((np.array(stroke["points"], float) - 0.5) * 2**_FRACTION_BITS).astype(int)
    thickness = max(1, round(2 * radius))
    for point in points:
        cv2.circle(
            levels,
            tuple(point.tolist()),
            round(radius * 2**_FRACTION_BITS),
            value,
            cv2.FILLED,
            shift=_FRACTION_BITS,
        )
    cv2.polylines(levels, [points], False, value, thickness, shift=_FRACTION_BITS)


def _shrunk(image: Tensor) -> Tensor:
    """The image, its longer side no longer than a screen's."""
    scale = min(1.0, _LONGEST_SIDE / max(image.shape[1:]))
    height, width = (max(1, round(side * scale)) for side in image.shape[1:])
    return F.adaptive_avg_pool2d(image, (height, width)).clamp(0, 1)


def _coloured(mask: Tensor) -> bytes:
    """A PNG of ``mask (1, H, W)``: coloured where it is 1, else transparent."""
    hole = mask[0].numpy().astype(np.uint8)[..., None]
    file = io.BytesIO()
    Image.fromarray(hole * np.array([*_COLOUR, 255], np.uint8)).save(file, "PNG")
    return file.getvalue()
