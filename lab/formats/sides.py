"""Folders that say what their photos are for: the names by which everybody knows them.

A set in plain folders and the shards that are packed from it are split by this one table.
"""

from collections.abc import Collection

from lab.formats.shards import OTHER_SPLIT, TEST_SPLIT, TRAINING_SPLIT, VALIDATION_SPLIT

_TRAINING_SPLITS = frozenset([TRAINING_SPLIT, OTHER_SPLIT])
_SPLIT_OF_FOLDER = {
    "train": TRAINING_SPLIT,
    "val": VALIDATION_SPLIT,
    "validation": VALIDATION_SPLIT,
    "valid": VALIDATION_SPLIT,
    "test": TEST_SPLIT,
}


def split_of_folder(name: str) -> str | None:
    """Return the split that a folder of this name holds, in any case; None where it names none."""
    return _SPLIT_OF_FOLDER.get(name.lower())


def never_trained_on(splits: Collection[str]) -> str | None:
    """Return which of a set's splits its training leaves alone; None where content divides all.

    Validation has a split of its own only beside one for training; tests are left alone wherever
    there is anything else.
    """
    if VALIDATION_SPLIT in splits and not _TRAINING_SPLITS.isdisjoint(splits):
        return VALIDATION_SPLIT
    return TEST_SPLIT if TEST_SPLIT in splits and len(splits) > 1 else None
