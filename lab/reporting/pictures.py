"""The pictures of a report, under names of our own: what a photo is called never names a file."""

import base64
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from lab.imaging import SourcePhoto, UnreadablePhotoError, dilate, read_image, write_photo
from lab.results import Run
from lab.untrusted import MEBIBYTE, read_bytes

# What the network gave before pasting is left out first where a file would get too big.
MAIN_STAGE = "completed"
LARGEST_PICTURE = 256 * MEBIBYTE
"""Bytes of a picture of a run; those of 4096 pixels a side have at most 50 MB."""

_OUTLINE = (255, 214, 10)
# A line of one pixel for every so many pixels of the photo's height.
_PIXELS_TO_A_LINE = 160


@dataclass
class Photo:
    """A validation photo and where its pictures come from.

    Attributes:
        name: the photo's.
        truth: file of the photo.
        hole: file of the photo with its hole.
        truth_digest: what tells its pixels from another photo's of the same name.
        epochs: file by run, stage and epoch.
    """

    name: str
    truth: Path
    hole: Path
    truth_digest: str
    epochs: dict[str, dict[str, dict[int, Path]]] = field(default_factory=dict)


def find_photos(runs: Sequence[Run]) -> list[Photo]:
    """The pictured photos of all runs; the same photo with another hole is another one."""
    photos: dict[tuple[str, str, str], Photo] = {}
    for run in runs:
        for sample, pictures in run.pictures.groupby("sample", sort=False):
            fixed = dict(zip(pictures["what"], pictures["path"], strict=True))
            if not {"truth", "hole"} <= fixed.keys():
                continue  # a run that is just writing its first epoch
            truth, hole = fixed["truth"], fixed["hole"]
            of_truth, of_hole = (
                sha256(read_bytes(path, LARGEST_PICTURE)).hexdigest() for path in (truth, hole)
            )
            photo = photos.setdefault(
                (str(sample), of_truth, of_hole), Photo(str(sample), truth, hole, of_truth)
            )
            stages = photo.epochs.setdefault(run.name, {})
            by_epoch = pictures.dropna(subset="epoch")
            for stage, epoch, path in zip(
                by_epoch["what"], by_epoch["epoch"], by_epoch["path"], strict=True
            ):
                stages.setdefault(stage, {})[int(epoch)] = path
    return list(photos.values())


def shown_path(path: Path) -> str:
    """A path as a person would type it here, without the folders above the working folder."""
    return os.path.relpath(path) if path.resolve().is_relative_to(Path.cwd()) else str(path)


def lay_out(
    photos: Sequence[Photo], runs: Sequence[Run], folder: Path, stages: Sequence[str] | None
) -> Mapping[str, Path]:
    """Put every picture into ``folder``, hard-linked where the file system allows, else copied.

    Args:
        photos: see `find_photos`.
        runs: in the report's order; pictures are called after the index of their run.
        folder: to write to.
        stages: None for all.

    Returns:
        Mapping[str, Path]: each picture's file by the name that the page calls it by.
    """
    numbers = {run.name: number for number, run in enumerate(runs)}
    pictures: dict[str, Path] = {}
    for index, photo in enumerate(photos):
        sources: dict[str, Path] = {f"p{index}/truth": photo.truth, f"p{index}/hole": photo.hole}
        for run, stage, epoch, path in _by_epoch(photo):
            if stages is None or stage in stages:
                sources[f"p{index}/r{numbers[run]}/{epoch}-{stage}"] = path
        for name, source in sources.items():
            pictures[name] = folder / f"{name}.png"
            link(source, pictures[name])
        pictures[f"p{index}/outline"] = folder / f"p{index}" / "outline.png"
        write_photo(pictures[f"p{index}/outline"], hole_outline(photo), durable=False)
    return pictures


def link(source: Path, target: Path) -> None:
    """Put a picture in another place, hard-linked where the file system allows, else copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Pictures are replaced and never written into, so a link stays what it was.
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_serial(folder: Path, serial: int) -> None:
    """Write ``serial.png``, as many pixels wide as the number says.

    A page from disk may load pictures, but neither read a file nor ask for one: by the width, it
    learns that a newer version of itself lies there.
    """
    write_photo(folder / "serial.png", SourcePhoto(np.zeros((1, serial, 3), np.uint8)))


def as_base64(pictures: Mapping[str, Path]) -> dict[str, dict[str, str]]:
    """The pictures' bytes as text, in groups (a photo, or a photo and run) that load together."""
    groups: dict[str, dict[str, str]] = {}
    for name, path in pictures.items():
        group, _, leaf = name.rpartition("/")
        groups.setdefault(group, {})[leaf] = base64.b64encode(
            read_bytes(path, LARGEST_PICTURE)
        ).decode()
    return groups


def total_bytes(photos: Sequence[Photo], stages: Sequence[str] | None) -> int:
    """How much the pictures of these stages take on disk."""
    return sum(
        path.stat().st_size
        for photo in photos
        for _, stage, _, path in _by_epoch(photo)
        if stages is None or stage in stages
    )


def hole_outline(photo: Photo) -> SourcePhoto:
    """A line around the hole on a transparent ground, on the known side of the border."""
    truth, hole = read_image(photo.truth), read_image(photo.hole)
    if truth.shape != hole.shape:
        raise UnreadablePhotoError(photo.hole, "it has another size than the photo beside it")
    # The hole is painted in stripes that no photo has.
    mask = (truth != hole).any(dim=0, keepdim=True).float()
    width = max(1, round(mask.shape[-2] / _PIXELS_TO_A_LINE))
    line = (dilate(mask[None], width)[0] - mask).numpy()[0]
    pixels = np.broadcast_to(np.array(_OUTLINE, np.uint8), (*line.shape, 3))
    return SourcePhoto(np.ascontiguousarray(pixels), alpha=(line * 255).astype(np.uint8))


def _by_epoch(photo: Photo) -> Iterator[tuple[str, str, int, Path]]:
    for run, stages in photo.epochs.items():
        for stage, epochs in stages.items():
            for epoch, path in epochs.items():
                yield run, stage, epoch, path
