"""The background behind everybody in a clip: a median over time that leaves the people out.

1. The plain median of frames spread over the clip.
2. Light drifts, so each frame's smooth difference to that median is taken away.
3. The median of what each pixel shows when it is near the first median.
4. Who stood for more than half of the time and then left is in that median, and the other frames
   hold his *ghost* (``data_prep.ghosts``). Where many frames hold the same ghost, they show the
   background.

Who stands still from the first frame to the last cannot be told from the background, and stays in
it.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.commands import DataError
from data_prep.differences import NEAR, largest_channel, light_drift
from data_prep.ghosts import find_ghosts

SAMPLES = 101
"""So many frames, spread over the clip, make a median; more cost time and change nothing."""

LEAST_COVERAGE = 0.2
"""Where fewer of the frames agree with the plate it is not to be trusted."""

_STRIP_BYTES = 64 * 2**20
_LEAST_SAMPLES = 10
_GHOST_SHARE = 0.05
_GHOST_AGREEMENT = 0.8
_KNOWN, _GHOST = 1, 2


@dataclass(frozen=True)
class Plate:
    """What the camera sees when nobody is there.

    Attributes:
        pixels: float32 RGB ``(H, W, 3)`` in 8-bit levels, not rounded.
        noise: float32 ``(H, W)``: what still pixels differ by from frame to frame, in levels.
        coverage: float32 ``(H, W)`` in [0, 1]: the share of the frames that agree with it.
        repaired: bool ``(H, W)``: where a ghost was taken out.
    """

    pixels: np.ndarray
    noise: np.ndarray
    coverage: np.ndarray
    repaired: np.ndarray

    def as_pixels(self) -> np.ndarray:
        """Return it rounded, uint8 RGB ``(H, W, 3)``."""
        return np.clip(np.rint(self.pixels), 0, 255).astype(np.uint8)


def estimate_plate(samples: np.ndarray, folder: Path) -> Plate:
    """Estimate the background, by the steps in this module's docstring.

    Args:
        samples: uint8 RGB ``(N, H, W, 3)``, spread over the clip, as ``spill`` maps them: strips of
            rows are in memory, and what is made of them in another temporary file.
        folder: for that.
    """
    first = np.empty(samples.shape[1:], np.float32)
    for rows in _strips(samples.shape):
        first[rows] = _median(samples[:, rows], np.ones(samples[:, rows].shape[:3], bool))
    levelled = _levelled(samples, first, folder)
    pixels, noise = first.copy(), np.empty(first.shape[:2], np.float32)
    for rows in _strips(levelled.shape):
        colours, known = levelled[:, rows, :, :3], levelled[:, rows, :, 3] == _KNOWN
        pixels[rows] = _median(colours, known, first[rows])
        noise[rows] = _noise(colours, pixels[rows], known)
    repaired = _repair(levelled, pixels, noise)
    coverage = np.zeros(noise.shape, np.float32)
    for sample in levelled:
        coverage += largest_channel(sample[..., :3] - pixels) < NEAR
    return Plate(pixels, noise, coverage / len(levelled), repaired)


def spill(frames: Iterable[np.ndarray], folder: Path) -> np.ndarray:
    """Write frames to a temporary file and map it: a minute of 4K would not fit into memory.

    Args:
        frames: uint8 RGB ``(H, W, 3)``, about ``SAMPLES`` of them, spread over the clip.
        folder: for the file.

    Returns:
        uint8 ``(N, H, W, 3)``.

    Raises:
        DataError: fewer than ten frames, or of different sizes.
    """
    shape: tuple[int, ...] | None = None
    count = 0
    with tempfile.TemporaryFile(dir=folder) as file:
        for frame in frames:
            shape = shape or frame.shape
            if frame.shape != shape:
                raise DataError(f"the clip's frames change from {shape[:2]} to {frame.shape[:2]}")
            file.write(frame.tobytes())
            count += 1
        if shape is None or count < _LEAST_SAMPLES:
            raise DataError(f"the clip gives {count} frames, too few to find a background in")
        file.flush()
        # The mapping keeps the file alive.
        return np.memmap(file, np.uint8, "r", shape=(count, *shape))


def _levelled(samples: np.ndarray, first: np.ndarray, folder: Path) -> np.ndarray:
    """Return the samples without their drift, uint8 ``(N, H, W, 4)``, mapped from a file.

    The fourth channel is 1 where a pixel is near the first median.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        levelled = np.memmap(file, np.uint8, "w+", shape=(*samples.shape[:3], 4))
    for sample, target in zip(samples, levelled, strict=True):
        colours = sample - light_drift(sample, first)
        target[..., :3] = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
        target[..., 3] = largest_channel(colours - first) < NEAR
    return levelled


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield slices of rows of ``(N, H, W, C)``, each of bounded size."""
    rows = max(1, _STRIP_BYTES // (shape[0] * shape[2] * shape[3]))
    for top in range(0, shape[1], rows):
        yield slice(top, min(top + rows, shape[1]))


def _median(
    colours: np.ndarray, known: np.ndarray, otherwise: np.ndarray | None = None
) -> np.ndarray:
    """Return the median over the known samples of each pixel, float32 ``(H, W, 3)``.

    Args:
        colours: uint8 ``(N, H, W, 3)``.
        known: bool ``(N, H, W)``.
        otherwise: float32 ``(H, W, 3)``, for pixels without any.
    """
    # What is not known is sorted to the end.
    ordered = np.where(known[..., None], colours, np.uint16(256)).astype(np.uint16)
    ordered.sort(axis=0)
    count = known.sum(axis=0)
    low, high = (
        np.take_along_axis(ordered, np.maximum(middle, 0)[None, ..., None], axis=0)[0]
        for middle in ((count - 1) // 2, count // 2 - (count == 0))
    )
    median = (low.astype(np.float32) + high.astype(np.float32)) / 2
    return median if otherwise is None else np.where(count[..., None] > 0, median, otherwise)


def _noise(colours: np.ndarray, pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the median difference of the known samples to the plate, float32 ``(H, W)``."""
    differs = largest_channel(colours.astype(np.float32) - pixels)
    rounded = np.minimum(np.rint(differs), 255).astype(np.uint8)
    return _median(np.repeat(rounded[..., None], 3, axis=3), known, pixels * 0)[..., 0]


def _repair(levelled: np.ndarray, pixels: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Take ghosts out of ``pixels``, in place; return where, bool ``(H, W)``."""
    counts = np.zeros(noise.shape, int)
    for sample in levelled:
        ghost = find_ghosts(sample[..., :3].astype(np.float32), pixels, noise)
        counts += ghost
        sample[..., 3][ghost] = _GHOST
    often = counts >= max(2, _GHOST_SHARE * len(levelled))
    repaired = np.zeros_like(often)
    for rows in _strips(levelled.shape):
        if not often[rows].any():
            continue
        colours, ghost = levelled[:, rows, :, :3], levelled[:, rows, :, 3] == _GHOST
        behind = _median(colours, ghost, pixels[rows])
        # People that walk by where a person is taken for a ghost do not look alike; a wall does.
        alike = ghost & (largest_channel(colours.astype(np.float32) - behind) < NEAR)
        sure = often[rows] & (alike.sum(axis=0) >= _GHOST_AGREEMENT * counts[rows])
        pixels[rows][sure] = behind[sure]
        repaired[rows] = sure
    return repaired
