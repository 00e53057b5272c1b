"""The best of the smooth fills, as a strategy."""

from functools import partial
from statistics import mean

import pytest
import torch

from lab.data import PhotoDataModule
from lab.evaluation import Evaluation, Tasks, judge
from lab.fills import OpenCVInpainting, SmoothFill, across_fill
from lab.masks import Boxes, PersonRectangle, Scribbles
from tests.strategies.networks import box, noise


def test_it_is_the_fill_across_the_hole():
    image, mask = noise(40, 50), box(40, 50, (0, 30), (20, 28))
    filled = across_fill(image, mask > 0).clamp(0, 1)
    assert torch.equal(SmoothFill()(image, mask), filled)


@pytest.mark.parametrize(
    "holes",
    [PersonRectangle, partial(Boxes, size=(0.2, 0.4)), Scribbles],
    ids=["tall", "box", "strokes"],
)
def test_truer_than_telea_on_photos(holes):
    data = PhotoDataModule(size=64, validation_masks=holes, validation_crops=2)
    tasks = list(Tasks(Evaluation(), data))
    psnr, ssim = (
        [
            mean(
                score.metrics[metric]
                for judged in judge(strategy, tasks)
                for score in judged.scores
            )
            for strategy in (SmoothFill(), OpenCVInpainting("telea"))
        ]
        for metric in ("hole_psnr", "hole_ssim")
    )
    assert psnr[0] > psnr[1] + 0.3
    assert ssim[0] > ssim[1]


def test_a_mask_over_everything_is_refused():
    with pytest.raises(ValueError, match=r"sample \[0\] covers the whole image"):
        SmoothFill()(noise(8, 9), torch.ones(1, 1, 8, 9))
