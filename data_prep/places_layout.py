"""Where a photo of Places2 belongs, told from its path in any of the official archives.

    places365standard_easyformat.tar      places365_standard/train/airfield/00000001.jpg
                                          places365_standard/val/airfield/Places365_val_00000435.jpg
    train_256_places365standard.tar       data_256/a/airfield/00000001.jpg
    train_large_places365standard.tar     data_large/b/balcony/exterior/00000001.jpg
    val_256.tar, val_large.tar            val_256/Places365_val_00000001.jpg
    test_256.tar, test_large.tar          test_256/Places365_test_00000001.jpg

A folder's own name counts as the first part, so that an unpacked ``data_256`` is known again.
``train``, ``val``, ``validation``, ``valid`` and ``test`` are known in any case, as where a folder
is trained on as it is (``lab.formats.sides``). Other folders are taken as they are, into one split
called ``photos``; an archive of several, without one that holds them all, too.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from lab.formats.shards import OTHER_SPLIT, TEST_SPLIT, TRAINING_SPLIT, VALIDATION_SPLIT
from lab.formats.sides import split_of_folder

_SPLIT_OF_ARCHIVE = {
    "data_256": TRAINING_SPLIT,
    "data_large": TRAINING_SPLIT,
    "val_256": VALIDATION_SPLIT,
    "val_large": VALIDATION_SPLIT,
    "test_256": TEST_SPLIT,
    "test_large": TEST_SPLIT,
}
# Room for the suffix in a tar header's 100 bytes, which every reader knows.
_KEY_BYTES = 90


@dataclass(frozen=True)
class PhotoPlace:
    """``split`` names the shards, ``key`` the sample: a path without suffix.

    Another photo's key may be the same where the folders that it leaves out are others, or where
    the suffix is: ``longer_key`` and ``marked_key`` tell such photos apart.
    """

    split: str
    key: str


def photo_place(name: str) -> PhotoPlace:
    """Tell a photo's split and key from its path in the source.

    The first folder that names a split decides: a category of ``val`` may be called ``train``.
    The key is the path below the split's folder, such as ``airfield/00000001``. It has only
    letters, digits, ``_``, ``-`` and ``/``: a dot would end it for WebDataset. Where a path had to
    be changed for that, a hash of it keeps the key unlike others.
    """
    parts = _parts(name)
    folders = parts[:-1]
    split, below = OTHER_SPLIT, folders[1:]
    for depth, folder in enumerate(folders):
        if named := split_named(folder):
            split, below = named, folders[depth + 1 :]
            # The initial of the category, by which the folders of data_256 are grouped.
            if folder.lower().startswith("data_") and below and len(below[0]) == 1:
                below = below[1:]
            break
    return PhotoPlace(split, _key(_without_suffix([*below, parts[-1]])))


def longer_key(name: str) -> str:
    """Return the key that leaves out no folder of a photo's path in the source."""
    return _key(_without_suffix(_parts(name)))


def marked_key(key: str, position: int) -> str:
    """Return another key for a photo, by the number of its entry in the source."""
    return _marked(key, f"{key}\0{position}")


def first_folder(name: str) -> str:
    """Return the first folder of a path in the source; empty where there is none."""
    return "/".join(_parts(name)[:-1][:1])


def split_named(folder: str) -> str | None:
    """Return the split that a folder names, by itself or as an official archive; None: none."""
    return split_of_folder(folder) or _SPLIT_OF_ARCHIVE.get(folder.lower())


def _key(path: str) -> str:
    """Return a path as a key."""
    plain = re.sub(r"[^A-Za-z0-9_/-]+", "_", path)
    if plain == path and len(plain) <= _KEY_BYTES:
        return plain
    return _marked(plain, path)


def _marked(plain: str, unlike: str) -> str:
    """Return the end of a key, and a hash of what tells it from others."""
    digest = hashlib.sha256(unlike.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{plain[-(_KEY_BYTES - 9) :].strip('/')}-{digest}"


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _without_suffix(parts: list[str]) -> str:
    return PurePosixPath(*parts).with_suffix("").as_posix()
