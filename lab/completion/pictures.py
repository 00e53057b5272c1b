"""Filling photos that are in memory, or named by a path, without writing anything."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from torch import Tensor

from lab.completion.guiding import AS_IT_IS, Guidance, guide_answers
from lab.completion.photos import (
    Drawing,
    complete_photo,
    drawn_edges,
    find_person,
    grown_mask,
    side_by_side,
    transparency_note,
)
from lab.contracts import Strategy
from lab.imaging import (
    Picture,
    SourcePhoto,
    photo_file,
    read_mask,
    read_source,
    to_uint8,
    write_photo,
)
from lab.mask_sources import DILATION, Box, open_mask_source


@dataclass(frozen=True)
class Completed:
    """A photo with its hole filled; a notebook shows it beside the photo.

    Attributes:
        name: what filled it.
        source: the photo, in its own depth.
        result: the same with the hole filled; all else as it was.
        mask: ``(1, H, W)`` of 0 and 1, 1 = hole.
        seconds: that filling took.
        notes: what a person should know.
        further: the second answer and those after it, where several were asked for.
        edges: by which each answer was filled, white on black, where they were asked for.
    """

    name: str
    source: SourcePhoto
    result: SourcePhoto
    mask: Tensor
    seconds: float
    notes: tuple[str, ...] = ()
    further: tuple[SourcePhoto, ...] = ()
    edges: tuple[SourcePhoto, ...] = ()

    @property
    def answers(self) -> "tuple[Completed, ...]":
        """Every answer by itself; a tuple of this one where one was asked for."""
        results = (self.result, *self.further)
        edges: list[tuple[SourcePhoto, ...]] = [(drawn,) for drawn in self.edges]
        edges = edges or [()] * len(results)
        return tuple(
            replace(self, result=result, further=(), edges=drawn)
            for result, drawn in zip(results, edges, strict=True)
        )

    @property
    def image(self) -> Image.Image:
        """The result, 8 bits a channel, transparency over white."""
        return Image.fromarray(self.result.rgb8())

    @property
    def tensor(self) -> Tensor:
        """The result as the workbench's image, ``(3, H, W)`` in [0, 1]."""
        return self.result.image()

    def save(self, path: str | Path, lossy: bool = False) -> Path:
        """Write the result with the photo's depth, alpha and EXIF; PNG or TIFF keep every pixel.

        Args:
            path: of the file; its suffix names the format.
            lossy: allow a format that changes known pixels, such as JPEG.

        Raises:
            ValueError: a format that cannot hold it, or a loss that ``lossy`` does not allow.
            OSError: the file cannot be written.
        """
        target = Path(path).expanduser()
        write_photo(target, self.result, lossy)
        return target

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        shown = to_uint8(
            side_by_side(self.source, self.mask, *self.edges, self.result, *self.further)
        )
        Image.fromarray(shown).save(file, "PNG")
        return file.getvalue()

    def __repr__(self) -> str:
        height, width = self.mask.shape[-2:]
        share = float(self.mask.mean())
        notes = "".join(f"; {note}" for note in self.notes)
        return (
            f"{share:.3g} of {width}x{height} pixels restored by {self.name} in "
            f"{self.seconds:.1f} s{notes}"
        )


def complete_picture(
    photo: Picture,
    mask: Picture | None,
    strategy: Strategy,
    name: str,
    *,
    invert_mask: bool = False,
    dilation: int | None = None,
    person: str | None = None,
    box: Box | None = None,
    threshold: float | None = None,
    guidance: Guidance = AS_IT_IS,
    reads: Sequence[str] = (),
    draw_edges: Drawing | None = None,
) -> Completed:
    """Fill what a mask marks, or where a mask source finds the person.

    Args:
        photo: a path, a PIL image or an array.
        mask: alike; None where ``person`` is given.
        strategy: fills the hole.
        name: of the strategy, for people.
        invert_mask: black marks the hole.
        dilation: pixels by which the hole grows; None is 10 for a person and 0 for a mask.
        person: one of `MASK_SOURCES`.
        box: for GrabCut.
        threshold: for U²-Net.
        guidance: files of guides, and how many answers.
        reads: the guides that the strategy's network reads.
        draw_edges: draws the edges by which it fills; None leaves them out.

    Raises:
        UserError: a guide that is not read, or missing; several answers that would be the same; a
            network that draws no edges.
        ValueError: both or neither of mask and person, an unknown source, a mask that will not do.
        UnreadablePhotoError: photo or mask cannot be read.
        NoPersonError: the mask source found nobody.
    """
    guidance.check(reads, name)
    source = read_source(photo_file(photo))
    notes = list(source.notes)
    if (mask is None) == (person is None):
        raise ValueError("give a mask, or person to find who is to be removed: one of the two")
    if mask is not None:
        given = {"box": box, "threshold": threshold}
        needless = [option for option, value in given.items() if value is not None]
        if needless:
            raise ValueError(f"{needless[0]} goes with person, but a mask is given: leave one out")
        size = (source.height, source.width)
        reading = read_mask(photo_file(mask, "the mask"), size, invert_mask)
        hole, dilation = reading.mask, dilation or 0
        notes += [reading.note] if reading.note else []
    else:
        assert person is not None
        found = find_person(source, open_mask_source(person, box, threshold))
        hole, dilation = found.mask, DILATION if dilation is None else dilation
        notes += [found.note] if found.note else []
    hole = grown_mask(hole, dilation, "the photo")
    started = time.monotonic()
    answers, guide_notes = guide_answers(guidance, reads, source, hole)
    results, edges = [], []
    for guides in answers:
        if draw_edges is not None:
            edges.append(drawn_edges(source, hole, draw_edges, guides))
        results.append(complete_photo(source, hole, strategy, guides))
    notes += [*guide_notes, *transparency_note(source, hole)]
    seconds = time.monotonic() - started
    return Completed(
        name, source, results[0], hole, seconds, tuple(notes), tuple(results[1:]), tuple(edges)
    )
