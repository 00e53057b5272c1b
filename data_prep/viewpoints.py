"""The one place that all frames of a clip are seen from: by a camera that stood, or is made to."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np

from data_prep.clips import CameraCheck, Clip, Displacement
from data_prep.commands import DataError
from data_prep.moving_people import PeopleFinder, Scene
from data_prep.plates import SAMPLES, Plate, estimate_plate, spill
from data_prep.stabilization import find_stabilizer

UNLIKE = "frames in which the camera moved or the light changed at once"

_MOST_MOVED = 0.2
_MOST_CHANGED = 0.35
_MOST_BESIDE = 0.2
_OFTEN = 0.25


class Viewpoint:
    """Takes a clip's frames apart as they are decoded, all as if the camera had stood.

    Frames of a clip from the hand are aligned first (``data_prep.stabilization``), and everything
    after it is the same for both.

    Args:
        clip: any.
        total: its frames.
        folder: for temporary files.
        dilation: of the masks, in pixels.

    Attributes:
        plate: the background.
        samples: how many frames it was made from.

    Raises:
        DataError: the camera moves too far, or from its place; or there are too few frames.
    """

    def __init__(self, clip: Clip, total: int, folder: Path, dilation: int) -> None:
        self._step = max(1, math.ceil(total / SAMPLES))
        samples = spill((frame for _, frame in clip.frames(self._step)), folder)
        self._stabilizer, self._unsteady = find_stabilizer(samples)
        if self._stabilizer is not None:
            samples = spill(_usable(map(self._stabilizer.steady, samples)), folder)
        self.plate, self.samples = estimate_plate(samples, folder), len(samples)
        self._camera = CameraCheck(self.plate.as_pixels())
        self._finder = PeopleFinder(self.plate, dilation)
        looks = [self._camera.look(sample) for sample in samples]
        _check_camera_stands(clip, self.plate, looks, self._unsteady)
        # Near things that move against the far ones, from frame to frame.
        self._beside = np.mean([look.beside for look in looks], axis=0) > _OFTEN
        if self._stabilizer is not None:
            _check_camera_stays(clip, self._beside)
        self._displacements: list[float] = []

    def scene(self, decoded: np.ndarray) -> Scene | str:
        """Take a frame apart, uint8 RGB ``(H, W, 3)``; or say why it is no use."""
        frame = decoded if self._stabilizer is None else self._stabilizer.steady(decoded)
        if isinstance(frame, str):
            return frame
        look = self._camera.look(frame)
        scene = self._finder.find(frame) if look.stands else None
        if scene is None:
            return UNLIKE
        if self._stabilizer is not None:
            scene = _doubting(scene, self._beside)
        if look.median is not None:
            self._displacements.append(round(look.median, 3))
            scene = replace(scene, displacement=self._displacements[-1])
        return scene

    def record(self) -> dict:
        """Return what the manifest says of the camera, after the last scene."""
        record: dict = {
            "displacement": _spread(self._displacements),
            "allowed": round(self._camera.allowed, 3),
            "share_beside": round(float(self._beside.mean()), 3),
            "meaning": (
                "displacement is how far the background of a frame that serves lies beside the "
                "plate, in pixels: the median of a grid's cells; frames above what is allowed are "
                "left out. share_beside is the share of the cells that often lie farther away: "
                "there, no background is taken from the plate if the camera was compensated"
            ),
            "compensated": self._stabilizer is not None,
        }
        if self._stabilizer is not None:
            record |= {
                "model": "homography to the reference frame, resampled once by Lanczos' kernel",
                "reference_frame": self._stabilizer.reference * self._step,
                "area": asdict(self._stabilizer.area),
                "swing": _spread(self._stabilizer.swings),
                "left_out_of_plate": dict(self._unsteady),
            }
        return record


def _usable(frames: Iterable[np.ndarray | str]) -> Iterator[np.ndarray]:
    """Yield frames, without those that are only a reason."""
    return (frame for frame in frames if not isinstance(frame, str))


def _check_camera_stands(
    clip: Clip, plate: Plate, looks: list[Displacement], unsteady: Counter[str]
) -> None:
    """Raise where the background is displaced in many frames, or changes nearly everywhere."""
    moved = sum(not look.stands for look in looks)
    if moved > _MOST_MOVED * len(looks):
        reasons = "; ".join(f"{count} {reason}" for reason, count in unsteady.items())
        aligned = f" (not aligned: {reasons})" if reasons else ""
        raise DataError(
            f"the camera of {clip.path} moves: in {moved} of {len(looks)} frames the background is "
            f"not where it is in the others{aligned}. A clean plate needs a camera that stands, or "
            "a hand that holds it on one view"
        )
    changed = float(1.0 - plate.coverage.mean())
    if changed > _MOST_CHANGED:
        raise DataError(
            f"{clip.path} has no background that stays: a pixel differs from it in "
            f"{100 * changed:.0f} % of the frames. Does the camera move, or the light flicker?"
        )


def _check_camera_stays(clip: Clip, beside: np.ndarray) -> None:
    """Raise where much of the picture does not move as the rest: the camera changes its place."""
    if beside.mean() > _MOST_BESIDE:
        raise DataError(
            f"the camera of {clip.path} moves from its place: with the frames aligned, "
            f"{100 * beside.mean():.0f} % of the picture, nearer or farther than the rest, still "
            "often lies beside it. A clean plate needs a camera that stands, or only turns"
        )


def _doubting(scene: Scene, cells: np.ndarray) -> Scene:
    """Return a scene that is not to be trusted in some cells of a grid, either."""
    height, width = scene.doubtful.shape
    enlarged = cv2.resize(cells.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return replace(scene, doubtful=scene.doubtful | (enlarged == 1))


def _spread(pixels: Sequence[float]) -> dict | None:
    """Return the median and the largest of lengths, for the manifest."""
    if not pixels:
        return None
    return {"median": round(float(np.median(pixels)), 3), "largest": round(max(pixels), 3)}
