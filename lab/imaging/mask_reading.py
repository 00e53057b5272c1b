"""Read mask files: black and white for certain, or a refusal that shows what was found.

The rules, in 8-bit values whatever the file's depth:

- A pixel is hole from 128 on (``invert``: below 128). Values besides 0 and 255 are reported.
- *Undecided* pixels, 64 to 191, are fine along a contour (within two pixels of both a darker and a
  brighter one): that is anti-aliasing or JPEG. Elsewhere they make the mask gray; it is refused
  when they are more than 1 % of the picture, or more than its dark or its bright pixels. It is
  refused, too, when a quarter of the picture is undecided: no mask is all contour, noise is.
- Colour (channels more than 32 apart) is refused: no rule could tell which colour means the hole.
- Transparency: where all visible pixels share one colour, the shape is in the alpha channel and
  opaque means white; otherwise the mask is composited on black.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from lab.imaging.budgets import OtherSizeError
from lab.imaging.reading import PhotoFile, read_source
from lab.imaging.source_photo import SourcePhoto, bands, change_depth, white_of
from lab.untrusted import printable

_WHITE_FROM = 128
_UNDECIDED = (64, 191)
_GRAY_SHARE = 0.01
_CONTOUR_SHARE = 0.25
_COLOUR_SPREAD = 32
_CONTOUR_REACH = 2


@dataclass(frozen=True)
class MaskReading:
    """A mask file, read.

    ``mask`` is float32 ``(1, H, W)`` of exactly 0 and 1, with 1 = hole. ``note`` says, in one line,
    what the file left to interpretation; ``None`` where it was plain black and white.
    """

    mask: Tensor
    note: str | None = None


def read_mask(
    path: str | PhotoFile, size: tuple[int, int] | None = None, invert: bool = False
) -> MaskReading:
    """Read a mask file by the rules in this module's docstring.

    Args:
        path: any file that ``read_image`` reads, or one in memory; an EXIF orientation is applied.
        size: the photo's ``(height, width)``, which the mask must have.
        invert: black marks the hole instead of white.

    Raises:
        UnreadablePhotoError: the file cannot be read.
        ValueError: it has another size, holds colour or gray, or leaves nothing to restore or
            nothing to restore from. The message shows the values found and what to do.
    """
    try:
        source = read_source(path, size)
    except OtherSizeError as error:
        raise _other_size(path, error.size, size or error.size) from None
    if size is not None and (source.height, source.width) != tuple(size):
        raise _other_size(path, (source.height, source.width), size)
    levels, notes = _gray_levels(path, source)
    white = levels >= _WHITE_FROM
    _check_decided(path, levels, white, source)
    hole = ~white if invert else white
    _check_share(path, hole, source, invert)

    fuzzy = (levels != 0) & (levels != 255)
    if fuzzy.any():
        found = levels[fuzzy]
        notes.append(
            f"{found.size} pixels ({_percent(found.size / levels.size)}) are neither black nor "
            f"white (values {found.min()} to {found.max()} of 255): cut at half"
        )
    del fuzzy
    share = float(hole.mean())
    if share > 0.5:
        colour = "black" if invert else "white"
        notes.append(
            f"{colour} marks {_percent(share)} as the hole; if the other colour marks it, "
            f"{'leave out' if invert else 'use'} --invert-mask (invert={not invert})"
        )
    mask = torch.from_numpy(hole.astype(np.float32))[None]
    return MaskReading(mask, "; ".join(notes) or None)


def _other_size(path: str | PhotoFile, found: tuple[int, int], size: tuple[int, int]) -> ValueError:
    """Return the error of a mask that has not the photo's size."""
    advice = "draw it on the photo itself, or scale it to the photo's size without smoothing"
    if found == (size[1], size[0]):
        advice = (
            "it lies on its side: the photo was turned upright as its EXIF orientation asks, "
            "so turn the mask too"
        )
    return ValueError(
        f"the mask {printable(path)} is {found[1]}x{found[0]} (width x height), but the photo is "
        f"{size[1]}x{size[0]}: {advice}"
    )


def _gray_levels(path: str | PhotoFile, source: SourcePhoto) -> tuple[np.ndarray, list[str]]:
    """Return the mask's uint8 ``(H, W)`` levels, alpha resolved, and notes about it."""
    pixels = change_depth(source.pixels, np.dtype(np.uint8))
    if source.alpha is None:
        return _without_colour(path, pixels), []
    alpha = change_depth(source.alpha, np.dtype(np.uint8))
    if bool((alpha == 255).all()):
        return _without_colour(path, pixels), []
    visible = pixels[alpha >= _WHITE_FROM]
    if visible.size == 0:
        raise ValueError(f"the mask {printable(path)} is transparent all over: it marks nothing")
    if int(np.ptp(visible, axis=0).max()) <= _COLOUR_SPREAD:
        return alpha, ["the shape is taken from the alpha channel: opaque counts as white"]
    gray = _without_colour(path, np.where(alpha[..., None] >= _WHITE_FROM, pixels, 0))
    levels, opacity = gray.reshape(-1), alpha.reshape(-1)
    for band in bands(levels.size):
        levels[band] = np.rint(levels[band] * (opacity[band] / np.float32(255)))
    return gray, ["transparent pixels count as black"]


def _without_colour(path: str | PhotoFile, pixels: np.ndarray) -> np.ndarray:
    """Return the levels ``(H, W)`` of uint8 ``(H, W, C)``; raise where they have colour."""
    if pixels.shape[2] == 1:
        return pixels[..., 0]
    colours = pixels.reshape(-1, 3)
    spread, levels = np.empty((2, *pixels.shape[:2]), np.uint8)
    for band in bands(len(colours)):
        red, green, blue = colours[band].T
        most, least = np.maximum(red, np.maximum(green, blue)), np.minimum(red, green)
        spread.reshape(-1)[band] = most - np.minimum(least, blue)
        # A third is never half: the mean rounded is the sum and one, divided by three.
        levels.reshape(-1)[band] = (red.astype(np.uint16) + green + blue + 1) // 3
    coloured = spread > _COLOUR_SPREAD
    if coloured.any():
        row, column = np.unravel_index(int(spread.argmax()), spread.shape)
        colour = tuple(int(value) for value in pixels[row, column])
        raise ValueError(
            f"the mask {printable(path)} has colours (RGB {colour} at row {row}, column {column}; "
            f"{_percent(float(coloured.mean()))} of its pixels): a mask is black and white, "
            "white where the hole is. Is it a photo?"
        )
    return levels


def _check_decided(
    path: str | PhotoFile, levels: np.ndarray, white: np.ndarray, source: SourcePhoto
) -> None:
    """Raise where gray is more than a contour's blur."""
    low, high = _UNDECIDED
    dark, bright = levels < low, levels > high
    undecided = ~(dark | bright)
    if not undecided.any():
        return
    gray = undecided & ~(_near(dark) & _near(bright))
    if undecided.mean() > _CONTOUR_SHARE:
        gray = undecided
    if int(gray.sum()) > min(_GRAY_SHARE * levels.size, int(dark.sum()), int(bright.sum())):
        raise ValueError(
            f"the mask {printable(path)} is gray: {_percent(float(gray.mean()))} of its pixels lie "
            f"between {low} and {high} of 255, and not along edges (most frequent values: "
            f"{_values_found(source)}); {_percent(float(white.mean()))} would be white if cut at "
            "half. Save it as pure black and white"
        )


def _near(pixels: np.ndarray) -> np.ndarray:
    """Return bool ``(H, W)``: within a contour's reach of any of ``pixels``."""
    reach = np.ones((2 * _CONTOUR_REACH + 1, 2 * _CONTOUR_REACH + 1), np.uint8)
    grown: np.ndarray = cv2.dilate(pixels.view(np.uint8), reach)
    return grown.view(bool)


def _check_share(
    path: str | PhotoFile, hole: np.ndarray, source: SourcePhoto, invert: bool
) -> None:
    """Raise where the hole is empty or everything."""
    colour, other = ("black", "white") if invert else ("white", "black")
    found = f"most frequent values: {_values_found(source)}"
    if not hole.any():
        peak = float(source.pixels.max())
        # Label maps and boolean arrays saved as they are look black.
        faint = not invert and 0 < peak < 0.1 * white_of(source.pixels.dtype)
        advice = (
            f"its values end at {peak:g}; if {peak:g} marks the hole, scale it to "
            f"{white_of(source.pixels.dtype):g}"
            if faint
            else f"mark what is to be restored in {colour}"
            + (", or leave out --invert-mask (invert=False)" if invert else "")
        )
        raise ValueError(
            f"the mask {printable(path)} is empty: no pixel is {colour} ({found}). {advice}"
        )
    if hole.all():
        raise ValueError(
            f"the mask {printable(path)} covers the whole photo: every pixel is {colour} "
            f"({found}), and nothing is left to restore from. Leave {other} what is known; if the "
            f"file marks the hole in {other}, {'leave out' if invert else 'use'} --invert-mask "
            f"(invert={not invert})"
        )


def _values_found(source: SourcePhoto) -> str:
    """List the file's most frequent values in its own depth, with their shares."""
    if source.alpha is not None and not bool((source.alpha == white_of(source.alpha.dtype)).all()):
        samples, place = source.alpha, " in the alpha channel"
    else:
        samples, place = source.pixels[..., 0], ""
    values, counts = _counted(samples)
    order = np.argsort(-counts, kind="stable")[:5]
    listed = [f"{values[i]:g} ({_percent(counts[i] / samples.size)})" for i in order]
    rest = f", and {len(values) - len(order)} more" if len(values) > len(order) else ""
    return ", ".join(listed) + rest + place


def _counted(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that there are, ascending, and how often each is there."""
    if samples.dtype == np.float32:
        values, counts = np.unique(samples, return_counts=True)
        return values, counts
    flat = samples.reshape(-1)
    totals = np.zeros(np.iinfo(samples.dtype).max + 1, np.int64)
    for band in bands(flat.size):
        totals += np.bincount(flat[band], minlength=len(totals))
    (values,) = totals.nonzero()
    return values, totals[values]


def _percent(share: float) -> str:
    """Write a share so that neither a speck nor a remainder rounds away."""
    return f"{100 * share:.3g} %"
