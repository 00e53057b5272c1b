"""Free-form strokes, as a user's finger or an eraser would draw them."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.contracts import MaskGenerator
from lab.masks.drawing import check_range, draw_usable

# Yu et al. draw at 256x256; the mean length of a segment is an eighth of the diagonal.
MEAN_ANGLE = 2 * math.pi / 5
ANGLE_SPREAD = 2 * math.pi / 15
MEAN_LENGTH = 1 / 8


@dataclass(frozen=True)
class Scribbles(MaskGenerator):
    """Thick zigzag lines with round ends.

    Yu et al. 2019, "Free-Form Image Inpainting with Gated Convolution" (DeepFillv2), section 3.4
    and the supplement's algorithm: a stroke starts anywhere; every second segment turns back by
    half a circle less the angle, which makes the zigzag of an eraser; a segment's length is normal
    about an eighth of the diagonal; the brush keeps its width along a stroke; at last the drawing
    is mirrored at random. Brush widths scale with the square root of the image's area.

    Args:
        strokes: how many strokes, lowest and highest.
        vertices: how many segments a stroke has, lowest and highest.
        brush: the brush's width, lowest and highest, in shares of ``sqrt(height * width)``. The
            default is the paper's 12 to 40 pixels at 256x256.

    Raises:
        ValueError: a range is swapped, or none would be drawn.
    """

    strokes: tuple[int, int] = (1, 4)
    vertices: tuple[int, int] = (4, 12)
    brush: tuple[float, float] = (12 / 256, 40 / 256)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("strokes", self.strokes, 1, math.inf)
        check_range("vertices", self.vertices, 1, math.inf)
        check_range("brush", self.brush, 0.0, 1.0)

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Draw one mask, ``(1, height, width)``."""
        return draw_usable(lambda: self._draw(height, width, generator), self)

    def _draw(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        # In 8 bits, which are drawn three times as fast as floats.
        canvas = np.zeros((height, width), np.uint8)
        size = math.sqrt(height * width)
        flip_x, flip_y = generator.random(2) < 0.5
        for _ in range(generator.integers(*self.strokes, endpoint=True)):
            points = self._stroke(height, width, generator)
            # The points are mirrored, not the canvas: torch refuses a view with negative strides.
            if flip_x:
                points[:, 0] = width - 1 - points[:, 0]
            if flip_y:
                points[:, 1] = height - 1 - points[:, 1]
            thickness = max(1, round(generator.uniform(*self.brush) * size))
            cv2.polylines(canvas, [points], isClosed=False, color=1, thickness=thickness)
        return torch.from_numpy(canvas).float()[None]

    def _stroke(self, height: int, width: int, generator: np.random.Generator) -> NDArray[np.int32]:
        """Draw the corners of one stroke, ``(vertices + 1, 2)`` of x and y, inside the image."""
        count = int(generator.integers(*self.vertices, endpoint=True))
        angles = generator.uniform(MEAN_ANGLE - ANGLE_SPREAD, MEAN_ANGLE + ANGLE_SPREAD, size=count)
        angles[::2] = 2 * math.pi - angles[::2]
        mean_length = math.hypot(height, width) * MEAN_LENGTH
        lengths = np.clip(
            generator.normal(mean_length, mean_length / 2, size=count), 0, 2 * mean_length
        )
        x, y = generator.uniform(0, width), generator.uniform(0, height)
        corners = [(int(x), int(y))]
        steps = zip(
            (lengths * np.cos(angles)).tolist(), (lengths * np.sin(angles)).tolist(), strict=True
        )
        for step_x, step_y in steps:
            x = min(max(x + step_x, 0.0), width - 1.0)
            y = min(max(y + step_y, 0.0), height - 1.0)
            corners.append((int(x), int(y)))
        return np.array(corners, np.int32)
