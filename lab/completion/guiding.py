"""What a network is shown besides a photo and its mask, and how many answers a person wants."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import torch
from torch import Tensor

from lab.checks import UserError
from lab.contracts import Guides
from lab.guides import GUIDES, blank_guides, check_guide_names, draw_guides, noise_of_sample, show
from lab.imaging import PhotoFile, SourcePhoto


@dataclass(frozen=True)
class Guidance:
    """What a person asks for besides the completion.

    Attributes:
        files: by guide, what the person drew or has.
        samples: how many answers; they differ by the network's noise.
        seed: of the noise. Answer 3 is the same, however many are asked for.
    """

    files: Mapping[str, PhotoFile] = field(default_factory=dict)
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what means nothing.

        Raises:
            UserError: naming the value and its rule.
        """
        check_guide_names(self.files)
        for name in self.files:
            if GUIDES[name].read is None:
                raise UserError(f"{name} is drawn, and no file of it is read: leave it out")
        if self.samples < 1:
            raise UserError(f"samples is {self.samples}, but must be at least 1")
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}, but must not be negative")

    def check(self, reads: Sequence[str], name: str) -> None:
        """Refuse what makes no difference to what is called ``name``, which ``reads`` guides.

        Raises:
            UserError: says why.
        """
        for guide in self.files:
            if guide not in reads:
                known = ", ".join(reads) or "none"
                raise UserError(
                    f"{guide} is given, but {name} reads no such guide (it reads {known}): leave "
                    "it out, or take a network that reads it"
                )
        if self.samples > 1 and "noise" not in reads:
            raise UserError(
                f"{self.samples} samples are asked for, but {name} reads no noise, and all of them "
                "would be the same: ask for one"
            )
        for guide in reads:
            if GUIDES[guide].without_file == "refused" and guide not in self.files:
                raise UserError(
                    f"{name} reads the guide {guide} ({GUIDES[guide].meaning}), which cannot be "
                    f"told from the photo: give its file as {guide} (--{guide} FILE)"
                )


AS_IT_IS = Guidance()
"""Nothing is drawn by a person, and one answer is enough."""


def guide_answers(
    guidance: Guidance, reads: Sequence[str], source: SourcePhoto, mask: Tensor
) -> tuple[Iterable[Guides], list[str]]:
    """The guides of each answer for one photo, and what a person should know of them.

    Args:
        guidance: what the person asks for; `Guidance.check` it first.
        reads: the guides that the network reads.
        source: the photo; what lies under the hole is not read.
        mask: ``(1, H, W)`` of 0 and 1, 1 = hole.

    Raises:
        UnreadablePhotoError: a file cannot be read.
        ValueError: a file that will not do; says what was found.
    """
    if not reads:
        return [{}] * guidance.samples, []
    given: dict[str, Tensor] = {}
    notes: list[str] = []
    known = torch.where(mask > 0, 0.0, source.image())
    for name in reads:
        guide = GUIDES[name]
        if name in guidance.files and guide.read is not None:
            reading = guide.read(guidance.files[name], (source.height, source.width))
            given[name] = reading.planes
            notes += [f"{name}: {reading.note}"] if reading.note else []
            notes += _unseen(name, reading.planes, mask[None])
        elif guide.without_file == "empty":
            given |= blank_guides((name,), known[None]) or {}
            notes.append(f"no {name} is given, and the network is shown an empty one")
        else:
            content = int.from_bytes(sha256(known.numpy().tobytes()).digest()[:8])
            drawn = draw_guides((name,), known, mask, (guidance.seed, content))
            given[name] = drawn[name][None]
    # One after the other: the noises of a large photo need not all be there at once.
    numbers = range(1, guidance.samples + 1)
    return (_of_answer(given, number) for number in numbers), notes


def _of_answer(given: Mapping[str, Tensor], number: int) -> Guides:
    if "noise" not in given:
        return given
    return {**given, "noise": noise_of_sample(given["noise"], number)}


def _unseen(name: str, planes: Tensor, mask: Tensor) -> list[str]:
    """Say how much of a drawing the network is not shown."""
    guide = GUIDES[name]
    hidden = int((planes != show(guide, planes, mask)).sum())
    if not hidden:
        return []
    where = "under the hole" if guide.shown == "known" else "outside the hole"
    return [f"{name}: {hidden} marked pixels {where} are not shown to the network"]
