"""Clips from the hand: every frame is brought to where the camera of one of them was.

1. The *reference* is the sample whose camera points nearest to the middle of where it swings.
2. Its landmarks are found in a frame, and RANSAC fits a homography to them: what turning and
   zooming do to a picture, and most of what a rolling shutter adds. People do not agree with it.
3. The frame is resampled once, by Lanczos' kernel, and cut to the area that the samples share. No
   pixel of it, nor of the kernel around it, lies outside any of them.

Plate, photos, masks and backgrounds are all made of resampled frames, so that a photo and its truth
are equally sharp. A clip whose camera stands is not touched: below half a pixel, resampling loses
more than it mends.
"""

import math
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np

from data_prep.clips import LEAST_CELLS, LEAST_FOUND, Landmarks
from data_prep.moving_people import Box

LOST = "frames in which the background was not found again"
SWUNG = "frames in which the camera swung by more than a tenth of the shorter side"
UNCOVERED = "frames that do not show the whole area that the others share"

_LEAST_STEADY = 0.8
_FARTHEST = 0.1
# Pixels of the clip: where resampling takes as much as it gives (docs/findings.md).
_STILL = 0.5
# A pixel in a picture of up to 640, in proportion in a larger one.
_AGREES = 1.0
_LEAST_AGREEING = 0.4
# So many pixels Lanczos' kernel reads before a position and after it.
_KERNEL = (3, 4)
_CANDIDATES = (1 / 2, 1 / 4, 3 / 4)


@dataclass(frozen=True)
class Stabilizer:
    """Brings frames to where the camera of the reference was.

    Attributes:
        reference: which of the samples it is.
        landmarks: of the reference.
        area: that the samples share, in pixels of the reference.
        swings: how far the reference's corners moved in each sample that serves, in pixels.
    """

    reference: int
    landmarks: Landmarks
    area: Box
    swings: tuple[float, ...]

    def pose(self, frame: np.ndarray) -> np.ndarray | str:
        """Return where the reference's pixels lie in a frame, a homography; or why it is no use."""
        return _pose(self.landmarks, frame)

    def steady(self, frame: np.ndarray) -> np.ndarray | str:
        """Return the area as the reference's camera would have seen it, or why it cannot be."""
        pose = self.pose(frame)
        if isinstance(pose, str):
            return pose
        area = self.area
        if _shared([_shown(pose, frame.shape), _sides(area)]) != area:
            return UNCOVERED
        shift = np.array([[1.0, 0.0, area.left], [0.0, 1.0, area.top], [0.0, 0.0, 1.0]])
        steadied: np.ndarray = cv2.warpPerspective(
            frame,
            pose @ shift,
            (area.width, area.height),
            flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        )
        return steadied


def find_stabilizer(samples: np.ndarray) -> tuple[Stabilizer | None, Counter[str]]:
    """Look whether a camera moves, and whether that can be compensated.

    Args:
        samples: uint8 RGB ``(N, H, W, 3)``, spread over the clip.

    Returns:
        What brings its frames together; None where there is nothing to mend, or too much. And how
        many samples do not serve, by reason.
    """
    left_out: Counter[str] = Counter()
    reference = _find_reference(samples)
    if reference is None:
        return None, left_out
    landmarks = Landmarks(samples[reference])
    poses = []
    for sample in samples:
        pose = _pose(landmarks, sample)
        if isinstance(pose, str):
            left_out[pose] += 1
        else:
            poses.append(pose)
    if len(poses) < _LEAST_STEADY * len(samples):
        return None, left_out
    area = _shared([_shown(pose, samples.shape[1:]) for pose in poses])
    swings = tuple(_swing(pose, samples.shape[1:]) for pose in poses)
    return Stabilizer(reference, landmarks, area, swings), left_out


def _find_reference(samples: np.ndarray) -> int | None:
    """Return the sample nearest to the middle of where the camera swings; None where it stands."""
    height, width = samples.shape[1:3]
    points = _grid(height, width, 5)
    places: dict[int, np.ndarray] = {}
    for candidate in _CANDIDATES:
        landmarks = Landmarks(samples[int(candidate * len(samples))])
        poses = ((index, _homography(landmarks, sample)) for index, sample in enumerate(samples))
        found = {index: _moved(points, pose) for index, pose in poses if pose is not None}
        places = max(places, found, key=len)
        # A frame that somebody fills, or in which the camera was pushed, is no place to start from.
        if len(places) >= _LEAST_STEADY * len(samples):
            break
    if not places:
        return None
    there = np.array(list(places.values()))
    away = np.linalg.norm(there - np.median(there, axis=0), axis=2)
    stands = np.median(away, axis=1) <= _STILL
    if stands.mean() >= _LEAST_STEADY:
        return None
    return list(places)[int(away.mean(axis=1).argmin())]


def _pose(landmarks: Landmarks, frame: np.ndarray) -> np.ndarray | str:
    """Return where the reference's pixels lie in a frame, a homography; or why it is no use."""
    pose = _homography(landmarks, frame)
    if pose is None:
        return LOST
    if _swing(pose, frame.shape) > _FARTHEST * min(frame.shape[:2]):
        return SWUNG
    return pose


def _homography(landmarks: Landmarks, frame: np.ndarray) -> np.ndarray | None:
    """Return the homography that most of the landmarks agree with, wherever they lie; or None."""
    here, there, cells = landmarks.find(frame)
    found = np.unique(cells)
    if len(found) < max(LEAST_CELLS, LEAST_FOUND * landmarks.cells):
        return None
    # OpenCV's RANSAC draws from a generator of its own, seeded the same in every call.
    pose, agrees = cv2.findHomography(here, there, cv2.RANSAC, _AGREES / landmarks.scale)
    if pose is None:
        return None
    agreeing = [agrees[cells == cell].mean() > 0.5 for cell in found]
    return pose if np.mean(agreeing) >= _LEAST_AGREEING else None


def _swing(pose: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return how far the corner that moved most did, in pixels."""
    corners = _grid(*shape[:2])
    return float(np.linalg.norm(_moved(corners, pose) - corners, axis=1).max())


def _shown(pose: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the sides of a rectangle that a frame shows, in pixels of the reference.

    They are left, top, right and bottom. The kernel that reads its pixels stays within the frame.
    """
    before, after = _KERNEL
    inner = _grid(shape[0] - before - after, shape[1] - before - after) + before
    corners = _moved(inner, np.linalg.inv(pose)).reshape(2, 2, 2)
    return np.array(
        [
            corners[:, 0, 0].max(),
            corners[0, :, 1].max(),
            corners[:, 1, 0].min(),
            corners[1, :, 1].min(),
        ]
    )


def _sides(area: Box) -> np.ndarray:
    """Return the positions of the outermost pixels: left, top, right, bottom."""
    return np.array([area.left, area.top, area.left + area.width - 1, area.top + area.height - 1])


def _shared(rectangles: list[np.ndarray]) -> Box:
    """Return the pixels that lie in all rectangles, given by their sides."""
    sides = np.array(rectangles)
    left, top = (math.ceil(side) for side in sides[:, :2].max(axis=0))
    right, bottom = (math.floor(side) for side in sides[:, 2:].min(axis=0))
    return Box(left, top, right - left + 1, bottom - top + 1)


def _grid(height: int, width: int, count: int = 2) -> np.ndarray:
    """Return ``count`` by ``count`` points ``(N, 2)``, x and y, spread over a picture's pixels."""
    x, y = np.meshgrid(np.linspace(0, width - 1, count), np.linspace(0, height - 1, count))
    return np.stack([x, y], axis=-1).reshape(-1, 2)


def _moved(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Return where a homography brings points ``(N, 2)``."""
    moved: np.ndarray = cv2.perspectiveTransform(points[:, None], pose)[:, 0]
    return moved
