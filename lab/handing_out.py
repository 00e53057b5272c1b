"""Handing the holes of an evaluation to another program: photos, masks, and nothing under them."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor

from lab.checks import UserError
from lab.evaluation import Tasks
from lab.files import replacing_folder
from lab.imaging import SourcePhoto, to_uint8, write_photo

HOLE_GRAY = 127
"""What is painted into the hole, in 8 bits: the photo itself would be read by programs that begin
from what lies under the mask, and they would be scored on what they were shown."""

FORMS = {
    "photos": "the photo with its hole painted gray",
    "masks": "its mask: white is the hole, black is known",
    "masks_black_is_hole": "the same the other way round",
    "transparent": "photo and mask in one: the hole is transparent",
}
"""What is written of each sample, by the folder's name: services want one or another."""


def hand_out(
    tasks: Tasks, folder: Path, score: str, on_sample: Callable[[int], None] = lambda _: None
) -> int:
    """Write each sample's hole in every form that programs take, whole or not at all.

    Args:
        tasks: what is scored.
        folder: new or empty; ``photos/``, ``masks/``, ``masks_black_is_hole/``, ``transparent/``
            and ``README.txt``, each sample as NAME.png.
        score: the command that scores the answers, for the note beside them.
        on_sample: is told how many are written so far.

    Returns:
        How many samples there are.

    Raises:
        UserError: something lies in the folder.
        ValueError, OSError: a sample cannot be read, or nothing can be written there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty: name a new folder to hand the holes out in")
    count = 0
    with replacing_folder(folder) as place:
        for task in tasks:
            for name, image, mask in zip(task.sample, task.image, task.mask, strict=True):
                _write(place, name, image, mask)
                count += 1
                on_sample(count)
        (place / "README.txt").write_text(_note(score), encoding="utf-8")
    return count


def _write(place: Path, name: str, image: Tensor, mask: Tensor) -> None:
    hole = mask[0].numpy() > 0
    pixels = np.where(hole[..., None], np.uint8(HOLE_GRAY), to_uint8(image))
    white = (255 * hole).astype(np.uint8)
    forms = {
        "photos": SourcePhoto(pixels),
        "masks": SourcePhoto(white[..., None]),
        "masks_black_is_hole": SourcePhoto(255 - white[..., None]),
        "transparent": SourcePhoto(pixels, alpha=255 - white),
    }
    for form, picture in forms.items():
        write_photo(place / form / f"{name}.png", picture, durable=False)


def _note(score: str) -> str:
    forms = "\n".join(f"  {name + '/':22}{what}" for name, what in FORMS.items())
    return (
        "Photos with holes to be filled by any program. Each is here in four forms:\n\n"
        f"{forms}\n\n"
        "Have every hole filled, and put the answers into one folder: called as the photos are\n"
        "(any suffix), of the same size, without a change outside the hole. Then\n\n"
        f"  {score}\n\n"
        "scores them. NAME is what tables are to call the program.\n"
    )


def score_command(words: list[str]) -> str:
    """The command that scores what comes back, by the options that say what is scored."""
    return shlex.join(["python", "-m", "lab.evaluate", *words]) + " --entrant NAME=ANSWERS"
