"""PNG files with their hashes, and folders that are written once."""

import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import Timeout
from PIL import Image

from data_prep.commands import DataError
from lab.files import lock_of, replacing
from lab.formats import manifests
from lab.formats.manifests import MANIFEST

_UNFINISHED = ".unfinished"


def write_png(path: Path, pixels: np.ndarray) -> str:
    """Write 8-bit pixels, ``(H, W)`` or RGB ``(H, W, 3)``; return the file's SHA-256."""
    file = io.BytesIO()
    # The level of zlib's default, said here since the hash depends on it.
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=6)
    data = file.getvalue()
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def write_mask(path: Path, mask: np.ndarray) -> str:
    """Write a mask ``(H, W)`` of 0 and 1 as black and white; return the file's SHA-256."""
    return write_png(path, (mask != 0).astype(np.uint8) * 255)


@contextmanager
def unfinished_folder(folder: Path) -> Iterator[None]:
    """Give an empty folder to fill up to `end_folder`, to one process at a time.

    What an interrupted command left there is cleared away.

    Raises:
        DataError: it is finished already, holds something else, or another process is filling it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / _UNFINISHED
    there = sorted(path for path in folder.iterdir() if path != marker)
    if there and not marker.exists():
        _refuse_finished(folder)
        raise DataError(f"{folder} holds something else ({there[0].name}): name a new folder")
    try:
        with lock_of(marker).acquire(timeout=0):
            _refuse_finished(folder)
            for path in folder.iterdir():
                if path == marker:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            yield
    except Timeout:
        raise DataError(f"another process is writing to {folder}") from None


def _refuse_finished(folder: Path) -> None:
    if (folder / MANIFEST).exists():
        raise DataError(f"{folder} is finished already: remove it, or name a new folder")


def end_folder(folder: Path, manifest: dict) -> None:
    """Write the manifest, which finishes the folder."""
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n")
    (folder / _UNFINISHED).unlink()


def read_manifest(folder: Path, kind: str) -> dict:
    """Read a folder's manifest.

    Raises:
        DataError: there is none, it is damaged, or it is not of ``kind``.
    """
    try:
        return manifests.read_manifest(folder, kind)
    except ValueError as error:
        raise DataError(str(error)) from error
