"""Frame, mask and true background of people in a clip, as files with a manifest."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from data_prep.clips import Clip
from data_prep.commands import DataError
from data_prep.moving_people import Box, Scene
from data_prep.pictures import end_folder, unfinished_folder, write_mask, write_png
from data_prep.plates import LEAST_COVERAGE, Plate
from data_prep.viewpoints import Viewpoint
from lab.files import file_sha256
from lab.formats.manifests import TRIPLETS

FRAMES, MASKS, BACKGROUNDS = "frames", "masks", "backgrounds"
_CONTEXT = 2.0
_MOST_HOLE = 0.6
_MOST_DOUBTFUL = 0.05

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
        The manifest, as written: ``clip``, ``settings``, ``camera``, ``plate``, ``coverage``,
        ``triplets`` and the counts of what was ``left_out``.

    Raises:
        DataError: no clip; its camera moves too far, or from its place; nobody in it moves; the
            folder holds something else.
    """
    clip = Clip(path)
    total = clip.declared_frames or clip.count_frames()
    with unfinished_folder(folder):
        viewpoint = Viewpoint(clip, total, folder, settings.dilation)
        every = max(1, round(settings.every * clip.frames_per_second))
        triplets: list[dict] = []
        left_out: Counter[str] = Counter()
        frames = 0
        for number, frame in clip.frames(every):
            frames += 1
            on_progress(len(triplets), min(1.0, number / max(1, total)))
            scene = viewpoint.scene(frame)
            if isinstance(scene, str):
                left_out[scene] += 1
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
                    record["displacement"] = scene.displacement
                    triplets.append(record | _write(folder, name, part))
        if not triplets:
            reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
            raise DataError(
                f"nobody moves in {path}: of {frames} frames looked at, none gave a person "
                f"({reasons})"
            )
        plate = viewpoint.plate
        height, width = plate.noise.shape
        manifest = {
            "kind": TRIPLETS,
            "clip": {
                "name": path.name,
                "sha256": file_sha256(path),
                "frames_per_second": clip.frames_per_second,
                "height": height,
                "width": width,
            },
            "settings": asdict(settings),
            "camera": viewpoint.record(),
            "plate": {
                "file": "plate.png",
                "sha256": write_png(folder / "plate.png", plate.as_pixels()),
                "frames": viewpoint.samples,
            },
            "coverage": _write_coverage(folder, plate),
            "left_out": dict(left_out),
            "triplets": triplets,
        }
        end_folder(folder, manifest)
    return manifest


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
    return replace(
        scene, frame=frame, mask=mask.astype(np.uint8), background=background, doubtful=doubtful
    )


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
