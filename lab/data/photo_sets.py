"""Which photos train and which validate: found, verified by decoding, and split for good.

Without ``train/`` and ``val/`` the split goes by content, as ``lab.data.content_split`` says.
"""

import hashlib
import importlib.util
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch.utils.data import DataLoader

from lab.data.batches import Batch
from lab.data.content_split import check_share, content_fraction, validation_bound
from lab.data.photo_datasets import EpochSampler, RankSampler, SampleCutter, TrainingPhotos
from lab.data.photo_source import Feed
from lab.data.shared_memory import SharedMemoryLoader
from lab.files import file_sha256, file_state
from lab.formats.shards import TEST_SPLIT, TRAINING_SPLIT, VALIDATION_SPLIT
from lab.formats.sides import never_trained_on, split_of_folder
from lab.imaging import PHOTO_SUFFIXES, UnreadablePhotoError, read_source
from lab.imaging.budgets import LARGEST_FILE
from lab.processors import usable_processors
from lab.untrusted import printable, read_bytes

_UNREADABLE_SHARE = 0.10
_LISTED = 10
# Leaves room for an epoch and a suffix within the 255 bytes of a file name.
_NAME_BYTES = 150


def _kodak(*numbers: str) -> list[tuple[str, str]]:
    """Photos of Kodak's suite: lab/data/starter_photos/ORIGIN.md."""
    return [("lab.data", f"starter_photos/kodim{number}.jpg") for number in numbers]


# (package, path in it). Left out of scikit-image: hubble_deep_field (stars on black: any fill
# scores well, and nothing in it resembles what stands behind a person), the medical and
# microscopic pictures, and the gray ones. What shows the same scene stays on one side: the two
# views of a stereo pair, the sailing boats 09 and 10, the boat of 06 and 11.
_STARTER_TRAINING = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/motorcycle_right.png"),
    ("sklearn", "datasets/images/flower.jpg"),
    *_kodak("02", "03", "04", "05", "09", "10", "12", "14", "15", "17", "18", "20", "21", "23"),
)
_STARTER_VALIDATION = (
    *_kodak("01", "08", "19", "13", "22", "24", "07", "11", "06", "16"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("sklearn", "datasets/images/china.jpg"),
)


@dataclass(frozen=True)
class KnownFile:
    """A photo's file whose content is known: another one under its name is not read."""

    path: Path
    sha256: str

    def read_bytes(self) -> bytes:
        """The file.

        Raises:
            OSError: it cannot be read, or was replaced since it was found.
        """
        data = read_bytes(self.path, LARGEST_FILE)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise OSError("it is not what it was when it was found: put it back as it was")
        return data

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Photo:
    """A photo file that decodes.

    Attributes:
        name: unique in its set and fit for file names: the path below the set's folder without
            suffix, ``/`` and unusual characters replaced.
        path: the file.
        sha256: of the file's bytes, in hexadecimal.
        height: in pixels, upright.
        width: in pixels, upright.
    """

    name: str
    path: Path
    sha256: str
    height: int
    width: int

    @property
    def file(self) -> KnownFile:
        """Its bytes, as they were when it was found."""
        return KnownFile(self.path, self.sha256)

    @property
    def place(self) -> str:
        """Its path, without suffix."""
        return self.path.with_suffix("").as_posix()


@dataclass(frozen=True)
class UnreadablePhoto:
    """A file that has a photo's suffix and was left out; ``reason`` says why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class PhotoSet:
    """The photos below a folder, sorted by path, and those that were left out."""

    photos: tuple[Photo, ...]
    unreadable: tuple[UnreadablePhoto, ...] = ()


@dataclass(frozen=True)
class PhotoSplit:
    """Photos for training and for validation: a ``PhotoSource``.

    Attributes:
        training: sorted by path.
        validation: sorted by path.
        rule: how they were told apart, for people.
        unreadable: what was left out, and why.
        leaks: pairs (training photo, validation photo) of identical files. Only folders can leak;
            their photos stay where the user put them, but validation then flatters.
    """

    training: tuple[Photo, ...]
    validation: tuple[Photo, ...]
    rule: str
    unreadable: tuple[UnreadablePhoto, ...] = ()
    leaks: tuple[tuple[Photo, Photo], ...] = ()

    @property
    def training_count(self) -> int:
        """Photos for training."""
        return len(self.training)

    @property
    def validation_count(self) -> int:
        """Photos for validation."""
        return len(self.validation)

    @property
    def digest(self) -> str:
        """Of the contents, side by side and in order, but of no name."""
        contents = " ".join(photo.sha256 for photo in (*self.training, *self.validation))
        return hashlib.sha256(contents.encode()).hexdigest()[:12]

    def validation_photos(self, most: int | None) -> tuple[Photo, ...]:
        """The first validation photos; None takes all."""
        return self.validation[:most]

    def training_batches(self, cutter: SampleCutter, feed: Feed) -> DataLoader[Batch]:
        """Random crops of the photos, each as often as any other."""
        samples = feed.samples or len(self.training)
        batch_size = min(feed.batch_size, samples // feed.ranks)
        together = batch_size * feed.ranks
        sampler = EpochSampler(
            samples,
            cutter.seed,
            feed.first_epoch,
            feed.drawn_as,
            lambda epoch: feed.trained_on(epoch) * together,
        )
        return SharedMemoryLoader(
            TrainingPhotos(self.training, cutter),
            feed,
            cutter.reader.size,
            batch_size,
            cutter.seed,
            sampler=sampler
            if feed.ranks == 1
            else RankSampler(sampler, batch_size, feed.rank, feed.ranks),
            # A last batch of one sample upsets batch normalization; a full one always remains.
            drop_last=True,
        )

    def summary(self) -> str:
        """Return one line with the counts, then one each for what was left out and what leaks."""
        lines = [
            f"{len(self.training)} photos for training, {len(self.validation)} for validation "
            f"({self.rule}); {len(self.unreadable)} unreadable"
        ]
        lines += [f"left out: {printable(photo.path)}: {photo.reason}" for photo in self.unreadable]
        lines += [
            f"leak: {printable(seen.path)} and {printable(judged.path)} are the same file, and "
            "validation flatters"
            for seen, judged in self.leaks
        ]
        return "\n".join(lines)


def find_photos(folder: str | Path, validation_share: float = 0.2) -> PhotoSplit:
    """Find the photos below a folder and split them into training and validation.

    If the folder has ``train/`` and one of ``val/``, ``validation/``, ``valid/``, they are the
    split and photos elsewhere are left alone. Otherwise content decides, as the module's docstring
    says; where it would leave a side empty, the photo nearest to that side moves there. Beside one
    of those folders, the photos in ``test/`` are for neither.

    Args:
        folder: searched as by ``list_photos``.
        validation_share: of a folder without ``train/`` and ``val/``, in (0, 1).

    Raises:
        ValueError: no such folder, a share out of its range, no photos, more than 10 % of them
            unreadable, fewer than two left, or a side without any. The first ten reasons are shown.
    """
    check_share(validation_share)
    folder = Path(folder)
    paths, unlisted = _search(folder)
    side_of = {path: _side(folder, path) for path in paths}
    held_out = never_trained_on(sides_in(folder))
    has_sides = held_out == VALIDATION_SPLIT
    if has_sides:
        paths = [path for path in paths if side_of[path] in (TRAINING_SPLIT, VALIDATION_SPLIT)]
    elif held_out == TEST_SPLIT:
        paths = [path for path in paths if side_of[path] != TEST_SPLIT]
    unused = len(side_of) - len(paths)
    photo_set = _verify(folder, paths, unlisted)
    photos, unreadable = photo_set.photos, photo_set.unreadable
    if len(photos) < 2:
        raise ValueError(
            f"{len(photos)} readable photos in {folder}, but training and validation need at least "
            f"one each{_reasons(unreadable)}"
        )
    if not has_sides:
        training, validation = _split_by_content(photos, validation_share)
        rule = f"by content, about {100 * validation_share:g} % for validation"
        rule += f"; {unused} for tests are not used" if unused else ""
        return _checked(folder, PhotoSplit(training, validation, rule, unreadable))
    training = tuple(photo for photo in photos if side_of[photo.path] == TRAINING_SPLIT)
    validation = tuple(photo for photo in photos if side_of[photo.path] == VALIDATION_SPLIT)
    first_seen = {photo.sha256: photo for photo in reversed(training)}
    leaks = tuple(
        (first_seen[photo.sha256], photo) for photo in validation if photo.sha256 in first_seen
    )
    rule = "by their folders" + (f"; {unused} elsewhere are not used" if unused else "")
    return _checked(folder, PhotoSplit(training, validation, rule, unreadable, leaks))


def list_photos(folder: str | Path, side: str | None = None) -> PhotoSet:
    """Find the photos below a folder and decode each once, to know that it can be read.

    Subfolders are searched, links to folders followed once; what begins with a dot is skipped. A
    file counts as a photo by its suffix (``PHOTO_SUFFIXES``), in any case.

    Args:
        folder: to be searched.
        side: a split that folders in it name, as by ``sides_in``: only photos below those.

    Raises:
        ValueError: no such folder, no photos, or more than 10 % of them unreadable. The first ten
            reasons are shown.
    """
    folder = Path(folder)
    paths, unlisted = _search(folder)
    if side is not None:
        paths = [path for path in paths if _side(folder, path) == side]
        if not paths:
            raise ValueError(f"no photos for {side} in {folder}: fill that folder, or remove it")
    return _verify(folder, paths, unlisted)


def sides_in(folder: Path) -> set[str]:
    """Return the splits that a folder's own folders name; none where there is no such folder."""
    if not folder.is_dir():
        return set()
    named = {split_of_folder(entry.name) for entry in folder.iterdir() if entry.is_dir()}
    return {split for split in named if split is not None}


def starter_photos() -> PhotoSplit:
    """Return 32 colour photographs, split for good: 19 for training and 13 for validation.

    Kodak's suite, which ships with this package, and those that scikit-image and scikit-learn bring
    along. No scene is on both sides, and nothing is downloaded.

    Raises:
        ValueError: a photo is not where the pinned versions have it.
    """
    return PhotoSplit(
        training=_shipped(_STARTER_TRAINING),
        validation=_shipped(_STARTER_VALIDATION),
        rule="starter photos",
    )


def _shipped(files: Sequence[tuple[str, str]]) -> tuple[Photo, ...]:
    """Return the photos that installed packages bring along, given as (package, path in it)."""
    found = []
    for package, file in files:
        # Finding a package does not import it.
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(f"the package {package} is not installed: install the project's pins")
        path = Path(spec.submodule_search_locations[0], file)
        photo = _examine(path, path.stem)
        if isinstance(photo, UnreadablePhoto):
            raise ValueError(
                f"the starter photo {path} cannot be read: {photo.reason}; "
                f"install {package} in the pinned version"
            )
        found.append(photo)
    return tuple(found)


def _search(folder: Path) -> tuple[list[Path], list[UnreadablePhoto]]:
    """Return the files below ``folder`` that look like photos, sorted, and unlistable folders."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise ValueError(f"{folder} {what}: name a folder of photos")
    paths: list[Path] = []
    unlisted: list[UnreadablePhoto] = []

    def note_unlisted(error: OSError) -> None:
        unlisted.append(UnreadablePhoto(Path(error.filename), f"the folder: {error.strerror}"))

    visited = set()
    walk = os.walk(folder, onerror=note_unlisted, followlinks=True)
    for place, folders, files in _no_deeper_than_python(walk, folder):
        status = os.stat(place)
        # By identity, not by name: links may form a loop, or show one folder twice.
        if (status.st_dev, status.st_ino) in visited:
            folders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [
            Path(place, name)
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES
        ]
    return sorted(paths, key=lambda path: path.relative_to(folder).parts), unlisted


def _no_deeper_than_python(
    walk: Iterator[tuple[str, list[str], list[str]]], folder: Path
) -> Iterator[tuple[str, list[str], list[str]]]:
    try:
        yield from walk
    except RecursionError:
        raise ValueError(
            f"the folders below {folder} are nested too deeply: name one further down"
        ) from None


def _verify(folder: Path, paths: Sequence[Path], unlisted: Sequence[UnreadablePhoto]) -> PhotoSet:
    """Decode every file; raise where too many fail."""
    names = unique_names([path.relative_to(folder) for path in paths])
    # Decoding and hashing run outside Python's lock for the larger part.
    with ThreadPoolExecutor(max_workers=min(8, usable_processors())) as pool:
        found = list(pool.map(_examine, paths, names))
    photos = tuple(photo for photo in found if isinstance(photo, Photo))
    failed = [photo for photo in found if isinstance(photo, UnreadablePhoto)]
    unreadable = (*unlisted, *failed)
    if not photos and not unreadable:
        raise ValueError(f"no photos in {folder}: looked for {', '.join(PHOTO_SUFFIXES)}")
    total = len(photos) + len(unreadable)
    if len(unreadable) > _UNREADABLE_SHARE * total:
        raise ValueError(
            f"{len(unreadable)} of {total} photos in {folder} cannot be read, more than "
            f"{100 * _UNREADABLE_SHARE:g} %: repair or remove them{_reasons(unreadable)}"
        )
    return PhotoSet(photos, unreadable)


def _examine(path: Path, name: str) -> Photo | UnreadablePhoto:
    """Decode and hash one file."""
    try:
        sha256, height, width = _proof(path, file_state(path))
    except UnreadablePhotoError as error:
        return UnreadablePhoto(path, error.reason)
    except FileNotFoundError:
        return UnreadablePhoto(path, "there is no such file")
    except OSError as error:
        return UnreadablePhoto(path, error.strerror or str(error))
    return Photo(name, path, sha256, height, width)


# The trials of a process read the same folder; a file that has changed has another state.
@cache
def _proof(path: Path, state: tuple[int, int, int]) -> tuple[str, int, int]:
    """Return a photo's hash, height and width. Only decoding all of it finds a truncated one."""
    source = read_source(path)
    return file_sha256(path), source.height, source.width


def unique_names(paths: Iterable[Path]) -> list[str]:
    """Return a name fit for files for each relative path; those that would collide get a hash."""
    paths = list(paths)
    plain = [_plain_name(path) for path in paths]
    # Without case: some file systems do not tell it apart.
    uses = Counter(name.casefold() for name in plain)
    return [
        name
        if uses[name.casefold()] == 1
        else f"{name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
        for name, path in zip(plain, paths, strict=True)
    ]


def _plain_name(path: Path) -> str:
    """Return a readable name of letters, digits, ``_``, ``-`` and inner dots."""
    text = "-".join(path.with_suffix("").parts)
    text = re.sub(r"[^\w.-]+", "_", text).strip(".-") or "photo"
    return text.encode()[-_NAME_BYTES:].decode(errors="ignore")


def _side(folder: Path, path: Path) -> str | None:
    """Return the split that the photo's folder in ``folder`` names, if any."""
    return split_of_folder(path.relative_to(folder).parts[0])


def _split_by_content(
    photos: Sequence[Photo], share: float
) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """Return training and validation; both have photos unless all photos are one and the same."""
    fractions = {photo.sha256: content_fraction(photo.sha256) for photo in photos}
    bound = validation_bound(fractions.values(), share)
    training = tuple(photo for photo in photos if fractions[photo.sha256] >= bound)
    return training, tuple(photo for photo in photos if fractions[photo.sha256] < bound)


def _checked(folder: Path, split: PhotoSplit) -> PhotoSplit:
    """Return the split; raise where a side is empty."""
    for side, photos in (("training", split.training), ("validation", split.validation)):
        if not photos:
            raise ValueError(
                f"no photos for {side} in {folder} ({split.rule}; {len(split.training)} for "
                f"training, {len(split.validation)} for validation): add photos that differ"
                f"{_reasons(split.unreadable)}"
            )
    return split


def _reasons(unreadable: Sequence[UnreadablePhoto]) -> str:
    """Return the first reasons as further lines of an error."""
    lines = [f"\n  {printable(photo.path)}: {photo.reason}" for photo in unreadable[:_LISTED]]
    if len(unreadable) > _LISTED:
        lines.append(f"\n  and {len(unreadable) - _LISTED} more")
    return "".join(lines)
