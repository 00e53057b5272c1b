"""What differs between a frame and the background: light that drifts, and what moves."""

from dataclasses import dataclass

import cv2
import numpy as np

NEAR = 24.0
"""Two pixels nearer than this, in 8-bit levels of the channel that differs most, show the same
thing: video of a still wall differs by 3 to 8, a person by 40 in all but camouflage."""

SQUARE = np.ones((3, 3), np.uint8)
"""One step of dilation or erosion, as OpenCV has it without a kernel."""

_FAINT = 12.0
_NOISE_FACTORS = (4.0, 6.0)
_DRIFT_ROWS = 96
_DRIFT_SHARE = 1 / 12
_LEAST_FITTED = 100
_FLAT = 4.0
# Lengths are for pictures of 360 rows, in pixels, and grow with the picture.
_ROWS = 360
_GAP = (9, 15)
_LEAST_AREA = 0.0002
_LEAST_SEED = 20


def largest_channel(difference: np.ndarray) -> np.ndarray:
    """Return the largest absolute difference of the channels, ``(H, W)`` of ``(H, W, 3)``."""
    absolute = np.abs(difference)
    return np.maximum(np.maximum(absolute[..., 0], absolute[..., 1]), absolute[..., 2])


def light_drift(frame: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """How much brighter or darker a frame is than the background.

    A gain and an offset a channel for the whole picture (exposure, white balance), and on top of
    them what is left, smoothed (clouds, a door that opens).

    Args:
        frame: uint8 or float32 ``(H, W, 3)`` in 8-bit levels.
        plate: float32 ``(H, W, 3)``.

    Returns:
        float32 ``(H, W, 3)`` in levels: the plate plus it looks like the frame where nobody is.
    """
    height, width = plate.shape[:2]
    reduction = max(1, height // _DRIFT_ROWS)
    thin = (slice(None, None, reduction), slice(None, None, reduction))
    exposed = _in_exposure_of(frame[thin].astype(np.float32), plate[thin], plate)
    difference = frame - exposed
    still = (largest_channel(difference) < NEAR).astype(np.uint8)
    # What lies beside a person is half the person.
    weight = cv2.erode(still, np.ones((7, 7), np.uint8)).astype(np.float32)
    small = (width // reduction, height // reduction)
    reach = _DRIFT_SHARE * height / reduction

    def smooth(values: np.ndarray) -> np.ndarray:
        blurred: np.ndarray = cv2.GaussianBlur(
            cv2.resize(values, small, interpolation=cv2.INTER_AREA), (0, 0), reach
        )
        return blurred

    # Where nothing still is near, the exposure is all that is known.
    rest = smooth(difference * weight[..., None]) / (smooth(weight)[..., None] + 1e-3)
    enlarged: np.ndarray = cv2.resize(rest, (width, height), interpolation=cv2.INTER_LINEAR)
    return exposed - plate + enlarged


def _in_exposure_of(frame: np.ndarray, thinned: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """Return the plate with the frame's exposure, fitted to thinned pixels and refined twice."""
    pixels, shown = thinned.reshape(-1, 3), frame.reshape(-1, 3)
    gain = np.median(shown / np.maximum(pixels, 8.0), axis=0)
    offset = np.median(shown - gain * pixels, axis=0)
    for _ in range(2):
        near = largest_channel(shown - gain * pixels - offset) < NEAR
        if near.sum() < _LEAST_FITTED:
            break
        centre, shown_centre = pixels[near].mean(axis=0), shown[near].mean(axis=0)
        variance = ((pixels[near] - centre) ** 2).mean(axis=0)
        together = ((pixels[near] - centre) * (shown[near] - shown_centre)).mean(axis=0)
        # Where all is of one brightness there is no telling a gain from an offset.
        gain = (together + _FLAT) / (variance + _FLAT)
        offset = shown_centre - gain * centre
    exposed: np.ndarray = plate * gain.astype(np.float32) + offset.astype(np.float32)
    return exposed


@dataclass(frozen=True)
class MovingPart:
    """Something connected that moves: its pixels are those of ``label`` in a map of labels.

    ``left``, ``top``, ``width`` and ``height`` in pixels are of the box around it, ``area`` counts
    its pixels.
    """

    label: int
    left: int
    top: int
    width: int
    height: int
    area: int


def moving_parts(difference: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, list[MovingPart]]:
    """Find what moves in a frame.

    A pixel belongs to it when it differs faintly and hangs together with pixels that differ
    clearly; both thresholds rise where the picture is restless. Gaps are closed (a lamp post before
    a person, trousers of the road's gray) and holes filled; specks are dropped.

    Args:
        difference: float32 ``(H, W, 3)`` in 8-bit levels: the frame without its drift, less plate.
        noise: float32 ``(H, W)``: what still pixels differ by.

    Returns:
        int32 ``(H, W)`` labels from 1, and what they are.
    """
    height, width = noise.shape
    differs = largest_channel(cv2.GaussianBlur(difference, (3, 3), 0))
    faintly, clearly = (
        differs > np.maximum(least, factor * noise)
        for least, factor in zip((_FAINT, NEAR), _NOISE_FACTORS, strict=True)
    )
    found = cv2.morphologyEx(faintly.astype(np.uint8), cv2.MORPH_OPEN, SQUARE)
    count, labels = cv2.connectedComponents(found)
    seeds = np.bincount(labels[clearly], minlength=count)
    keep = seeds >= _LEAST_SEED * (height / _ROWS) ** 2
    keep[0] = False
    closed = _close(keep[labels].astype(np.uint8), height / _ROWS)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(closed, outlines, -1, 1, cv2.FILLED)
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(closed)
    parts = [
        MovingPart(label, *(int(value) for value in boxes[label]))
        for label in range(1, count)
        if boxes[label][cv2.CC_STAT_AREA] >= _LEAST_AREA * height * width
    ]
    return labels, parts


def _close(mask: np.ndarray, scale: float) -> np.ndarray:
    """Close gaps; the picture's border must not act as a wall, so there is room around it."""
    size = tuple(2 * round(side * scale / 2) + 1 for side in _GAP)
    room = max(size)
    padded = cv2.copyMakeBorder(mask, room, room, room, room, cv2.BORDER_CONSTANT, value=0)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, size)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)
    return np.ascontiguousarray(closed[room:-room, room:-room])
