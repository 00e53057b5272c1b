"""Frames of a clip, and whether its camera stood still."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.commands import DataError
from lab.untrusted import open_regular, printable

MOST_PIXELS = 8192 * 4320
"""Pixels of a clip's frames, 8K. The background of one takes some hundred bytes a pixel."""

# Containers that hold their own frames. FFmpeg takes a playlist for a clip whatever it is called,
# and reads the files that it names, from any folder or address.
_FORMATS = (
    "avi,mov,mp4,matroska,webm,mpeg,mpegts,mpegvideo,m4v,h264,hevc,flv,asf,ogg,mxf,dv,ivf,nut,"
    "yuv4mpegpipe"
)
# OpenCV reads these when it opens a clip. FFmpeg's lines would stand between a command's own.
_OPTIONS = {
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": f"format_whitelist;{_FORMATS}|protocol_whitelist;file",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
}

_FRAMES_PER_SECOND = 25.0
_WORKING_SIDE = 640
_GRID = (6, 8)
_FEATURES_A_CELL = 6
LEAST_CELLS = 6
LEAST_FOUND = 0.3
_FARTHEST = 1.0
_AROUND = 33
_FAINT = 8.0
_FLAT = 12.0
_ROUND_TRIP = 0.5


class Clip:
    """A video file.

    Args:
        path: of a file that OpenCV's FFmpeg reads and that holds its frames itself.

    Raises:
        DataError: there is no such file, it is no video, or its frames are larger than 8K.
    """

    def __init__(self, path: Path) -> None:
        try:
            open_regular(path).close()
        except OSError as error:
            raise DataError(
                f"there is no clip at {printable(path)} ({error.strerror or error})"
            ) from error
        self.path = path
        video = self._open()
        width, height = (
            int(video.get(name)) for name in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        if width * height > MOST_PIXELS:
            raise DataError(
                f"{printable(path)} has frames of {width}x{height} pixels (width x height), more "
                f"than the {MOST_PIXELS} of 8K: scale it down first"
            )
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
        before = {name: os.environ.get(name) for name in _OPTIONS}
        os.environ.update(_OPTIONS)
        try:
            # Absolute: FFmpeg takes what stands before a colon for a protocol.
            video = cv2.VideoCapture(str(self.path.absolute()), cv2.CAP_FFMPEG)
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        if not video.isOpened():
            raise DataError(
                f"{printable(self.path)} is no clip that can be read: an AVI, MP4, MOV, Matroska, "
                "WebM or MPEG file that holds its own frames (a playlist of other files does not)"
            )
        return video


class Landmarks:
    """Corners of a picture, spread over a grid, that are found again in other frames.

    They are followed (Lucas and Kanade 1981, by OpenCV's pyramids) into the frame and back. What
    people cover is lost on the way.

    Args:
        picture: uint8 RGB ``(H, W, 3)``.

    Attributes:
        scale: of the smaller picture, at most 640 pixels long, that they are followed in.
        cells: how many of the grid's hold one.
    """

    def __init__(self, picture: np.ndarray) -> None:
        height, width = picture.shape[:2]
        self.scale = min(1.0, _WORKING_SIDE / max(height, width))
        gray = self._shrink(picture)
        self._enlargement = np.array([width / gray.shape[1], height / gray.shape[0]], np.float32)
        self._picture = _even(gray)
        self._points, self._cells = self._corners(gray)
        self.cells = len(np.unique(self._cells))

    def find(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find them in a frame of the same size.

        Returns:
            Of those found: where they were and where they are, float32 ``(N, 2)``, x and y in
            the frame's pixels; and their cells, ``(N,)``.
        """
        if not self.cells:
            return np.empty((0, 2)), np.empty((0, 2)), self._cells
        target = _even(self._shrink(frame))
        there, found = _follow(self._picture, target, self._points)
        back, returned = _follow(target, self._picture, there)
        round_trip = np.linalg.norm(back - self._points, axis=(1, 2))
        good = found & returned & (round_trip < _ROUND_TRIP)
        # A pixel's middle has whole coordinates.
        here, there = (
            (points[good][:, 0] + 0.5) * self._enlargement - 0.5 for points in (self._points, there)
        )
        return here, there, self._cells[good]

    def _shrink(self, frame: np.ndarray) -> np.ndarray:
        """Return a small gray picture."""
        gray: np.ndarray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if self.scale < 1.0:
            size = (round(gray.shape[1] * self.scale), round(gray.shape[0] * self.scale))
            gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
        return gray

    def _corners(self, gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return corners ``(N, 1, 2)`` and the cell of each."""
        height, width = gray.shape
        flat = max(float(gray.std()), _FAINT) / _FLAT
        rows, columns = _GRID
        points: list[np.ndarray] = [np.empty((0, 1, 2), np.float32)]
        cells = [np.empty(0, int)]
        for cell in range(rows * columns):
            row, column = divmod(cell, columns)
            top, bottom = row * height // rows, (row + 1) * height // rows
            left, right = column * width // columns, (column + 1) * width // columns
            # Noise has corners, too.
            if min(bottom - top, right - left) < 8 or gray[top:bottom, left:right].std() < flat:
                continue
            part = np.ascontiguousarray(self._picture[top:bottom, left:right])
            found = cv2.goodFeaturesToTrack(part, _FEATURES_A_CELL, 0.05, 5)
            if found is not None:
                points.append(found + np.array([left, top], np.float32))
                cells.append(np.full(len(found), cell))
        return np.concatenate(points), np.concatenate(cells)


@dataclass(frozen=True)
class Displacement:
    """How far the background of a frame lies beside where it should.

    Attributes:
        cells: float ``(6, 8)``, of each cell of a grid, in pixels; NaN where no landmark was found.
        median: of the cells; infinite where hardly one was found, None where there are too few.
        allowed: pixels.
    """

    cells: np.ndarray
    median: float | None
    allowed: float

    @property
    def stands(self) -> bool:
        """Whether nothing says that the camera moved."""
        return self.median is None or self.median <= self.allowed

    @property
    def beside(self) -> np.ndarray:
        """Cells that lie farther away than allowed, bool; those without a voice as those around."""
        known = np.isfinite(self.cells).astype(np.float32)
        values = np.where(known == 1, self.cells, 0).astype(np.float32)
        around, voices = (
            cv2.boxFilter(part, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
            for part in (values, known)
        )
        filled = np.where(known == 1, values, around / np.maximum(voices, 1))
        return filled > self.allowed


class CameraCheck:
    """Tells whether a frame was taken by the camera that stood where the background's did.

    The background's landmarks are found in the frame; each cell of their grid has one voice.

    Args:
        background: uint8 RGB ``(H, W, 3)``.

    Attributes:
        allowed: pixels that it may be displaced by: one in a picture of up to 640, and in
            proportion in a larger one.
    """

    def __init__(self, background: np.ndarray) -> None:
        self._landmarks = Landmarks(background)
        self.allowed = _FARTHEST / self._landmarks.scale

    def look(self, frame: np.ndarray) -> Displacement:
        """Measure how far the background moved in a frame."""
        here, there, found = self._landmarks.find(frame)
        moved = np.linalg.norm(there - here, axis=1)
        cells = np.full(_GRID, np.nan)
        for cell in np.unique(found):
            cells.flat[cell] = np.median(moved[found == cell])
        median: float | None = None
        if self._landmarks.cells >= LEAST_CELLS:
            enough = np.isfinite(cells).sum() >= LEAST_FOUND * self._landmarks.cells
            median = float(np.nanmedian(cells)) if enough else float("inf")
        return Displacement(cells, median, self.allowed)


def _even(gray: np.ndarray) -> np.ndarray:
    """Return a gray picture of one brightness and contrast everywhere: light does not matter."""
    levels = gray.astype(np.float32)
    around = (_AROUND, _AROUND)
    mean = cv2.blur(levels, around)
    spread = np.sqrt(np.maximum(cv2.blur(levels**2, around) - mean**2, 0.0))
    even: np.ndarray = np.clip((levels - mean) * (48.0 / (spread + _FAINT)) + 128.0, 0, 255)
    return even.astype(np.uint8)


def _follow(
    before: np.ndarray, after: np.ndarray, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return where points ``(N, 1, 2)`` went, and whether they were found, bool ``(N,)``."""
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, np.zeros_like(points))
    return moved, found[:, 0] == 1
