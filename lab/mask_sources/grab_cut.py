"""The person in a box that somebody drew, without any weights."""

import cv2
import numpy as np
import torch
from torch import Tensor

from lab.imaging import to_uint8
from lab.mask_sources.mask_source import MaskSource, NoPersonError, check_photo

Box = tuple[int, int, int, int]
"""``x, y, width, height`` in pixels; x and y are of the upper left corner, counted from 0."""

# The colours that tell the person are those nearby: half the box's longer side around it.
_SURROUNDINGS = 0.5
# At this size a graph cut takes about a second, over ten megapixels it takes minutes.
_LONGEST_SIDE = 480
# Specks of background, which dilation would make large, as a share of the largest part.
_SPECK = 0.01
_SEED = 0
# A person who reaches this share of a side of the box probably goes on beyond it.
_CUT_SHARE = 0.08


class GrabCut(MaskSource):
    """Cuts the person out of a box by colours and contours, on the CPU.

    Rother, Kolmogorov, Blake 2004, "GrabCut: Interactive Foreground Extraction using Iterated Graph
    Cuts", as OpenCV has it. Outside the box is background for certain, and what looks like it
    inside is, too: best is a box that holds the whole person and little else. What is cut is the
    box with its surroundings, at 480 pixels at most; on large photos the contour is as coarse as
    that. Parts below a hundredth of the largest are left out. The same photo and box give the same
    mask.

    Args:
        box: ``(x, y, width, height)`` around the person, in pixels of the photo.
        iterations: rounds of learning the colours and cutting.

    Raises:
        ValueError: no such box in any photo, or no iterations.
    """

    def __init__(self, box: Box, iterations: int = 5) -> None:
        x, y, width, height = box
        if x < 0 or y < 0 or width < 1 or height < 1:
            raise ValueError(
                f"box is {x},{y},{width},{height}, but must be x,y,width,height in pixels, with x "
                "and y from 0 on and width and height from 1 on"
            )
        if iterations < 1:
            raise ValueError(f"iterations is {iterations}, but must be at least 1")
        self.box = box
        self.iterations = iterations

    def __call__(self, image: Tensor) -> Tensor:
        """Mark the person in ``image (1, 3, H, W)``; nothing outside the box.

        Raises:
            NoPersonError: nothing in the box differs from what is around it.
            ValueError: the box leaves the photo, or leaves no background of it outside.
            TypeError, ValueError: not one photo that keeps the conventions.
        """
        check_photo(image)
        pixels = cv2.cvtColor(to_uint8(image[0]), cv2.COLOR_RGB2BGR)
        height, width = pixels.shape[:2]
        x, y, across, down = self.box
        if x + across > width or y + down > height:
            raise ValueError(
                f"the box {self._written()} ends at x = {x + across}, y = {y + down}, but the "
                f"photo is {width}x{height} (width x height): give x,y,width,height in its pixels"
            )
        inside = np.zeros((height, width), np.uint8)
        inside[y : y + down, x : x + across] = 1
        around = round(_SURROUNDINGS * max(across, down)) + 1
        window = (
            slice(max(0, y - around), y + down + around),
            slice(max(0, x - around), x + across + around),
        )
        mask = np.zeros((height, width), np.float32)
        mask[window] = self._cut(pixels[window], inside[window])
        if not mask.any():
            raise NoPersonError(
                f"no person was found: nothing in the box {self._written()} differs from what is "
                "around it. Draw the box closer around the person, or give a mask"
            )
        return torch.from_numpy(mask)[None, None]

    def _cut(self, pixels: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Return bool ``(H, W)``: the person in uint8 BGR ``(H, W, 3)``, where ``inside`` is 1."""
        whole = pixels.shape[1::-1]
        scale = min(1.0, _LONGEST_SIDE / max(whole))
        size = tuple(max(1, round(side * scale)) for side in whole)
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        # Any share of a box, so that a thin one does not vanish.
        box = cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        if box.all():
            raise ValueError(
                f"the box {self._written()} leaves no background around the person in the photo of "
                "which to learn the colours: draw it closer around the person"
            )
        labels = np.where(box, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_BGD))
        # OpenCV draws the first clusters of colours from a generator of its own.
        cv2.setRNGSeed(_SEED)
        colours = np.zeros((2, 1, 65))
        cv2.grabCut(
            small,
            labels,
            (0, 0, 0, 0),  # the labels say it
            colours[0],
            colours[1],
            self.iterations,
            cv2.GC_INIT_WITH_MASK,
        )
        person = _without_specks((labels == cv2.GC_PR_FGD).astype(np.uint8))
        share = cv2.resize(person.astype(np.float32), whole)
        found: np.ndarray = (share >= 0.5) & (inside > 0)
        return found

    def _written(self) -> str:
        return ",".join(str(value) for value in self.box)


def _without_specks(person: np.ndarray) -> np.ndarray:
    """Return bool ``(H, W)``: the parts of ``person``, uint8 of 0 and 1, that are no specks."""
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(person)
    areas = statistics[:, cv2.CC_STAT_AREA]
    areas[0] = 0  # the background
    kept: np.ndarray = (areas >= _SPECK * areas.max())[parts] & (parts > 0)
    return kept


def cut_by_box(mask: Tensor, box: Box) -> str | None:
    """Say on which sides the person seems to go on beyond the box; None where on none.

    Args:
        mask: ``(1, 1, H, W)`` as `GrabCut` gave it for the box.
        box: ``x, y, width, height``; a side along the photo's own border cuts nobody.
    """
    x, y, width, height = box
    rows, columns = mask.shape[-2:]
    sides = {
        "left": (x > 0, mask[0, 0, y : y + height, x]),
        "upper": (y > 0, mask[0, 0, y, x : x + width]),
        "right": (x + width < columns, mask[0, 0, y : y + height, x + width - 1]),
        "lower": (y + height < rows, mask[0, 0, y + height - 1, x : x + width]),
    }
    cut = [name for name, (inside, line) in sides.items() if inside and line.mean() > _CUT_SHARE]
    if not cut:
        return None
    return (
        f"the person reaches the {' and '.join(cut)} side of the box, which may cut them: "
        "draw it larger if something of them is left"
    )
