"""Cut people's shapes out of masks, into a library for ``lab.masks.Silhouettes``."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.commands import DataError
from data_prep.differences import SQUARE
from data_prep.pictures import read_manifest
from lab.files import file_sha256, replacing
from lab.formats.manifests import MANIFEST, TRIPLETS
from lab.imaging import PHOTO_SUFFIXES, UnreadablePhotoError, read_mask
from lab.masks.silhouettes import write_silhouettes
from lab.untrusted import below

_LONGER_SIDE = 192
_LEAST_PIXELS = 200
_LEAST_SHARE = 0.2
_MOST_DILATION = 1000

OnProgress = Callable[[int, float], None]
"""Called with the number of shapes so far, and the fraction of the masks."""


@dataclass(frozen=True)
class ShapeSettings:
    """Which shapes are taken.

    Attributes:
        cut_off: keep what touches the mask's border, where a person is seen in part.
        any_shape: keep what is wider than it is high.
        invert: black marks the person.
    """

    cut_off: bool = False
    any_shape: bool = False
    invert: bool = False


def write_library(
    source: Path, path: Path, settings: ShapeSettings, on_progress: OnProgress
) -> dict:
    """Write the shapes of all masks of a folder into one file, and an index beside it.

    Each connected white part of a mask is a shape; its holes are filled. It is kept at 192 pixels
    at most, once if two are equal. The dilation of triplets is undone first: dilate what the
    library gives as any other mask.

    Args:
        source: triplets of ``clean_plate``, or a folder of masks, white = person.
        path: of the library, ``.npz``; the index is the same path with ``.json``.
        settings: which shapes.
        on_progress: told now and then.

    Returns:
        The index, as written: ``sha256`` of the library, ``shapes`` (each with the mask it is
        from and its size) and the counts of what was ``left_out``.

    Raises:
        DataError: no masks, no shape that fits, or a path that is no ``.npz``.
    """
    if path.suffix != ".npz":
        raise DataError(f"a library is a .npz file, not {path.name!r}: name it {path.stem}.npz")
    masks = _masks(source)
    shapes: list[np.ndarray] = []
    records: list[dict] = []
    left_out: Counter[str] = Counter()
    known: set[bytes] = set()
    for number, (file, dilation) in enumerate(masks):
        on_progress(len(shapes), number / len(masks))
        try:
            mask = read_mask(file, invert=settings.invert).mask[0].numpy().astype(np.uint8)
        except (UnreadablePhotoError, ValueError) as error:
            left_out["masks that cannot be read or are empty"] += 1
            records.append({"mask": file.relative_to(source).as_posix(), "left_out": str(error)})
            continue
        undilated = cv2.erode(mask, SQUARE, iterations=dilation)
        for shape, reason in _shapes(undilated, settings):
            digest = hashlib.sha256(repr(shape.shape).encode() + shape.tobytes()).digest()
            if reason is None and digest in known:
                reason = "shapes equal to others"
            if reason is not None:
                left_out[reason] += 1
                continue
            known.add(digest)
            shapes.append(shape)
            height, width = shape.shape
            name = file.relative_to(source).as_posix()
            records.append({"mask": name, "height": height, "width": width})
    if not shapes:
        reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise DataError(f"no person's shape in the {len(masks)} masks of {source} ({reasons})")
    write_silhouettes(path, shapes)
    index = {
        "kind": "silhouettes",
        "library": path.name,
        "sha256": file_sha256(path),
        "left_out": dict(left_out),
        "shapes": [record for record in records if "left_out" not in record],
        "unreadable": [record for record in records if "left_out" in record],
    }
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(index, indent=1) + "\n")
    return index


def _masks(source: Path) -> list[tuple[Path, int]]:
    """Return the masks of triplets or of a folder, sorted, and by how much they were dilated."""
    if not source.is_dir():
        raise DataError(f"{source} is no folder of masks or triplets")
    if (source / MANIFEST).exists():
        manifest = read_manifest(source, TRIPLETS)
        try:
            return [_mask_of(source, triplet, manifest) for triplet in manifest["triplets"]]
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{source / MANIFEST} is damaged ({type(error).__name__}: {error}): make the "
                "triplets again"
            ) from error
    files = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
    )
    if not files:
        raise DataError(f"no masks in {source}: looked for {', '.join(PHOTO_SUFFIXES)}")
    return [(file, 0) for file in files]


def _mask_of(source: Path, triplet: dict, manifest: dict) -> tuple[Path, int]:
    """Return a triplet's mask, and by how much it was dilated."""
    settings = manifest["settings"]
    side = triplet["crop"]["width"] if "crop" in triplet else None
    scale = min(1.0, settings["crop"] / side) if side else 1.0
    dilation = round(settings["dilation"] * scale)
    if not 0 <= dilation <= _MOST_DILATION:
        raise ValueError(f"masks dilated by {dilation} pixels")
    return below(source, triplet["mask"]["file"]), dilation


def _shapes(mask: np.ndarray, settings: ShapeSettings) -> Iterator[tuple[np.ndarray, str | None]]:
    """Yield each connected part of a mask, and why it is no use, or None."""
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(mask)
    height, width = mask.shape
    for label in range(1, count):
        left, top, columns, rows, area = (int(value) for value in boxes[label])
        shape = labels[top : top + rows, left : left + columns] == label
        touches = left == 0 or top == 0 or left + columns == width or top + rows == height
        reason = None
        if area < _LEAST_PIXELS or area < _LEAST_SHARE * rows * columns:
            reason = "specks and scattered parts"
        elif touches and not settings.cut_off:
            reason = "shapes cut off by the mask's border"
        elif columns > rows and not settings.any_shape:
            reason = "shapes that are wider than high"
        yield _normal(shape), reason


def _normal(shape: np.ndarray) -> np.ndarray:
    """Fill holes and shrink a shape to the size of the library."""
    filled = shape.astype(np.uint8)
    outlines, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    scale = _LONGER_SIDE / max(filled.shape)
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in filled.shape[::-1])
        share = cv2.resize(filled.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return share >= 0.5
    return filled.astype(bool)
