"""Frame, mask and true background of people in a clip, as files with a manifest."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.clips import CameraCheck, Clip
from data_prep.commands import DataError
from data_prep.moving_people import Box, PeopleFinder, Scene
from data_prep.pictures import begin_folder, end_folder, write_mask, write_png
from data_prep.plates import LEAST_COVERAGE, SAMPLES, Plate, estimate_plate
from lab.files import file_sha256
from lab.formats.manifests import TRIPLETS

FRAMES, MASKS, BACKGROUNDS = "frames", "masks", "backgrounds"
_CONTEXT = 2.0
_MOST_HOLE = 0.6
_MOST_DOUBTFUL = 0.05
_MOST_MOVED = 0.2
_MOST_CHANGED = 0.35

OnProgress = Callable[[int, float], None]
"""Called with the number of triplets so far, and the fraction of the clip."""


@dataclass(frozen=True)
class TripletSettings:
    """What is taken from a clip.

    Attributes:
        crop: side of the crops in pixels; None keeps whole frames.
        every: seconds between the frames that are taken.
        dilation: of the masks, in pixels.
    """

    crop: int | None = None
    every: float = 0.5
    dilation: int = 4


def write_triplets(
    path: Path, folder: Path, settings: TripletSettings, on_progress: OnProgress
) -> dict:
    """Find the background of a clip and write triplets of frame, mask and background.

    A triplet's frame and background are equal, bit for bit, outside its mask. What moves but has no
    person's shape is in the mask, too, but gets no crop of its own.

    Args:
        path: the clip.
        folder: new, or left by an interrupted call.
        settings: what to take.
        on_progress: told now and then.

    Returns:
        The manifest, as written: ``clip``, ``settings``, ``plate``, ``coverage``, ``triplets`` and
        the counts of what was ``left_out``.

    Raises:
        DataError: no clip; its camera moves; nobody in it moves; the folder holds something else.
    """
    clip = Clip(path)
    total = clip.declared_frames or clip.count_frames()
    begin_folder(folder)
    spread = (frame for _, frame in clip.frames(max(1, math.ceil(total / SAMPLES))))
    plate, samples = estimate_plate(spread, folder)
    camera = CameraCheck(_rounded(plate.pixels))
    _check_camera_stands(clip, camera, plate, samples)
    finder = PeopleFinder(plate, settings.dilation)
    every = max(1, round(settings.every * clip.frames_per_second))
    triplets: list[dict] = []
    left_out: Counter[str] = Counter()
    frames = 0
    for number, frame in clip.frames(every):
        frames += 1
        on_progress(len(triplets), min(1.0, number / max(1, total)))
        scene = finder.find(frame) if camera.stands(frame) else None
        if scene is None:
            left_out["frames in which the camera moved or the light changed at once"] += 1
            continue
        if not scene.people:
            left_out["frames without people"] += 1
            continue
        for name, part, person in _views(scene, number, settings.crop):
            reason = _unfit(part)
            if reason:
                left_out[reason] += 1
            else:
                seconds = round(number / clip.frames_per_second, 3)
                record = {"name": name, "frame_number": number, "seconds": seconds, **person}
                triplets.append(record | _write(folder, name, part))
    if not triplets:
        reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise DataError(
            f"nobody moves in {path}: of {frames} frames looked at, none gave a person ({reasons})"
        )
    manifest = {
        "kind": TRIPLETS,
        "clip": {
            "name": path.name,
            "sha256": file_sha256(path),
            "frames_per_second": clip.frames_per_second,
            "height": samples.shape[1],
            "width": samples.shape[2],
        },
        "settings": asdict(settings),
        "plate": {
            "file": "plate.png",
            "sha256": write_png(folder / "plate.png", _rounded(plate.pixels)),
            "frames": len(samples),
        },
        "coverage": _write_coverage(folder, plate),
        "left_out": dict(left_out),
        "triplets": triplets,
    }
    end_folder(folder, manifest)
    return manifest


def _check_camera_stands(
    clip: Clip, camera: CameraCheck, plate: Plate, samples: np.ndarray
) -> None:
    """Raise where the background is displaced in many frames, or changes nearly everywhere."""
    moved = [sample for sample in samples if not camera.stands(sample)]
    if len(moved) > _MOST_MOVED * len(samples):
        raise DataError(
            f"the camera of {clip.path} moves: in {len(moved)} of {len(samples)} frames the "
            "background is not where it is in the others. A clean plate needs a camera that stands"
        )
    changed = float(1.0 - plate.coverage.mean())
    if changed > _MOST_CHANGED:
        raise DataError(
            f"{clip.path} has no background that stays: a pixel differs from it in "
            f"{100 * changed:.0f} % of the frames. Does the camera move, or the light flicker?"
        )


def _views(scene: Scene, number: int, crop: int | None) -> Iterator[tuple[str, Scene, dict]]:
    """Yield the names, pictures and records of a frame's triplets: the whole, or crops."""
    name = f"{number:06d}"
    if crop is None:
        yield name, scene, {"people": [asdict(person) for person in scene.people]}
        return
    height, width = scene.mask.shape
    for index, person in enumerate(scene.people):
        side = max(crop, round(_CONTEXT * max(person.width, person.height)))
        side = min(side, height, width)
        top = _placed(person.top + person.height / 2, side, height)
        left = _placed(person.left + person.width / 2, side, width)
        size = min(crop, side)
        inside = (person.left - left, person.top - top, person.width, person.height)
        record = {
            "person": asdict(Box(*(round(value * size / side) for value in inside))),
            "crop": asdict(Box(left, top, side, side)),
        }
        view = _cut(scene, slice(top, top + side), slice(left, left + side), size)
        yield f"{name}-{index}", view, record


def _placed(centre: float, side: int, length: int) -> int:
    """Return where a crop begins: around ``centre``, but inside the picture."""
    return min(max(0, round(centre - side / 2)), length - side)


def _cut(scene: Scene, rows: slice, columns: slice, size: int) -> Scene:
    """Return a square of a scene, shrunk to ``size``."""
    frame, mask, background, doubtful = (
        part[rows, columns] for part in (scene.frame, scene.mask, scene.background, scene.doubtful)
    )
    if len(mask) > size:
        frame, background = (
            cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)
            for part in (frame, background)
        )
        mask, doubtful = (
            # A pixel with any share of a hole belongs to it: elsewhere the two stay equal.
            (cv2.resize(part.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA) > 0)
            for part in (mask, doubtful)
        )
        background = np.where(mask[..., None], background, frame)
    return Scene(frame, mask.astype(np.uint8), background, scene.people, doubtful)


def _unfit(view: Scene) -> str | None:
    """Say why a view is no use; None where it is."""
    hole = float(view.mask.mean())
    if hole > _MOST_HOLE:
        return f"views with more than {100 * _MOST_HOLE:.0f} % hole"
    if (view.doubtful & (view.mask == 1)).mean() > _MOST_DOUBTFUL * hole:
        return "views behind which the plate is not to be trusted"
    return None


def _write(folder: Path, name: str, view: Scene) -> dict:
    """Write a triplet's files; return their names and hashes, and the hole's share."""
    record: dict = {"hole_ratio": round(float(view.mask.mean()), 6)}
    for kind, write, pixels in (
        (FRAMES, write_png, view.frame),
        (MASKS, write_mask, view.mask),
        (BACKGROUNDS, write_png, view.background),
    ):
        file = f"{kind}/{name}.png"
        record[kind.removesuffix("s")] = {"file": file, "sha256": write(folder / file, pixels)}
    return record


def _write_coverage(folder: Path, plate: Plate) -> dict:
    """Write the coverage map; return what the manifest says of it."""
    levels = np.rint(255 * plate.coverage).astype(np.uint8)
    return {
        "file": "coverage.png",
        "sha256": write_png(folder / "coverage.png", levels),
        "meaning": (
            "gray / 255 is the share of the frames that agree with the plate. Dark: something "
            "stood or fluttered there, and the plate rests on few frames. White: nothing ever "
            "changed there, so what stood still from the first frame to the last is in the plate"
        ),
        "trusted_from": LEAST_COVERAGE,
        "share_not_trusted": round(float((plate.coverage < LEAST_COVERAGE).mean()), 6),
        "share_never_changed": round(float((plate.coverage == 1.0).mean()), 6),
        "share_repaired": round(float(plate.repaired.mean()), 6),
    }


def _rounded(pixels: np.ndarray) -> np.ndarray:
    """Return levels as 8-bit pixels."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
