"""Fixed pairs of photo and mask, counted by hole ratio.

The deployment notes judge by three sets: ``valid`` and ``test1`` of 1000 pairs, ``test2`` of 800,
each with a tenth of its pairs in the bins (0, 0.3) and (0.7, 0.9) and two fifths in (0.3, 0.5) and
(0.5, 0.7).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from data_prep.commands import DataError
from data_prep.mask_pools import PoolMask, masks_of
from data_prep.photo_pools import PhotoPool, PoolPhoto, open_pool
from data_prep.pictures import end_folder, unfinished_folder, write_png
from lab.formats import manifests
from lab.imaging import UnreadablePhotoError, to_uint8
from lab.metrics.regions import RATIO_BINS

DOCUMENTED = {
    "valid": (100, 400, 400, 100),
    "test1": (100, 400, 400, 100),
    "test2": (80, 320, 320, 80),
}
"""The pairs of each set in each bin, as the deployment notes say."""

BINS = RATIO_BINS[:4]
PHOTOS, MASKS = "photos", "masks"

# So many masks are drawn for each that is needed before a bin is given up.
_DRAWS_A_MASK = 500
_LEAST_DRAWS = 5000

OnProgress = Callable[[int, float], None]
"""Called with the number of pairs so far, and the fraction of the work."""


@dataclass(frozen=True)
class SetSettings:
    """Which set.

    Attributes:
        name: ``valid``, ``test1`` or ``test2``.
        total: pairs; None takes the documented number.
        size: of photos and masks in pixels.
        masks: as ``masks_of`` takes them.
        seed: of the masks.
    """

    name: str
    total: int | None = None
    size: int = 256
    masks: tuple[str, ...] = ("person_mixture",)
    seed: int = 0


def bin_counts(name: str, total: int | None = None) -> tuple[int, ...]:
    """How many pairs of a set fall in each bin.

    Args:
        name: of the set.
        total: pairs; the documented shares are scaled to it, and what is left after rounding down
            goes to the largest remainders (the lower bin where two are equal).

    Raises:
        DataError: ``total`` is below 1.
    """
    documented = DOCUMENTED[name]
    if total is None:
        return documented
    if total < 1:
        raise DataError(f"a set of {total} pairs is impossible")
    # In integers: thirds and tenths are not exact in floating point.
    counts, remainders = zip(
        *(divmod(count * total, sum(documented)) for count in documented), strict=True
    )
    order = sorted(range(len(counts)), key=lambda index: (-remainders[index], index))
    extra = set(order[: total - sum(counts)])
    return tuple(count + (index in extra) for index, count in enumerate(counts))


def write_set(photos: Path, folder: Path, settings: SetSettings, on_progress: OnProgress) -> dict:
    """Write an evaluation set.

    The same photos (by content, whatever their names) and settings give the same files. Any first
    part of the set has the bins in the same shares as the whole.

    Args:
        photos: a folder of photos, or of finished Places2 shards.
        folder: new, or left by an interrupted call.
        settings: which set.
        on_progress: told now and then.

    Returns:
        The manifest, as written: ``bins``, ``pairs`` (each with its bin, hole ratio, and the files
        and hashes of photo and mask), ``split``: of which the photos are, as by ``PhotoPool``, and
        ``shared``: whether they are too few for the three sets to have none in common.

    Raises:
        DataError: too few photos or masks for a bin, and which; unreadable masks; the folder holds
            something else.
    """
    counts = bin_counts(settings.name, settings.total)
    pool = open_pool(photos)
    usable = _usable_photos(pool, settings.size)
    place = str(photos) if pool.split is None else f"the split {pool.split} of {photos}"
    chosen = _choose_photos(usable, settings.name, counts, place, settings.size)
    masks = _choose_masks(settings, counts)
    order = _interleaved(counts)
    width = max(4, len(str(len(order))))
    mask_of, bin_of, name_of = {}, {}, {}
    for number, (photo, (bin_index, index)) in enumerate(zip(chosen, order, strict=True)):
        mask_of[photo.sha256] = masks[bin_index][index]
        bin_of[photo.sha256] = bin_index
        name_of[photo.sha256] = f"{number:0{width}d}"
    with unfinished_folder(folder):
        pairs = []
        for photo, image in _read(pool, chosen, settings.size):
            name, mask = name_of[photo.sha256], mask_of[photo.sha256]
            pairs.append(
                {
                    "name": name,
                    "bin": _bin_name(bin_of[photo.sha256]),
                    "hole_ratio": float(mask.pixels.mean(dtype=np.float64)),
                    "photo": _written(folder, f"{PHOTOS}/{name}.png", to_uint8(image))
                    | {"source": photo.name, "source_sha256": photo.sha256},
                    "mask": _written(folder, f"{MASKS}/{name}.png", mask.pixels * 255)
                    | {"source": mask.source},
                }
            )
            on_progress(len(pairs), len(pairs) / len(chosen))
        manifest = {
            "kind": manifests.PAIRS,
            "set": settings.name,
            "size": settings.size,
            "masks": list(settings.masks),
            "seed": settings.seed,
            "bins": {_bin_name(index): count for index, count in enumerate(counts)},
            "split": pool.split,
            "shared": len(usable) < _needed_by_all(settings.name, sum(counts)),
            "pairs": sorted(pairs, key=lambda pair: str(pair["name"])),
        }
        end_folder(folder, manifest)
    return manifest


def _read(
    pool: PhotoPool, chosen: Sequence[PoolPhoto], size: int
) -> Iterator[tuple[PoolPhoto, Tensor]]:
    """Read the chosen photos; raise where one has gone since the pool was opened."""
    try:
        yield from pool.read(chosen, size)
    except UnreadablePhotoError as error:
        raise DataError(str(error)) from error


def _written(folder: Path, file: str, pixels: np.ndarray) -> dict[str, str]:
    """Write a picture; return what the manifest says of it."""
    return {"file": file, "sha256": write_png(folder / file, pixels)}


def _bin_name(index: int) -> str:
    low, high = BINS[index]
    return f"{low:.1f}-{high:.1f}"


def _usable_photos(pool: PhotoPool, size: int) -> list[PoolPhoto]:
    """Return the photos that need not be enlarged, each content once, in an order of their own."""
    by_content = {
        photo.sha256: photo for photo in pool.photos if min(photo.height, photo.width) >= size
    }
    # By their hashes, which are as good as drawn, and stay when photos are added or renamed.
    return [by_content[sha256] for sha256 in sorted(by_content)]


def _choose_photos(
    usable: list[PoolPhoto], name: str, counts: Sequence[int], place: str, size: int
) -> list[PoolPhoto]:
    """Return the photos of a set: three places of one order, apart where photos are enough."""
    total = sum(counts)
    if len(usable) < total:
        filled = 0
        for index, count in enumerate(counts):
            if filled + count > len(usable):
                raise DataError(
                    f"too few photos for the bin {_bin_name(index)}: {place} has {len(usable)} "
                    f"different ones of at least {size} pixels, and the set needs {total} "
                    f"({', '.join(str(count) for count in counts)} in its bins). "
                    f"Add photos, or give --total {len(usable)} or less"
                )
            filled += count
    if name == "valid":
        return usable[:total]
    if name == "test1":
        return usable[len(usable) - total :]
    start = (len(usable) - total) // 2
    return usable[start : start + total]


def _needed_by_all(name: str, total: int) -> int:
    """Return how many photos keep the three sets apart, all scaled as this one is."""
    documented = {key: sum(counts) for key, counts in DOCUMENTED.items()}
    return -(-total * sum(documented.values()) // documented[name])


def _choose_masks(settings: SetSettings, counts: Sequence[int]) -> list[list[PoolMask]]:
    """Fill the bins with masks, in the order in which they come."""
    seed = [settings.seed, list(DOCUMENTED).index(settings.name)]
    masks, endless = masks_of(settings.masks, settings.size, seed)
    limit = max(_LEAST_DRAWS, _DRAWS_A_MASK * sum(counts)) if endless else None
    bins: list[list[PoolMask]] = [[] for _ in counts]
    drawn = 0
    while any(len(found) < count for found, count in zip(bins, counts, strict=True)):
        mask = next(masks, None) if limit is None or drawn < limit else None
        if mask is None:
            raise DataError(_too_few_masks(settings, bins, counts, drawn))
        drawn += 1
        ratio = float(mask.pixels.mean(dtype=np.float64))
        for found, count, (low, high) in zip(bins, counts, BINS, strict=True):
            if low <= ratio < high and 0 < ratio and len(found) < count:
                found.append(mask)
    return bins


def _too_few_masks(
    settings: SetSettings, bins: Sequence[list[PoolMask]], counts: Sequence[int], drawn: int
) -> str:
    lacking = [
        f"{_bin_name(index)} ({len(found)} of {count})"
        for index, (found, count) in enumerate(zip(bins, counts, strict=True))
        if len(found) < count
    ]
    return (
        f"too few masks for the bin {' and '.join(lacking)} among {drawn} of "
        f"{', '.join(settings.masks)}: add --masks with larger or smaller holes, or lower --total"
    )


def _interleaved(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Return (bin, number in it) so that every first part has the shares of the whole."""
    places = [
        ((number + 0.5) / count, index, number)
        for index, count in enumerate(counts)
        for number in range(count)
    ]
    return [(index, number) for _, index, number in sorted(places)]
