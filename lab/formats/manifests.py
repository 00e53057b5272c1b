"""Manifests: what ``data_prep`` writes last into a folder, and what says of which kind it is."""

from pathlib import Path

from lab.formats.plain import PlainDataError, read_json

MANIFEST = "manifest.json"
"""The file that says what a folder holds; a folder that has it is whole."""

PAIRS = "evaluation set"
"""The kind of photos with masks, counted by hole ratio (``data_prep.evaluation_sets``)."""

TRIPLETS = "clean plate triplets"
"""The kind of frames with people, masks and true backgrounds (``data_prep.clean_plate``)."""


def read_manifest(folder: Path, *kinds: str) -> dict:
    """Read a folder's manifest.

    Raises:
        ValueError: there is none, it is damaged, or it is of none of ``kinds``.
    """
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{folder} has no {MANIFEST}: was the command that makes it ended?"
        ) from None
    except (OSError, PlainDataError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} is damaged ({reason})") from error
    found = manifest.get("kind") if isinstance(manifest, dict) else None
    if found not in kinds:
        raise ValueError(f"{path} is of the kind {found!r}, not of {' or of '.join(kinds)}")
    return manifest
