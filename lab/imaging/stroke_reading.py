"""Read drawings of lines: a person's sketch, or edges.

Dark lines on light or light lines on dark, whichever there is less of; transparency is paper. A
drawing of another size is brought to the photo's so that thin lines survive.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.imaging.reading import PhotoFile, read_source
from lab.untrusted import printable

_WHITE_FROM = 128
_LARGEST_SHARE = 0.4
# Sides of a scaled drawing are rounded to whole pixels.
_SIDE_TOLERANCE = 1.0


@dataclass(frozen=True)
class StrokeReading:
    """A drawing, read.

    ``strokes`` is float32 ``(1, H, W)`` of exactly 0 and 1, with 1 = stroke. ``note`` says, in one
    line, what the file left to interpretation; ``None`` where it left nothing.
    """

    strokes: Tensor
    note: str | None = None


def read_strokes(
    path: str | PhotoFile, size: tuple[int, int], name: str = "sketch"
) -> StrokeReading:
    """Read a drawing of lines for a photo.

    Args:
        path: any file that `read_source` reads, or one in memory; colours count by their lightness.
        size: the photo's ``(height, width)``. A drawing may be larger or smaller, of the same
            shape.
        name: what errors call it.

    Raises:
        UnreadablePhotoError: the file cannot be read.
        ValueError: it has another shape, no lines, or so much ink that it is no drawing.
    """
    gray = read_source(path).rgb8().mean(axis=2)
    check_shape(path, gray.shape, size, name)
    light = gray >= _WHITE_FROM
    share = float(light.mean())
    is_dark_on_light = share > 0.5
    strokes = ~light if is_dark_on_light else light
    what = f"the {name} {printable(path)}"
    if not strokes.any():
        colour = "light" if is_dark_on_light else "dark"
        raise ValueError(
            f"{what} has no lines: every pixel is {colour}. Draw dark lines on light, or light "
            "lines on dark"
        )
    if strokes.mean() > _LARGEST_SHARE:
        raise ValueError(
            f"{what} is no drawing of lines: {100 * share:.3g} % of its pixels are light and "
            f"{100 - 100 * share:.3g} % dark, and lines cover at most "
            f"{100 * _LARGEST_SHARE:g} %. Is it a photo?"
        )
    notes = ["dark lines on light were read"] if is_dark_on_light else []
    planes = torch.from_numpy(strokes.astype(np.float32))[None]
    if gray.shape != tuple(size):
        notes.append(f"scaled from {gray.shape[1]}x{gray.shape[0]} to {size[1]}x{size[0]}")
        planes = _scaled(planes, size)
    return StrokeReading(planes, "; ".join(notes) or None)


def check_shape(
    path: str | PhotoFile, found: tuple[int, ...], size: tuple[int, int], name: str
) -> None:
    """Raise ``ValueError`` where one picture cannot be another one scaled."""
    height, width = found
    scale = (height * width / (size[0] * size[1])) ** 0.5
    slack = _SIDE_TOLERANCE * max(1.0, scale)
    if abs(height - scale * size[0]) > slack or abs(width - scale * size[1]) > slack:
        raise ValueError(
            f"the {name} {printable(path)} is {width}x{height} (width x height), but the photo is "
            f"{size[1]}x{size[0]}: draw it on the photo itself, or scale it evenly"
        )


def _scaled(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Take the largest value of pixels that become one; repeat one that becomes many."""
    if size[0] <= planes.shape[1] and size[1] <= planes.shape[2]:
        return F.adaptive_max_pool2d(planes, size)
    return F.interpolate(planes[None], size, mode="nearest-exact")[0]
