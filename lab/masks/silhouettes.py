"""Holes shaped like people, pasted at random places and scales."""

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import torch
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.files import replacing
from lab.masks.drawing import check_range, draw_usable
from lab.untrusted import open_regular

# Half of a pixel's area makes it hole; a little less keeps thin arms of small figures.
_FROM_SHARE = 0.4
_FIGURE_HEIGHT = 160

MOST_SHAPES = 100_000
"""Silhouettes in a library; each takes some hundred bytes besides its pixels."""

MOST_PIXELS = 2**29
"""Pixels of a library's silhouettes together: 14 thousand of the size that they are kept at. Each
takes a byte."""

LONGEST_SIDE = 4096
"""Pixels of a silhouette's longer side; ``data_prep.silhouettes`` keeps 192."""

_HEADER = 1024


@dataclass(frozen=True)
class Silhouettes(MaskGenerator):
    """Shapes of real people from a library; the hole that a removed person really leaves.

    ``python -m data_prep.silhouettes`` makes a library from masks. Without one, figures are drawn
    from a head, a trunk and limbs in a walking pose: better than a rectangle, worse than people.

    Args:
        library: the file, as written by `write_silhouettes`; None draws figures.
        count: how many people, lowest and highest.
        height: of a person, lowest and highest, in shares of the image's height. Who would be wider
            than the image is made smaller.
        mirror: mirror half of them.

    Raises:
        ValueError: a range is swapped, or the file is missing or no library.
    """

    library: Path | None = None
    count: tuple[int, int] = (1, 1)
    height: tuple[float, float] = (0.4, 0.95)
    mirror: bool = True
    _shapes: tuple[np.ndarray, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        """Check the ranges and read the library."""
        check_range("count", self.count, 1, math.inf)
        check_range("height", self.height, 0.0, 1.0)
        if self.library is not None:
            object.__setattr__(self, "_shapes", tuple(read_silhouettes(self.library)))

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""

        def draw() -> Tensor:
            mask = np.zeros((height, width), np.float32)
            for _ in range(int(generator.integers(*self.count, endpoint=True))):
                person = self._person(height, width, generator)
                rows, columns = person.shape
                top = int(generator.integers(height - rows, endpoint=True))
                left = int(generator.integers(width - columns, endpoint=True))
                part = mask[top : top + rows, left : left + columns]
                np.maximum(part, person, out=part)
            return torch.from_numpy(mask)[None]

        return draw_usable(draw, self)

    def _person(self, height: int, width: int, generator: np.random.Generator) -> np.ndarray:
        """Return one person scaled to fit into the image, float32 of 0 and 1."""
        if self._shapes:
            shape = self._shapes[int(generator.integers(len(self._shapes)))]
        else:
            shape = draw_figure(generator)
        if self.mirror and generator.random() < 0.5:
            shape = shape[:, ::-1]
        scale = min(
            generator.uniform(*self.height) * height / shape.shape[0], width / shape.shape[1]
        )
        size = tuple(max(1, round(side * scale)) for side in shape.shape[::-1])
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(np.ascontiguousarray(shape, np.float32), size, interpolation=method)
        person: np.ndarray = (scaled >= _FROM_SHARE).astype(np.float32)
        return person


def draw_figure(generator: np.random.Generator) -> np.ndarray:
    """Draw somebody who walks or stands: a head, a trunk, two arms and two legs.

    Lengths follow the usual figure of seven and a half heads.

    Returns:
        bool ``(H, W)``, cut to the figure.
    """
    unit = _FIGURE_HEIGHT / 7.5
    canvas = np.zeros((2 * _FIGURE_HEIGHT, 2 * _FIGURE_HEIGHT), np.uint8)
    centre = np.array([_FIGURE_HEIGHT, _FIGURE_HEIGHT / 4])
    broad, lean = generator.uniform(0.8, 1.3), generator.uniform(-0.1, 0.1)

    def limb(start: np.ndarray, angle: float, length: float, thickness: float) -> np.ndarray:
        end = start + length * unit * np.array([math.sin(angle), math.cos(angle)])
        points = [tuple(int(value) for value in np.rint(point)) for point in (start, end)]
        cv2.line(canvas, points[0], points[1], 1, max(1, round(thickness * unit)))
        return end

    neck = centre + np.array([0.0, unit])
    hips = limb(neck + np.array([0.0, 0.4 * unit]), lean, 2.3, 1.3 * broad)
    cv2.ellipse(
        canvas,
        tuple(int(value) for value in np.rint(centre + np.array([0.0, 0.5 * unit]))),
        (round(0.4 * unit), round(0.55 * unit)),
        *(0, 0, 360, 1, cv2.FILLED),
    )
    stride = min(abs(generator.normal(0, 0.25)), 0.45)
    for side in (-1, 1):
        shoulder = neck + np.array([0.6 * side * broad * unit, 0.3 * unit])
        swing = -side * stride + generator.normal(0, 0.15)
        elbow = limb(shoulder, swing + 0.1 * side, 1.5, 0.5)
        limb(elbow, swing + generator.normal(0, 0.3), 1.4, 0.4)
        hip = hips + np.array([0.3 * side * broad * unit, 0.0])
        knee = limb(hip, side * stride, 1.7, 0.75)
        limb(knee, side * stride - abs(generator.normal(0, 0.2)), 1.9, 0.5)
    rows, columns = (np.flatnonzero(canvas.any(axis=axis)) for axis in (1, 0))
    return canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(bool)


def write_silhouettes(path: Path, shapes: Sequence[np.ndarray]) -> None:
    """Write a library: the shapes' sizes, and their pixels as bits, one shape after the other.

    Args:
        path: of the file.
        shapes: bool ``(H, W)`` each.
    """
    sizes = np.array([shape.shape for shape in shapes], np.int32).reshape(-1, 2)
    pixels = np.concatenate([shape.ravel() for shape in shapes] or [np.empty(0, bool)])
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, sizes=sizes, bits=np.packbits(pixels.astype(bool)))


def _members(file: BinaryIO) -> tuple[np.ndarray, np.ndarray]:
    """Read the sizes and bits of a library, after a look at how much they unpack to."""
    with zipfile.ZipFile(file) as archive:
        for name, most in (("sizes.npy", 8 * MOST_SHAPES), ("bits.npy", MOST_PIXELS // 8)):
            size = archive.getinfo(name).file_size
            if size > most + _HEADER:
                raise ValueError(f"{name} in it unpacks to {size} bytes, more than {most}")
    file.seek(0)
    with np.load(file, allow_pickle=False) as library:
        return library["sizes"], library["bits"]


def read_silhouettes(path: Path) -> list[np.ndarray]:
    """Read a library's shapes, bool ``(H, W)`` each.

    Raises:
        ValueError: no such file, or it is no library, or an empty one.
    """
    advice = "make one by python -m data_prep.silhouettes"
    try:
        with open_regular(path) as file:
            sizes, bits = _members(io.BufferedReader(file))
    except FileNotFoundError:
        raise ValueError(f"there is no library of silhouettes at {path}: {advice}") from None
    # A damaged archive, or a header that claims what is not there, can fail anywhere.
    except Exception as error:
        raise ValueError(f"{path} is no library of silhouettes ({error}): {advice}") from error
    if not isinstance(sizes, np.ndarray) or not isinstance(bits, np.ndarray):
        raise ValueError(f"{path} is no library of silhouettes: {advice}")
    is_table = sizes.ndim == 2 and sizes.dtype.kind in "iu"
    areas = sizes.astype(np.int64).prod(axis=1) if is_table else np.zeros(0, np.int64)
    if (
        not len(areas)
        or sizes.shape[1] != 2
        or sizes.min() < 1
        or sizes.max() > LONGEST_SIDE
        or bits.dtype != np.uint8
        or bits.size != -(-areas.sum() // 8)
    ):
        raise ValueError(f"{path} is empty or no library of silhouettes: {advice}")
    pixels = np.unpackbits(bits, count=int(areas.sum())).view(bool)
    parts = np.split(pixels, np.cumsum(areas)[:-1])
    return [part.reshape(size) for part, size in zip(parts, sizes, strict=True)]
