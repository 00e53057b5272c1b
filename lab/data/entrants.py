"""What other programs made of the same photos and holes: a folder of pictures, and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lab.checks import UserError
from lab.data.photo_folders import named
from lab.imaging import files_called_alike, image_files, read_image
from lab.imaging.budgets import OtherSizeError
from lab.imaging.reading import read_source
from lab.untrusted import printable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


@dataclass(frozen=True)
class Entrant:
    """A program that enters by its pictures.

    Attributes:
        name: what tables call it.
        folder: where its pictures lie.
        files: its picture of each sample that it has one of.
        lacking: the samples without one.
        unused: pictures that are of no sample.
    """

    name: str
    folder: Path
    files: Mapping[str, Path]
    lacking: tuple[str, ...]
    unused: tuple[Path, ...]

    def image(self, sample: str) -> Tensor:
        """Its picture of a sample, ``(3, H, W)`` in [0, 1].

        Raises:
            UnreadablePhotoError: the file.
        """
        return read_image(self.files[sample])

    def notes(self) -> list[str]:
        """What a person should know of the folder before anything is scored."""
        said = []
        if self.lacking:
            every = len(self.lacking) + len(self.files)
            said.append(
                f"{self.name} lacks {len(self.lacking)} of {every} samples and is compared on the "
                f"others: {named(self.lacking)}"
            )
        if self.unused:
            said.append(
                f"{self.name}: {len(self.unused)} pictures are called like no sample: "
                f"{named(path.name for path in self.unused)}"
            )
        return said


def parse_entrant(given: str) -> tuple[str, Path]:
    """Part ``NAME=FOLDER``.

    Raises:
        UserError: another form, or a name that cannot be a folder's.
    """
    name, equals, folder = given.partition("=")
    if not equals or not folder:
        raise UserError(f"{given!r} is no entrant: write NAME=FOLDER, as in service=answers/")
    if not _NAME.fullmatch(name):
        raise UserError(
            f"an entrant cannot be called {name!r}: take 1 to 40 letters, digits, dots, _ or -"
        )
    return name, Path(folder).expanduser()


def open_entrant(name: str, folder: Path, sizes: Mapping[str, tuple[int, int]]) -> Entrant:
    """Match a folder's pictures with the samples by their names without suffix; look at each.

    Args:
        name: of the entrant.
        folder: of its pictures; subfolders are not searched.
        sizes: (height, width) of every sample by its name.

    Raises:
        UserError: no such folder, no picture of any sample, two of one, or another size.
        UnreadablePhotoError: a picture cannot be read.
    """
    if not folder.is_dir():
        raise UserError(f"{printable(folder)} is no folder: give the one of {name}'s pictures")
    pictures = image_files(folder)
    samples = {sample: Path(sample + ".png") for sample in sizes}
    found = files_called_alike(list(samples.values()), pictures)
    files: dict[str, Path] = {}
    for sample, key in samples.items():
        if len(found[key]) > 1:
            names = ", ".join(printable(path.name) for path in found[key])
            raise UserError(f"{names} in {printable(folder)} are of one sample: keep one of them")
        if found[key]:
            files[sample] = found[key][0]
    if not files:
        have = named((path.name for path in pictures), 3) or "none"
        raise UserError(
            f"no picture in {printable(folder)} is called like a sample: {len(pictures)} there "
            f"({have}), and samples are called {named(sizes, 3)}. Name its pictures alike, with "
            "any suffix, or see --hand-out"
        )
    _check_sizes(name, files, sizes)
    used = set(files.values())
    return Entrant(
        name,
        folder,
        files,
        tuple(sample for sample in sizes if sample not in files),
        tuple(path for path in pictures if path not in used),
    )


def _check_sizes(
    name: str, files: Mapping[str, Path], sizes: Mapping[str, tuple[int, int]]
) -> None:
    others = []
    for sample, path in files.items():
        wanted = sizes[sample]
        try:
            source = read_source(path, wanted)
            size = source.height, source.width
        except OtherSizeError as error:
            size = error.size
        if size != wanted:
            others.append((path, size, wanted))
    if others:
        path, size, wanted = others[0]
        raise UserError(
            f"{len(others)} of {len(files)} pictures of {name} have not their photo's size, first "
            f"{printable(path.name)}: {size[1]}x{size[0]} found, {wanted[1]}x{wanted[0]} wanted "
            "(width x height). Have them made at the photo's size, or scale them first: pixels are "
            "compared one by one"
        )
