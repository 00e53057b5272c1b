"""Photos and masks of two plain folders, as anybody has them: what is judged by without a manifest.

A mask may mean either of two things by white, and both are usual: the hole, as everywhere here, or
what is known, as in the free-form masks of MI-GAN and CoModGAN. A wrong guess would score the known
pixels, so it is told by evidence, or asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from torch import Tensor

from lab.checks import UserError
from lab.data.evaluation_sets import FOLDERS, EvaluationRecord, EvaluationSet, ManifestFile
from lab.files import file_sha256
from lab.imaging import (
    UnreadablePhotoError,
    files_called_alike,
    image_files,
    read_image,
    read_mask,
    read_source,
)
from lab.untrusted import printable

MaskPolarity = Literal["white-is-hole", "black-is-hole"]

MASK_ENDING = "_mask"
"""What a mask's name may end in besides its photo's."""

# So many pairs tell which colour marks the hole.
_ENOUGH = 32
# A fill differs from the photo so many times as much as what was to be kept.
_CLEARLY_MORE = 2.0
# Levels of 255 by which a fill differs from the photo at least, in the mean.
_LEAST_CHANGE = 0.5
# A hole is the smaller part, and leaves so much of the picture's border.
_LEAST_BORDER_KEPT = 0.75
_LEAST_AGREEING = 0.8


@dataclass(frozen=True)
class Polarity:
    """Which colour marks the hole in a folder's masks, and what says so, in words."""

    polarity: MaskPolarity
    why: str


def pair_folders(photos: Path, masks: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pair the photos of a folder with the masks of another by their names without suffix.

    ``beach.jpg`` is paired with ``beach.png`` or ``beach_mask.png``. Subfolders are not searched.

    Returns:
        The pairs by the photos' names, and what was left out, in words.

    Raises:
        UserError: no such folder, no photo with a mask, or several files that could be meant.
    """
    for folder in (photos, masks):
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder: give one of photos and one of masks")
    photo_files, mask_files = image_files(photos), image_files(masks)
    if photos.samefile(masks):
        mask_files = [path for path in mask_files if path.stem.endswith(MASK_ENDING)]
        taken = set(mask_files)
        photo_files = [path for path in photo_files if path not in taken]
    masks_of = files_called_alike(photo_files, mask_files, MASK_ENDING)
    alike = files_called_alike(photo_files, photo_files)
    for photo, found in masks_of.items():
        meant = found if len(found) > 1 else alike[photo]
        if len(meant) > 1:
            names = ", ".join(printable(path.name) for path in meant)
            raise UserError(f"{names} could be meant by {printable(photo.stem)}: keep one of them")
    pairs = [(photo, found[0]) for photo, found in masks_of.items() if found]
    if not pairs:
        raise UserError(
            f"none of the {len(photo_files)} photos in {photos} has a mask among the "
            f"{len(mask_files)} in {masks}: name them alike, beach.jpg with beach.png or "
            "beach_mask.png"
        )
    lonely = [photo for photo, found in masks_of.items() if not found]
    used = {mask for _, mask in pairs}
    unused = [mask for mask in mask_files if mask not in used]
    return pairs, [
        f"{len(left)} {what}: {named(path.name for path in left)}"
        for what, left in (("photos without a mask", lonely), ("masks without a photo", unused))
        if left
    ]


def named(names: object, most: int = 5) -> str:
    """The first names, and how many more there are."""
    listed = [printable(name) for name in names]  # type: ignore[attr-defined]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def read_photo_folders(
    photos: str | Path, masks: str | Path, polarity: MaskPolarity
) -> EvaluationSet:
    """Open the photos and masks of two folders as a set that can be judged by.

    Every photo and mask is decoded once, and hashed: what cannot be read, or does not fit, is
    refused before anything is filled. Each sample is called after its photo, without suffix.

    Args:
        photos: the folder of photos, of any sizes.
        masks: the folder of masks, each of its photo's size.
        polarity: which colour marks the hole.

    Raises:
        UserError: as by `pair_folders`.
        UnreadablePhotoError: a photo or a mask.
        ValueError: a mask of another size than its photo's.
    """
    photos, masks = Path(photos), Path(masks)
    pairs, _ = pair_folders(photos, masks)
    records = []
    for photo, mask in pairs:
        source = read_source(photo)
        read_mask(mask, (source.height, source.width), polarity == "black-is-hole")
        image = ManifestFile(photo, file_sha256(photo))
        records.append(
            EvaluationRecord(
                photo.stem,
                photo.stem,
                None,
                image,
                ManifestFile(mask, file_sha256(mask)),
                image,
                (source.height, source.width),
                polarity == "black-is-hole",
            )
        )
    return EvaluationSet(FOLDERS, photos, records)


def find_polarity(
    pairs: Sequence[tuple[Path, Path]], answers: Mapping[str, Sequence[Path]]
) -> Polarity:
    """Find out which colour marks the hole in the masks of a folder.

    What other programs answered says it best: where their pictures are the photo, nothing was to be
    filled. Without any, the masks themselves may say it: a hole is seldom most of a photo, and
    seldom most of its border.

    Args:
        pairs: of photo and mask.
        answers: the pictures that programs made of a photo, by the photo's name without suffix.

    Raises:
        UserError: the answers contradict each other, or nothing is clear; says what was found.
        UnreadablePhotoError: a photo or a mask.
    """
    step = max(1, len(pairs) // _ENOUGH)
    looked_at = list(pairs)[::step][:_ENOUGH]
    answered = [pair for pair in pairs if answers.get(pair[0].stem)]
    by_answers = _by_answers(answered[:: max(1, len(answered) // _ENOUGH)][:_ENOUGH], answers)
    if by_answers is not None:
        return by_answers
    masks = [read_mask(mask).mask[0].numpy() > 0 for _, mask in looked_at]
    border, share = (100 * np.mean([of(mask) for mask in masks]) for of in (_on_border, np.mean))
    found = f"white is {share:.0f} % of the masks and {border:.0f} % of their border"
    for polarity, holes in (
        ("white-is-hole", masks),
        ("black-is-hole", [~mask for mask in masks]),
    ):
        like = [hole.mean() < 0.5 and _on_border(hole) <= 1 - _LEAST_BORDER_KEPT for hole in holes]
        if np.mean(like) >= _LEAST_AGREEING:
            return Polarity(polarity, found)  # type: ignore[arg-type]
    raise UserError(
        f"the masks do not say which colour marks the hole ({found}), and no answer of another "
        "program does: give --mask-polarity white-is-hole or black-is-hole"
    )


def _on_border(mask: np.ndarray) -> float:
    """The share of the picture's outermost pixels that a bool ``(H, W)`` marks."""
    edges = (mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1])
    return float(np.concatenate(edges).mean())


def _by_answers(
    pairs: Sequence[tuple[Path, Path]], answers: Mapping[str, Sequence[Path]]
) -> Polarity | None:
    """What the answers say; None where they say nothing."""
    changes: dict[MaskPolarity, list[tuple[Path, float, float]]] = {
        "white-is-hole": [],
        "black-is-hole": [],
    }
    for photo, mask in pairs:
        image = read_image(photo)
        white = read_mask(mask, (image.shape[1], image.shape[2])).mask[0] > 0
        found = [_change(path, image, white) for path in answers[photo.stem]]
        known = [pair for pair in found if pair is not None]
        if not known:
            continue
        in_white, in_black = np.mean(known, axis=0)
        if in_white > max(_CLEARLY_MORE * in_black, _LEAST_CHANGE):
            changes["white-is-hole"].append((mask, in_white, in_black))
        elif in_black > max(_CLEARLY_MORE * in_white, _LEAST_CHANGE):
            changes["black-is-hole"].append((mask, in_black, in_white))
    white_masks, black_masks = (changes[name] for name in ("white-is-hole", "black-is-hole"))
    if white_masks and black_masks:
        raise UserError(
            f"the masks are of both polarities: by what was answered, white marks the hole in "
            f"{printable(white_masks[0][0].name)} ({len(white_masks)} of them) and black in "
            f"{printable(black_masks[0][0].name)} ({len(black_masks)}): score them as two sets, or "
            "give --mask-polarity"
        )
    for polarity, of in changes.items():
        if of:
            filled, kept = np.mean([[inside, outside] for _, inside, outside in of], axis=0)
            hole, other = polarity.split("-")[0], "black" if polarity[0] == "w" else "white"
            return Polarity(
                polarity,
                f"what was answered differs from the photos by {filled:.1f} levels where the masks "
                f"are {hole}, by {kept:.1f} where they are {other}",
            )
    return None


def _change(path: Path, image: Tensor, white: Tensor) -> tuple[float, float] | None:
    """Levels by which an answer differs from the photo under white and black; None without one."""
    try:
        answer = read_image(path)
    except UnreadablePhotoError:
        return None
    if answer.shape != image.shape:
        return None
    difference = 255 * (answer - image).abs().mean(0)
    return float(difference[white].mean()), float(difference[~white].mean())
