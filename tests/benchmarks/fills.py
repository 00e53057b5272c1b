"""How true and how fast methods without a network are, against Telea on the same photos and holes.

    python -m tests.benchmarks.fills --photos ../shared/data/photos --size 64 smooth patch-match

prints the paired differences under tall, wide, square, free-form and diagonal holes. The times are
part of ``make bench``.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from lab.contracts import MaskGenerator, Strategy
from lab.data import PhotoDataModule
from lab.data.photo_sets import starter_photos
from lab.evaluation import Evaluation, Task, Tasks, judge
from lab.fills import PatchMatch, ShiftMap, SmoothFill, smooth_fills
from lab.imaging import read_image
from lab.masks import Boxes, PersonRectangle, Scribbles
from lab.statistics import compare_scores
from lab.strategies import METHODS


def holed_photo(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A starter photo, and a standing person's hole: 19 % of it."""
    photo = read_image(starter_photos().training[0].path)[None]
    photo = photo[..., : min(photo.shape[2:]), : min(photo.shape[2:])]
    photo = F.interpolate(photo, size=(size, size), mode="bilinear", antialias=True).clamp(0, 1)
    mask = torch.zeros(1, 1, size, size)
    mask[..., size // 8 : -size // 8, 3 * size // 8 : -3 * size // 8] = 1.0
    return photo, mask


def all_fills(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return smooth_fills(image, mask > 0)


FILLS: list[tuple[str, Callable[..., torch.Tensor], int, str]] = [
    ("smooth", SmoothFill(), 64, "-"),
    ("smooth", SmoothFill(), 256, "-"),
    ("smooth", SmoothFill(), 512, "<= 2"),
    ("all smooth fills", all_fills, 512, "-"),
    ("patch-match", PatchMatch(), 128, "-"),
    ("patch-match", PatchMatch(), 512, "<= 10 s"),
    ("shift-map", ShiftMap(), 128, "-"),
]
"""Name, what fills, size of the photo, target."""


class WideRectangle(MaskGenerator):
    """A person's rectangle, lying down."""

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> torch.Tensor:
        return PersonRectangle()(width, height, generator).mT.contiguous()


class DiagonalBar(MaskGenerator):
    """A bar along one of the diagonals, near the middle."""

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> torch.Tensor:
        angle = 45.0 if generator.random() < 0.5 else -45.0
        length, thickness = generator.uniform(0.6, 1.2), generator.uniform(0.06, 0.3)
        x, y = 0.5 + generator.normal(size=2) / 12
        size = (float(length * height), max(2.0, float(thickness * height)))
        corners = cv2.boxPoints(((float(x * width), float(y * height)), size, angle))
        canvas = np.zeros((height, width), np.float32)
        cv2.fillPoly(canvas, [np.round(corners).astype(np.int32)], 1.0)
        return torch.from_numpy(canvas)[None]


HOLES: dict[str, Callable[[], MaskGenerator]] = {
    "tall": PersonRectangle,
    "wide": WideRectangle,
    "square": Boxes,
    "strokes": Scribbles,
    "diagonal": DiagonalBar,
}


def scores(strategy: Strategy, tasks: Sequence[Task]) -> pd.DataFrame:
    rows = {
        score.sample: {**score.metrics, "photo": score.photo}
        for judged in judge(strategy, tasks)
        for score in judged.scores
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="+", choices=METHODS)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--crops", type=int, default=1)
    given = parser.parse_args()
    for shape, holes in HOLES.items():
        data = PhotoDataModule(
            given.photos, given.size, validation_masks=holes, validation_crops=given.crops
        )
        tasks = list(Tasks(Evaluation(), data))
        telea = scores(METHODS["telea"].build(), tasks)
        means = ", ".join(f"{telea[name].mean():.3f}" for name in ("hole_psnr", "hole_ssim"))
        print(f"{shape} holes of {len(telea)} crops: telea {means}")
        for method in given.methods:
            found = scores(METHODS[method].build(), tasks)
            for metric in ("hole_psnr", "hole_ssim"):
                print(f"  {method} {metric} {compare_scores(found, telea, metric)}", flush=True)


if __name__ == "__main__":
    main()
