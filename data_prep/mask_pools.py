"""Masks to choose from: drawn by a generator, or the files of a folder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.commands import DataError
from lab.checks import unknown_name_message
from lab.contracts import MaskGenerator
from lab.imaging import PHOTO_SUFFIXES, UnreadablePhotoError, read_mask
from lab.masks import MASK_GENERATORS, Silhouettes

# One person seldom covers a third of a photo; crowds make the large holes.
_CROWD = (1, 12)
_CROWD_HEIGHT = (0.3, 1.0)


@dataclass(frozen=True)
class PoolMask:
    """A mask, uint8 ``(size, size)`` of 0 and 1, and where it comes from."""

    pixels: np.ndarray
    source: str


def masks_of(
    names: Sequence[str], size: int, seed: Sequence[int]
) -> tuple[Iterator[PoolMask], bool]:
    """Yield masks of several kinds, in turn.

    Args:
        names: each the name of a generator (``lab.masks.MASK_GENERATORS``), a library of
            silhouettes, or a folder of masks, white = hole, whose central square is taken.
        size: of the masks in pixels.
        seed: of what is drawn and of the order of files.

    Returns:
        The masks, and whether they never end: files are given once each.

    Raises:
        DataError: a name is none of these, or a folder has no masks.
    """
    pools = [_pool(name, size, [*seed, number]) for number, name in enumerate(names)]
    return _in_turn([masks for masks, _ in pools]), any(endless for _, endless in pools)


def _pool(name: str, size: int, seed: list[int]) -> tuple[Iterator[PoolMask], bool]:
    path = Path(name)
    if name in MASK_GENERATORS:
        return _drawn(MASK_GENERATORS[name](), name, size, seed), True
    if path.suffix == ".npz":
        try:
            crowds = Silhouettes(path, _CROWD, _CROWD_HEIGHT)
            return _drawn(crowds, path.name, size, seed), True
        except ValueError as error:
            raise DataError(str(error)) from error
    if path.is_dir():
        return _files(path, size, seed), False
    message = unknown_name_message("mask generator", name, MASK_GENERATORS)
    raise DataError(f"{message}. Nor is it a folder of masks or a library of silhouettes")


def _in_turn(pools: list[Iterator[PoolMask]]) -> Iterator[PoolMask]:
    """Yield one of each pool, again and again, until all have ended."""
    while pools:
        for pool in list(pools):
            mask = next(pool, None)
            if mask is None:
                pools.remove(pool)
            else:
                yield mask


def _drawn(masks: MaskGenerator, name: str, size: int, seed: list[int]) -> Iterator[PoolMask]:
    """Draw masks without end."""
    generator, number = np.random.default_rng(seed), 0
    while True:
        pixels = masks(size, size, generator)[0].numpy().astype(np.uint8)
        yield PoolMask(pixels, f"{name} {number}")
        number += 1


def _files(folder: Path, size: int, seed: list[int]) -> Iterator[PoolMask]:
    """Read a folder's masks once, in an order drawn from the seed."""
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith(".")
    )
    if not files:
        raise DataError(f"no masks in {folder}: looked for {', '.join(PHOTO_SUFFIXES)}")
    for index in np.random.default_rng(seed).permutation(len(files)):
        try:
            mask = read_mask(files[index]).mask[0].numpy()
        except (UnreadablePhotoError, ValueError) as error:
            # A mask that is no mask must not shrink a fixed set in silence.
            raise DataError(str(error)) from error
        side = min(mask.shape)
        top, left = (mask.shape[0] - side) // 2, (mask.shape[1] - side) // 2
        square = np.ascontiguousarray(mask[top : top + side, left : left + side])
        pixels = cv2.resize(square, (size, size), interpolation=cv2.INTER_NEAREST)
        name = files[index].relative_to(folder).as_posix()
        yield PoolMask(pixels.astype(np.uint8), name)
