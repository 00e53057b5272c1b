"""Textures that repeat exactly, and one hole of a quarter of them."""

import numpy as np
import torch

from tests.strategies.networks import box

SIZE = 128
HOLE = box(SIZE, SIZE, (36, 92), (40, 84))


def bricks():
    rows, columns = np.mgrid[:SIZE, :SIZE]
    shifted = columns + rows // 12 % 2 * 12
    return _painted((rows % 12 < 2) | (shifted % 24 < 2), (0.8, 0.8, 0.75), (0.6, 0.25, 0.2))


def stripes():
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return _painted((columns + 2 * rows) % 14 < 7, (0.1, 0.2, 0.5), (0.9, 0.9, 0.8))


def weave():
    rows, columns = np.mgrid[:SIZE, :SIZE]
    across, down = (0.5 + 0.4 * np.cos((place % 8 - 3.5) / 8 * np.pi) for place in (columns, rows))
    threads = np.where((columns // 8 + rows // 8) % 2 == 0, across, 0.6 * down)
    return torch.from_numpy(threads).float().expand(1, 3, -1, -1)


TEXTURES = {"bricks": bricks, "stripes": stripes, "weave": weave}


def _painted(where, first, second):
    first, second = (np.array(colour)[:, None, None] for colour in (first, second))
    return torch.from_numpy(np.where(where, first, second)).float()[None]
