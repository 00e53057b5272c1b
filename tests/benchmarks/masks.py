"""How many training masks a second each generator draws on one core.

    python tests/benchmarks/masks.py

The data loader draws a mask for every photo, so a generator must stay far above what a GPU eats.
Wanted: 2,000 masks of 256x256 a second for each.
"""

import statistics
import time

import cv2
import numpy as np
import torch

from lab.contracts import MaskGenerator
from lab.masks import MASK_GENERATORS

SIZE = 256
ROUNDS, MASKS_PER_ROUND = 7, 300


def median_rate(masks: MaskGenerator) -> float:
    """Masks a second: the median over ``ROUNDS`` rounds."""
    generator = np.random.default_rng(0)
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(MASKS_PER_ROUND):
            masks(SIZE, SIZE, generator)
        rates.append(MASKS_PER_ROUND / (time.perf_counter() - start))
    return statistics.median(rates)


def main() -> None:
    """Print one line a generator."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for name, build in MASK_GENERATORS.items():
        print(f"{name:20s} {median_rate(build()):8,.0f} masks/s")


if __name__ == "__main__":
    main()
