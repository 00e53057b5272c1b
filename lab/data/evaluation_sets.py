"""What is judged by: fixed photos and holes with the truth behind them, read by their manifest.

``data_prep.evaluation_sets`` writes pairs of photo and mask, where the truth is the photo itself;
``data_prep.clean_plate`` writes triplets of a frame with people, their mask and what was really
behind them. Both are read into one shape, and so are plain folders (`lab.data.photo_folders`).
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lab.files import file_sha256
from lab.formats.manifests import MANIFEST, PAIRS, TRIPLETS, read_manifest
from lab.imaging import read_image, read_mask
from lab.processors import usable_processors
from lab.untrusted import below, printable, unsafe_path

FOLDERS = "photos and masks"
"""The kind of photos and masks of two plain folders, which no manifest lists."""


class EvaluationSample(NamedTuple):
    """One sample: ``image (3, H, W)``, ``mask (1, H, W)``, ``truth (3, H, W)``.

    ``image`` is what a strategy is given and ``truth`` what it is scored against; they are equal
    outside the mask. ``photo`` is what is independent of other samples: the photo itself in pairs,
    the clip in triplets, whose people share one background. ``ratio_bin`` is the hole ratio's bin,
    such as ``0.3-0.5``, in sets that are counted by it, else None. ``content`` is a number made of
    the photo and its mask, which guides are drawn from.
    """

    image: Tensor
    mask: Tensor
    truth: Tensor
    name: str
    photo: str
    ratio_bin: str | None
    content: int


class EvaluationBatch(NamedTuple):
    """Samples as a batch: tensors ``(B, C, H, W)``, names, bins and contents."""

    image: Tensor
    mask: Tensor
    truth: Tensor
    name: Sequence[str]
    photo: Sequence[str]
    ratio_bin: Sequence[str | None]
    content: Sequence[int]


@dataclass(frozen=True)
class ManifestFile:
    """A file of a set and the SHA-256 that the manifest gives."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class EvaluationRecord:
    """Where the files of one sample lie; ``truth`` is ``image`` itself in pairs.

    ``size`` is (height, width) in pixels; ``black_is_hole`` says what marks the hole in the mask.
    """

    name: str
    photo: str
    ratio_bin: str | None
    image: ManifestFile
    mask: ManifestFile
    truth: ManifestFile
    size: tuple[int, int]
    black_is_hole: bool = False


class EvaluationSet(Dataset[EvaluationSample]):
    """The samples of a set, in the manifest's order. Use ``read_evaluation_set`` to make one.

    Attributes:
        kind: ``lab.formats.manifests.PAIRS`` or ``TRIPLETS``, or ``FOLDERS``.
        folder: of the set; of folders that of the photos.
        size: (height, width) in pixels, the same for all samples, as the manifest says; of plain
            folders the largest height and width that there are.
        records: of the samples.
    """

    def __init__(self, kind: str, folder: Path, records: Sequence[EvaluationRecord]) -> None:
        self.kind = kind
        self.folder = folder
        self.records = tuple(records)
        heights, widths = zip(*(record.size for record in records), strict=True)
        self.size = (max(heights), max(widths))

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> EvaluationSample:
        record = self.records[index]
        image = self._image(record.image, record.size)
        truth = image if record.truth == record.image else self._image(record.truth, record.size)
        mask = read_mask(record.mask.path, record.size, record.black_is_hole).mask
        content = int(record.image.sha256[:16], 16) ^ int(record.mask.sha256[:16], 16)
        names = record.name, record.photo, record.ratio_bin
        return EvaluationSample(image, mask, truth, *names, content)

    def batches(self, batch_size: int = 1, workers: int = 0) -> DataLoader[EvaluationSample]:
        """Each ``EvaluationBatch`` in order, of at most ``batch_size`` samples of one size."""
        batches = [
            list(together[first : first + batch_size])
            for _, found in groupby(range(len(self)), lambda index: self.records[index].size)
            for together in [list(found)]
            for first in range(0, len(together), batch_size)
        ]
        return DataLoader(
            self,
            batch_sampler=batches,
            num_workers=workers,
            collate_fn=_collate,
            generator=torch.Generator(),
        )

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that tell sets of different content apart."""
        parts = (
            part
            for record in self.records
            for part in (record.name, record.image.sha256, record.mask.sha256, record.truth.sha256)
        )
        return sha256("\0".join(parts).encode()).hexdigest()[:12]

    def summary(self) -> str:
        """Say in one line what it holds."""
        bins = Counter(record.ratio_bin for record in self.records if record.ratio_bin)
        counted = ", ".join(f"{count} in {name}" for name, count in sorted(bins.items()))
        height, width = self.size
        largest = "" if len({record.size for record in self.records}) == 1 else "at most "
        said = f"{self.kind} {self.folder}: {len(self)} samples of {largest}{width}x{height} pixels"
        return said + (f" ({counted})" if counted else "")

    def _image(self, file: ManifestFile, size: tuple[int, int]) -> Tensor:
        image = read_image(file.path)
        found = tuple(image.shape[1:])
        if found != size:
            raise ValueError(
                f"{file.path} has {found[1]}x{found[0]} pixels (width x height), but "
                f"{self.folder / MANIFEST} says {size[1]}x{size[0]}: make the set again"
            )
        return image


def read_evaluation_set(folder: str | Path) -> EvaluationSet:
    """Open a set of pairs or of triplets; every file is hashed, none is decoded yet.

    Hashing takes a tenth of what decoding takes, and finds an altered set before it is scored.

    Args:
        folder: as written by ``data_prep.evaluation_sets`` or ``data_prep.clean_plate``; or one
            that holds several such folders of one kind and size, such as the triplets of several
            clips, which are then one set.

    Raises:
        ValueError: no manifest, or a damaged one, or of another kind; a file is missing or is not
            the one that the manifest was written for; folders that do not go together.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists():
        parts = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
        if parts:
            return _join(folder, [read_evaluation_set(part) for part in parts])
    manifest = read_manifest(folder, PAIRS, TRIPLETS)
    read = _read_pairs if manifest["kind"] == PAIRS else _read_triplets
    try:
        records = read(folder, manifest)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{folder / MANIFEST} is damaged ({type(error).__name__}: {error}): make the set again"
        ) from error
    if not records or len({record.name for record in records}) < len(records):
        raise ValueError(
            f"{folder / MANIFEST} lists no samples, or two of one name: make the set again"
        )
    files = {file for record in records for file in (record.image, record.mask, record.truth)}
    with ThreadPoolExecutor(max_workers=min(8, usable_processors())) as pool:
        # In the order of their names: the same file is named first at every call.
        list(pool.map(_check, sorted(files, key=lambda file: file.path)))
    return EvaluationSet(manifest["kind"], folder, records)


def _join(folder: Path, sets: Sequence[EvaluationSet]) -> EvaluationSet:
    """One set of several, its samples and photos called after their folders."""
    first = sets[0]
    for other in sets[1:]:
        if (other.kind, other.size) != (first.kind, first.size):
            raise ValueError(
                f"{first.folder} ({first.kind}, {first.size[1]}x{first.size[0]} pixels) and "
                f"{other.folder} ({other.kind}, {other.size[1]}x{other.size[0]}) cannot be one "
                "set: make them of one kind and size"
            )
    records = [
        replace(
            record,
            name=f"{part.folder.name}-{record.name}",
            photo=f"{part.folder.name}-{record.photo}",
        )
        for part in sets
        for record in part.records
    ]
    return EvaluationSet(first.kind, folder, records)


def _read_pairs(folder: Path, manifest: dict) -> list[EvaluationRecord]:
    file = partial(_file, folder)
    size = _length(manifest["size"])
    return [
        EvaluationRecord(
            _name(pair["name"]),
            _name(pair["name"]),
            str(pair["bin"]),
            file(pair["photo"]),
            file(pair["mask"]),
            file(pair["photo"]),
            (size, size),
        )
        for pair in manifest["pairs"]
    ]


def _read_triplets(folder: Path, manifest: dict) -> list[EvaluationRecord]:
    file = partial(_file, folder)
    clip, crop = manifest["clip"], manifest["settings"]["crop"]
    height, width = _length(clip["height"]), _length(clip["width"])
    # Crops are never enlarged: a small clip gives smaller ones.
    size = (height, width) if crop is None else (min(_length(crop), height, width),) * 2
    return [
        EvaluationRecord(
            _name(triplet["name"]),
            str(clip["name"]),
            None,
            file(triplet["frame"]),
            file(triplet["mask"]),
            file(triplet["background"]),
            size,
        )
        for triplet in manifest["triplets"]
    ]


def _file(folder: Path, record: dict) -> ManifestFile:
    if not isinstance(record["sha256"], str):
        raise TypeError(f"the hash {record['sha256']!r} is no text")
    return ManifestFile(below(folder, record["file"]), record["sha256"])


def _name(value: object) -> str:
    """Return a sample's name; its pictures will lie in a folder called so."""
    name = str(value)
    if unsafe_path(name) or len(Path(name).parts) != 1 or not name.isprintable():
        raise ValueError(f"{name!r} is no name of a sample")
    return name


def _length(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise TypeError(f"{value!r} is no number of pixels")
    return value


def _check(file: ManifestFile) -> None:
    """Raise unless the file is the one that the manifest was written for."""
    try:
        found = file_sha256(file.path)
    except OSError as error:
        raise ValueError(
            f"{printable(file.path)} of an evaluation set cannot be read ({error.strerror}): make "
            "the set again"
        ) from error
    if found != file.sha256:
        raise ValueError(
            f"{printable(file.path)} was altered: its SHA-256 is {found[:12]}…, but the set's "
            f"{MANIFEST} says {file.sha256[:12]}…. Scores on it could not be compared: make the "
            "set again"
        )


def _collate(samples: Sequence[EvaluationSample]) -> EvaluationBatch:
    image, mask, truth, *names = zip(*samples, strict=True)
    return EvaluationBatch(torch.stack(image), torch.stack(mask), torch.stack(truth), *names)
