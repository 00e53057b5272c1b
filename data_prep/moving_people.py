"""Who moves in a frame, and what is behind them."""

from dataclasses import dataclass

import cv2
import numpy as np

from data_prep.differences import SQUARE, light_drift, moving_parts
from data_prep.ghosts import find_ghosts
from data_prep.plates import LEAST_COVERAGE, Plate

# A person is upright; several side by side, who hang together, are at most this much wider.
_LEAST_UPRIGHT = 1.0
_LEAST_HEIGHT = 0.05
_LEAST_AREA = 0.0006
_MOST_MOVING = 0.5


@dataclass(frozen=True)
class Box:
    """A rectangle of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Scene:
    """A frame taken apart.

    Attributes:
        frame: uint8 RGB ``(H, W, 3)``.
        mask: uint8 ``(H, W)`` of 0 and 1: everything that moves, dilated.
        background: uint8 RGB ``(H, W, 3)``: the frame itself outside the mask, bit for bit, and in
            it the plate in the frame's light.
        people: the boxes, not dilated, of what is upright and large enough for a person.
        doubtful: bool ``(H, W)``: where the plate is not to be trusted for this frame.
        displacement: how far its background lies beside the plate, in pixels; None: not known.
    """

    frame: np.ndarray
    mask: np.ndarray
    background: np.ndarray
    people: tuple[Box, ...]
    doubtful: np.ndarray
    displacement: float | None = None


class PeopleFinder:
    """Takes frames apart into who moves and what is behind.

    Args:
        plate: the background.
        dilation: by how many pixels the masks are grown: the rim of a person is blurred into what
            is behind, and a network redraws a person from a rim that is left.
    """

    def __init__(self, plate: Plate, dilation: int) -> None:
        self._plate = plate
        self._dilation = dilation
        self._seldom_seen = plate.coverage < LEAST_COVERAGE

    def find(self, frame: np.ndarray) -> Scene | None:
        """Take a frame apart; None where more than half of the picture differs.

        Args:
            frame: uint8 RGB ``(H, W, 3)``.
        """
        plate = self._plate
        drift = light_drift(frame, plate.pixels)
        difference = frame - drift - plate.pixels
        labels, parts = moving_parts(difference, plate.noise)
        moves = np.isin(labels, [part.label for part in parts])
        if moves.mean() > _MOST_MOVING:
            return None
        mask = cv2.dilate(moves.astype(np.uint8), SQUARE, iterations=self._dilation)
        behind = np.clip(np.rint(plate.pixels + drift), 0, 255).astype(np.uint8)
        height, width = mask.shape
        return Scene(
            frame=frame,
            mask=mask,
            background=np.where(mask[..., None] == 1, behind, frame),
            people=tuple(
                Box(part.left, part.top, part.width, part.height)
                for part in parts
                if part.height >= max(_LEAST_HEIGHT * height, _LEAST_UPRIGHT * part.width)
                and part.area >= _LEAST_AREA * height * width
            ),
            doubtful=self._seldom_seen | find_ghosts(frame - drift, plate.pixels, plate.noise),
        )
