"""Complete photo files: one, or a folder of photos with masks from files or from a mask source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import cv2
from torch import Tensor

from lab.completion.guiding import AS_IT_IS, Guidance, guide_answers
from lab.completion.photos import (
    Drawing,
    complete_photo,
    drawn_edges,
    find_person,
    grown_mask,
    in_gray,
    side_by_side,
    transparency_note,
)
from lab.completion.steps import FILLING, FINDING, READING, WRITING, StepWatch
from lab.contracts import Guides, Strategy
from lab.imaging import (
    PHOTO_SUFFIXES,
    WRITTEN_SUFFIXES,
    MaskReading,
    SourcePhoto,
    check_destination,
    files_called_alike,
    image_files,
    read_mask,
    read_source,
    write_image,
    write_photo,
)
from lab.mask_sources import MaskSource
from lab.untrusted import printable

_TIFF = (".tif", ".tiff")
_MASK_ENDING = "_mask"


@dataclass(frozen=True)
class Job:
    """One photo to complete: where it, its mask and the results lie.

    ``mask`` is ``None`` where a mask source finds the hole in the photo. ``saved_mask`` is where
    the mask that was used is written, ``saved_edges`` where the completed edges are.
    """

    photo: Path
    mask: Path | None
    output: Path
    preview: Path | None = None
    saved_mask: Path | None = None
    saved_edges: Path | None = None

    @property
    def targets(self) -> list[tuple[str, Path]]:
        """What is written: what it is, and where."""
        named = (
            ("result", self.output),
            ("preview", self.preview),
            ("mask", self.saved_mask),
            ("edges", self.saved_edges),
        )
        return [(what, path) for what, path in named if path is not None]

    def is_done(self, samples: int) -> bool:
        """Whether everything that is to be written, of so many answers, is there."""
        return all(path.exists() for one in self.answers(samples) for _, path in one.targets)

    def answers(self, samples: int) -> list["Job"]:
        """A job for each of several answers: ``beach-1.png`` and so on; itself for one."""
        if samples == 1:
            return [self]
        return [
            replace(
                self,
                output=_numbered(self.output, number),
                preview=self.preview and _numbered(self.preview, number),
                saved_edges=self.saved_edges and _numbered(self.saved_edges, number),
            )
            for number in range(1, samples + 1)
        ]


@dataclass(frozen=True)
class Completion:
    """What ``complete_file`` did: for people. ``steps`` are seconds, by what was done in them."""

    width: int
    height: int
    hole_share: float
    steps: Mapping[str, float]
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Of all steps together."""
        return sum(self.steps.values())


@dataclass(frozen=True)
class Pairing:
    """The photos and masks of two folders: what fits together, and what was left over.

    ``ambiguous`` holds a photo and the reason why it cannot be told what belongs to it.
    """

    jobs: tuple[Job, ...]
    photos_without_mask: tuple[Path, ...] = ()
    masks_without_photo: tuple[Path, ...] = ()
    ambiguous: tuple[tuple[Path, str], ...] = ()


def pair_files(
    photos: Path,
    masks: Path | None,
    output: Path,
    preview: Path | None = None,
    saved_masks: Path | None = None,
    saved_edges: Path | None = None,
) -> Pairing:
    """Pair the photos of one folder with the masks of another by their names without suffix.

    ``beach.jpg`` is paired with ``beach.png`` or ``beach_mask.png``. If both folders are the same,
    files that end in ``_mask`` are the masks. Subfolders are not searched.

    Args:
        photos: the folder of photos.
        masks: the folder of masks; ``None`` where a mask source finds the hole of every photo.
        output: the folder for results: TIFF for TIFF photos, PNG for all others.
        preview: the folder for previews, ``beach_preview.png``; ``None`` for none.
        saved_masks: the folder for masks, ``beach_mask.png``; ``None`` for none.
        saved_edges: the folder for completed edges, ``beach_edges.png``; ``None`` for none.

    Raises:
        ValueError: no photo (or none with a mask), a folder is something else, or results would lie
            among the photos or the masks.
        OSError: a folder cannot be listed.
    """
    folders = [photos] if masks is None else [photos, masks]
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder: with a folder of photos, masks are one too")
    for target in (output, preview, saved_masks, saved_edges):
        if target is not None and target.exists() and not target.is_dir():
            raise ValueError(f"{target} is a file: with a folder of photos, name a folder")
        # Results named like the photos would replace photos and masks, one pair after another.
        if target is not None and any(_is_same_file(target, folder) for folder in folders):
            raise ValueError(f"{target} holds the photos or masks: name another folder for results")
    photo_files, mask_files = image_files(photos), [] if masks is None else image_files(masks)
    if masks is not None and photos.samefile(masks):
        mask_files = [path for path in mask_files if path.stem.endswith(_MASK_ENDING)]
        are_masks = set(mask_files)
        photo_files = [path for path in photo_files if path not in are_masks]
    masks_of = files_called_alike(photo_files, mask_files, _MASK_ENDING)
    jobs: list[Job] = []
    # Which photo gives a file, whatever it is: two kinds may share a folder.
    given_by: dict[Path, Path] = {}
    lonely, ambiguous, used = [], [], set()
    for photo in photo_files:
        found = masks_of[photo]
        used.update(found)
        mask = found[0] if found else None
        job = _job_of(photo, mask, output, preview, saved_masks, saved_edges)
        targets = {path.resolve(): path.name for _, path in job.targets}
        taken = next((path for path in targets if path in given_by), None)
        if not found and masks is not None:
            lonely.append(photo)
        elif len(found) > 1:
            names = ", ".join(printable(path.name) for path in found)
            ambiguous.append((photo, f"several masks could be meant: {names}; keep one"))
        elif taken is not None:
            other, name = printable(given_by[taken].name), printable(targets[taken])
            ambiguous.append((photo, f"{other} gives {name} already; rename one"))
        else:
            jobs.append(job)
            given_by.update(dict.fromkeys(targets, photo))
    if masks is None and not photo_files:
        raise ValueError(f"no photos in {photos}: looked for {', '.join(PHOTO_SUFFIXES)}")
    if not jobs and not ambiguous:
        raise ValueError(
            f"none of the {len(photo_files)} photos in {photos} has a mask among the "
            f"{len(mask_files)} in {masks}: name them alike, beach.jpg with beach.png or "
            "beach_mask.png"
        )
    unused = tuple(path for path in mask_files if path not in used)
    return Pairing(tuple(jobs), tuple(lonely), unused, tuple(ambiguous))


def _job_of(
    photo: Path,
    mask: Path | None,
    output: Path,
    preview: Path | None,
    saved_masks: Path | None,
    saved_edges: Path | None,
) -> Job:
    """The job of one photo of a folder, by the folders of what is written."""
    suffix = photo.suffix if photo.suffix.lower() in _TIFF else ".png"
    return Job(
        photo,
        mask,
        output / f"{photo.stem}{suffix}",
        preview and preview / f"{photo.stem}_preview.png",
        saved_masks and saved_masks / f"{photo.stem}{_MASK_ENDING}.png",
        saved_edges and saved_edges / f"{photo.stem}_edges.png",
    )


def complete_file(
    job: Job,
    strategy: Strategy,
    invert_mask: bool = False,
    overwrite: bool = False,
    lossy: bool = False,
    dilation: int = 0,
    mask_source: MaskSource | None = None,
    guidance: Guidance = AS_IT_IS,
    reads: Sequence[str] = (),
    draw_edges: Drawing | None = None,
) -> Completion:
    """Complete one photo file and write the result, known pixels, alpha and EXIF as they were.

    Several answers are written as ``NAME-1.png``, ``NAME-2.png`` and so on.

    Args:
        job: the files. Neither the photo nor the mask is ever written to.
        strategy: fills the hole.
        invert_mask: black marks the hole instead of white.
        overwrite: replace results that exist.
        lossy: allow an output format that changes known pixels (see ``check_destination``).
        dilation: pixels by which the hole is grown, in steps of a 3x3 square.
        mask_source: finds the hole where the job names no mask file.
        guidance: files of guides, and how many answers.
        reads: the guides that the strategy's network reads.
        draw_edges: draws the edges by which it fills, for jobs that save them.

    Raises:
        UserError: the network draws no edges.
        UnreadablePhotoError: the photo or the mask cannot be read.
        NoPersonError: the mask source found nobody.
        ValueError: a mask that will not do, an output that exists or would replace an input, or a
            format that cannot hold the result.
        OSError: the result cannot be written.
    """
    watch = StepWatch()
    guidance.check(reads, "what fills the hole")
    check_targets(job, overwrite, guidance)
    with watch.step(READING):
        source = read_source(job.photo)
    # A JPEG has lost before what a JPEG loses again; how much is measured and said.
    lossy = lossy or (_is_jpeg(job.photo) and _is_jpeg(job.output))
    check_destination(job.output, source, lossy)
    with watch.step(READING if job.mask is not None else FINDING):
        reading = _find_hole(job, source, invert_mask, dilation, mask_source)
    with watch.step(FILLING):
        answers, guide_notes = guide_answers(guidance, reads, source, reading.mask)
    notes = [*source.notes, *([reading.note] if reading.note else []), *guide_notes]
    notes += transparency_note(source, reading.mask)
    for one, guides in zip(job.answers(guidance.samples), answers, strict=True):
        with watch.step(FILLING):
            # Before the hole is filled: what draws no edges should say so at once.
            drawn = _draw(one, source, reading.mask, guides, draw_edges)
            result = complete_photo(source, reading.mask, strategy, guides)
        with watch.step(WRITING):
            write_photo(one.output, result, lossy)
            if one.preview is not None:
                # A preview is for looking at: no promise is broken by writing it as JPEG.
                write_image(one.preview, side_by_side(source, reading.mask, result), lossy=True)
            if one.saved_edges is not None and drawn is not None:
                write_photo(one.saved_edges, drawn)
        notes += [_jpeg_loss(one.output, result, reading.mask)] if _is_jpeg(one.output) else []
    if job.saved_mask is not None:
        with watch.step(WRITING):
            write_photo(job.saved_mask, in_gray(reading.mask))
    return Completion(
        source.width, source.height, float(reading.mask.mean()), watch.seconds, tuple(notes)
    )


def _draw(
    job: Job, source: SourcePhoto, mask: Tensor, guides: Guides, draw_edges: Drawing | None
) -> SourcePhoto | None:
    """The completed edges of a photo, white on black; None where the job saves none."""
    if job.saved_edges is None:
        return None
    if draw_edges is None:
        raise ValueError(f"nothing draws edges to write to {printable(job.saved_edges)}")
    return drawn_edges(source, mask, draw_edges, guides)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _is_jpeg(path: Path) -> bool:
    return path.suffix.lower() in (".jpg", ".jpeg")


def _jpeg_loss(path: Path, photo: SourcePhoto, mask: Tensor) -> str:
    """Say by how much what was written differs from the known pixels, in 8-bit levels."""
    known = mask[0].numpy() == 0
    loss = cv2.absdiff(read_source(path).rgb8(), photo.rgb8())[known]
    return (
        f"JPEG changed the known pixels by {loss.mean():.2g} of 255 levels in the mean, by "
        f"{loss.max()} at most; PNG keeps them"
    )


def check_targets(job: Job, overwrite: bool, guidance: Guidance = AS_IT_IS) -> None:
    """Raise ``ValueError`` where writing the results would replace what must stay."""
    for one in job.answers(guidance.samples):
        _check_targets(one, overwrite, guidance)


def _check_targets(job: Job, overwrite: bool, guidance: Guidance) -> None:
    files = [(what, path) for what, path in guidance.files.items() if isinstance(path, Path)]
    targets = job.targets
    for _, target in targets:
        if target.is_dir():
            raise ValueError(f"{printable(target)} is a folder: name the file to write")
        for what, source in (("photo", job.photo), ("mask", job.mask), *files):
            if source is not None and _is_same_file(target, source):
                raise ValueError(f"{printable(target)} is the {what} itself: choose another name")
        if target.exists() and not overwrite:
            raise ValueError(f"{printable(target)} exists: choose another name, or add --overwrite")
        # Putting a file in the place of a device would take it away from the whole system.
        if target.exists() and not target.is_file():
            raise ValueError(f"{printable(target)} is no regular file: choose another name")
    for (what, target), (other_what, other) in combinations(targets, 2):
        if _is_same_file(target, other):
            raise ValueError(f"{other} is to be both {what} and {other_what}: name two files")
    if job.preview is not None and job.preview.suffix.lower() not in WRITTEN_SUFFIXES:
        raise ValueError(f"cannot write the preview {job.preview}: end its name in .png")
    # In JPEG black and white become gray, and other formats have no advantage.
    for what, saved in (("mask", job.saved_mask), ("edges", job.saved_edges)):
        if saved is not None and saved.suffix.lower() != ".png":
            raise ValueError(f"cannot write the {what} {saved}: end its name in .png")


def _find_hole(
    job: Job, source: SourcePhoto, invert: bool, dilation: int, mask_source: MaskSource | None
) -> MaskReading:
    """Read the mask file, or look for the hole in the photo; then grow it."""
    if job.mask is not None:
        reading = read_mask(job.mask, (source.height, source.width), invert)
    elif mask_source is not None:
        reading = find_person(source, mask_source)
    else:
        raise ValueError(
            f"{printable(job.photo)} has no mask: name a mask file, or give a mask source"
        )
    return replace(reading, mask=grown_mask(reading.mask, dilation, printable(job.photo)))


def _is_same_file(one: Path, other: Path) -> bool:
    """Tell whether two paths lead to one file or folder, which need not exist."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()
