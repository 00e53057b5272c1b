"""Where a photo of Places2 belongs, told from its path in any of the official archives.

    places365standard_easyformat.tar      places365_standard/train/airfield/00000001.jpg
                                          places365_standard/val/airfield/Places365_val_00000435.jpg
    train_256_places365standard.tar       data_256/a/airfield/00000001.jpg
    train_large_places365standard.tar     data_large/b/balcony/exterior/00000001.jpg
    val_256.tar, val_large.tar            val_256/Places365_val_00000001.jpg
    test_256.tar, test_large.tar          test_256/Places365_test_00000001.jpg

A folder's own name counts as the first part, so that an unpacked ``data_256`` is known again. Other
folders are taken as they are, into one split called ``photos``.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

_SPLIT_OF_FOLDER = {
    "train": "train",
    "data_256": "train",
    "data_large": "train",
    "val": "val",
    "val_256": "val",
    "val_large": "val",
    "test": "test",
    "test_256": "test",
    "test_large": "test",
}
_OTHER = "photos"
# Room for the suffix in a tar header's 100 bytes, which every reader knows.
_KEY_BYTES = 90


@dataclass(frozen=True)
class PhotoPlace:
    """``split`` names the shards, ``key`` the sample: a path without suffix, unlike any other's."""

    split: str
    key: str


def photo_place(name: str) -> PhotoPlace:
    """Tell a photo's split and key from its path in the source.

    The key is the path below the split's folder, such as ``airfield/00000001``. It has only
    letters, digits, ``_``, ``-`` and ``/``: a dot would end it for WebDataset. Where a path had to
    be changed for that, a hash of it keeps the key unlike others.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    folders = parts[:-1]
    split, below = _OTHER, folders[1:]
    for depth, folder in enumerate(folders):
        if folder in _SPLIT_OF_FOLDER:
            split, below = _SPLIT_OF_FOLDER[folder], folders[depth + 1 :]
            # The initial of the category, by which the folders of data_256 are grouped.
            if folder.startswith("data_") and below and len(below[0]) == 1:
                below = below[1:]
            break
    path = PurePosixPath(*below, parts[-1])
    return PhotoPlace(split, _key(path.with_suffix("").as_posix()))


def _key(path: str) -> str:
    """Return a path as a key."""
    plain = re.sub(r"[^A-Za-z0-9_/-]+", "_", path)
    if plain == path and len(plain) <= _KEY_BYTES:
        return plain
    digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{plain[-(_KEY_BYTES - 9) :].strip('/')}-{digest}"
