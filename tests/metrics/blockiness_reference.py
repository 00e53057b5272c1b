"""Blockiness of one photo, pair by pair of pixels, in plain Python."""

import math
from collections import defaultdict

import numpy as np


def contrast(steps, period):
    """``steps`` are pairs of a line's number and a step across it."""
    phases = defaultdict(list)
    for line, step in steps:
        phases[line % period].append(step)
    means = [np.mean(phases[phase]) if phases[phase] else 0.0 for phase in range(period)]
    largest = max(means)
    others = (sum(means) - largest) / (period - 1)
    return math.log2((largest + 0.5 / 255) / (others + 0.5 / 255))


def steps_of(image, region, axis):
    """Across every line between two pixels that both lie in the region."""
    if axis == "rows":
        image, region = image.transpose(0, 2, 1), region.T
    found = []
    for row, line in np.argwhere(region[:, :-1] & region[:, 1:]):
        found.append((line, np.abs(image[:, row, line + 1] - image[:, row, line]).mean()))
    return found


def blockiness_of(completed, truth, region):
    best = 0.0
    for period in (4, 8, 16, 32, 64):
        excesses = []
        for axis in ("columns", "rows"):
            ours, theirs = (steps_of(image, region, axis) for image in (completed, truth))
            if len({line for line, _ in ours}) <= 2 * period:
                continue
            values = [
                contrast(steps, period)
                - (contrast(steps, period - 1) + contrast(steps, period + 1)) / 2
                for steps in (ours, theirs)
            ]
            excesses.append(values[0] - values[1])
        if excesses:
            best = max(best, np.mean(excesses))
    return best
