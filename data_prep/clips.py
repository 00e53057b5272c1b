"""Frames of a clip, and whether its camera stood still."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from data_prep.commands import DataError

_FRAMES_PER_SECOND = 25.0
_WORKING_SIDE = 640
_GRID = (6, 8)
_FEATURES_A_CELL = 6
_LEAST_CELLS = 6
_LEAST_FOUND = 0.3
_FARTHEST = 1.0
_ROUND_TRIP = 0.5


class Clip:
    """A video file.

    Args:
        path: any format that OpenCV's FFmpeg reads.

    Raises:
        DataError: there is no such file, or it is no video.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataError(f"there is no clip at {path}")
        self.path = path
        video = self._open()
        self.frames_per_second = video.get(cv2.CAP_PROP_FPS)
        # Some files say 0, NaN or a number of ticks.
        if not 1.0 <= self.frames_per_second <= 1000.0:
            self.frames_per_second = _FRAMES_PER_SECOND
        # What the file says; the frames that decode may be fewer.
        self.declared_frames = int(max(0.0, video.get(cv2.CAP_PROP_FRAME_COUNT)))
        video.release()

    def frames(self, every: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        """Yield every ``every``-th frame's number and RGB pixels, uint8 ``(H, W, 3)``."""
        video = self._open()
        try:
            number = 0
            while video.grab():
                if number % every == 0:
                    read, frame = video.retrieve()
                    if read:
                        yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                number += 1
        finally:
            video.release()

    def count_frames(self) -> int:
        """Count the frames that decode."""
        video = self._open()
        count = 0
        while video.grab():
            count += 1
        video.release()
        return count

    def _open(self) -> cv2.VideoCapture:
        video = cv2.VideoCapture(str(self.path))
        if not video.isOpened():
            raise DataError(f"{self.path} is no clip that can be read")
        return video


class CameraCheck:
    """Tells whether a frame was taken by the camera that stood where the background's did.

    Corners of the background, spread over a grid, are followed into the frame (Lucas and Kanade
    1981, by OpenCV's pyramids) and back. What people cover is lost on the way and has no voice; of
    the rest, each cell of the grid has one.

    Args:
        background: uint8 RGB ``(H, W, 3)``.
    """

    def __init__(self, background: np.ndarray) -> None:
        height, width = background.shape[:2]
        self._scale = min(1.0, _WORKING_SIDE / max(height, width))
        self._background = self._prepare(background)
        self._points, self._cells = self._corners()

    def displacement(self, frame: np.ndarray) -> float | None:
        """How far the background moved in ``frame``, in its pixels: the median of the cells.

        Infinite where hardly a corner is found again; None where the background has too few.
        """
        all_cells = np.unique(self._cells)
        if len(all_cells) < _LEAST_CELLS:
            return None
        target = self._prepare(frame)
        there, found = _follow(self._background, target, self._points)
        back, returned = _follow(target, self._background, there)
        round_trip = np.linalg.norm(back - self._points, axis=(1, 2))
        good = found & returned & (round_trip < _ROUND_TRIP)
        moved = np.linalg.norm(there - self._points, axis=(1, 2))
        cells = [
            float(np.median(moved[good & (self._cells == cell)]))
            for cell in np.unique(self._cells[good])
        ]
        if len(cells) < _LEAST_FOUND * len(all_cells):
            return float("inf")
        return float(np.median(cells)) / self._scale

    def stands(self, frame: np.ndarray) -> bool:
        """Whether nothing says that the camera moved: at most a pixel in 640."""
        displacement = self.displacement(frame)
        return displacement is None or displacement * self._scale <= _FARTHEST

    def _prepare(self, frame: np.ndarray) -> np.ndarray:
        """Return a small gray picture in which light that changed does not matter."""
        gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if self._scale < 1.0:
            size = (round(gray.shape[1] * self._scale), round(gray.shape[0] * self._scale))
            gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        level, spread = float(gray.mean()), float(gray.std())
        normal = (gray.astype(np.float32) - level) * (48.0 / max(spread, 8.0)) + 128.0
        prepared: np.ndarray = np.clip(normal, 0, 255).astype(np.uint8)
        return prepared

    def _corners(self) -> tuple[np.ndarray, np.ndarray]:
        """Return corners ``(N, 1, 2)`` and the cell of each."""
        height, width = self._background.shape
        rows, columns = _GRID
        points: list[np.ndarray] = [np.empty((0, 1, 2), np.float32)]
        cells = [np.empty(0, int)]
        for cell in range(rows * columns):
            row, column = divmod(cell, columns)
            top, bottom = row * height // rows, (row + 1) * height // rows
            left, right = column * width // columns, (column + 1) * width // columns
            part = np.ascontiguousarray(self._background[top:bottom, left:right])
            # Noise has corners, too.
            if min(part.shape) < 8 or part.std() < 4:
                continue
            found = cv2.goodFeaturesToTrack(part, _FEATURES_A_CELL, 0.05, 5)
            if found is not None:
                points.append(found + np.array([left, top], np.float32))
                cells.append(np.full(len(found), cell))
        return np.concatenate(points), np.concatenate(cells)


def _follow(
    before: np.ndarray, after: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where points ``(N, 1, 2)`` went, and whether they were found, bool ``(N,)``."""
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, np.zeros_like(points))
    return moved, found[:, 0] == 1
