"""Folders of pictures whose files belong together by their names without suffix."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.imaging.reading import PHOTO_SUFFIXES


def image_files(folder: Path) -> list[Path]:
    """Return the files in a folder that look like photos or masks, sorted; not those below it.

    Raises:
        OSError: the folder cannot be listed.
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PHOTO_SUFFIXES
        and not path.name.startswith(".")
        and not path.is_dir()
    )


def files_called_alike(
    photos: Sequence[Path], others: Iterable[Path], ending: str = ""
) -> dict[Path, list[Path]]:
    """Find what belongs to each photo: ``beach.png`` to ``beach.jpg``.

    Args:
        photos: of one folder.
        others: of another; each may belong to several photos, and a photo may have several.
        ending: what their names may end in besides: with ``_mask``, ``beach_mask.png`` belongs to
            ``beach.jpg``, too.

    Returns:
        A list for each photo, empty where nothing belongs to it.
    """
    called = defaultdict(list)
    for path in others:
        called[plain_name(path.stem)].append(path)
    names = {photo: plain_name(photo.stem) for photo in photos}
    return {
        photo: [*called[name], *(called[name + ending] if ending else [])]
        for photo, name in names.items()
    }


def plain_name(name: str) -> str:
    """A name by what is written, whichever way its accents are stored: macOS takes them apart."""
    return unicodedata.normalize("NFC", name)
