"""The measures: each one number a photo, from the pixels of a region.

Colour is treated alike by all: the three channels are averaged together, before any root or
logarithm. The deployment notes list two other ways for PSNR, which have names of their own here:
``psnr_per_channel`` and ``psnr_luma``. Numbers from different ways cannot be compared.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import torch
from kornia.color import rgb_to_y
from torch import Tensor

from lab.imaging import ms_ssim_of_pyramid, region_mean
from lab.metrics.blockiness import blockiness
from lab.metrics.comparison import Comparison
from lab.metrics.sharpness import sharpness_ratios
from lab.metrics.texture import texture_distance
from lab.metrics.visual_similarity import gmsd

LEAST_SQUARED_ERROR = 1e-6
"""The floor under PSNR's squared error: a perfect fill scores 60 dB instead of infinity, so that
means and spreads over photos stay finite."""


@dataclass(frozen=True)
class Measure:
    """How one number comes from a comparison and a region.

    ``compute`` maps a comparison and the region's pixels ``(B, 1, H, W)`` of 0 and 1 to ``(B,)``.
    ``definition`` completes the sentence "Over the region: ...". ``regions`` are those in which it
    is measured.
    """

    higher_is_better: bool
    unit: str
    definition: str
    compute: Callable[[Comparison, Tensor], Tensor]
    regions: Collection[str] = ("hole", "rim", "whole")


def _mean_squared_error(comparison: Comparison, region: Tensor) -> Tensor:
    return region_mean(comparison.squared_error, region)


def _psnr(comparison: Comparison, region: Tensor) -> Tensor:
    return -10 * _mean_squared_error(comparison, region).clamp_min(LEAST_SQUARED_ERROR).log10()


def _psnr_per_channel(comparison: Comparison, region: Tensor) -> Tensor:
    squares = comparison.squared_error
    channels = [
        region_mean(squares[:, index : index + 1], region) for index in range(squares.shape[1])
    ]
    decibels = [-10 * error.clamp_min(LEAST_SQUARED_ERROR).log10() for error in channels]
    return torch.stack(decibels).mean(0)


def _psnr_luma(comparison: Comparison, region: Tensor) -> Tensor:
    difference = rgb_to_y(comparison.completed) - rgb_to_y(comparison.truth)
    error = region_mean(difference.square(), region)
    return -10 * error.clamp_min(LEAST_SQUARED_ERROR).log10()


def _ssim(comparison: Comparison, region: Tensor) -> Tensor:
    return region_mean(comparison.ssim_map, region)


def _ms_ssim(comparison: Comparison, region: Tensor) -> Tensor:
    return ms_ssim_of_pyramid(comparison.similarity_pyramid, region)


def _l1(comparison: Comparison, region: Tensor) -> Tensor:
    return region_mean(comparison.absolute_error, region)


def _rmse(comparison: Comparison, region: Tensor) -> Tensor:
    return _mean_squared_error(comparison, region).sqrt()


def _sharpness_error(comparison: Comparison, region: Tensor) -> Tensor:
    return sharpness_ratios(*comparison.gradient_magnitudes, region).abs().mean(1)


def _blur(comparison: Comparison, region: Tensor) -> Tensor:
    return (-sharpness_ratios(*comparison.gradient_magnitudes, region)).clamp_min(0).mean(1)


def _texture(comparison: Comparison, region: Tensor) -> Tensor:
    return texture_distance(*comparison.laplacian_pyramids, region)


def _blockiness(comparison: Comparison, region: Tensor) -> Tensor:
    return blockiness(comparison.completed, comparison.truth, region)


def _gmsd(comparison: Comparison, region: Tensor) -> Tensor:
    return gmsd(comparison.completed, comparison.truth)


def _seam(comparison: Comparison, region: Tensor) -> Tensor:
    # Of the hole's border, whatever the region's width.
    completed, true = comparison.rim_steps
    return (completed.square() - true.square()).clamp_min(0.0).sqrt()


MEASURES: Mapping[str, Measure] = {
    "psnr": Measure(
        higher_is_better=True,
        unit="dB",
        definition=(
            "10 log10(1 / MSE), where MSE is the mean squared difference of pixels and channels "
            "in [0, 1], and at least 1e-6 (so 60 dB at most)"
        ),
        compute=_psnr,
    ),
    "psnr_per_channel": Measure(
        higher_is_better=True,
        unit="dB",
        definition=(
            "PSNR of each of the three channels by itself, as psnr, and their mean: at least psnr, "
            "and more where one channel is far better than the others"
        ),
        compute=_psnr_per_channel,
        regions=("hole", "whole"),
    ),
    "psnr_luma": Measure(
        higher_is_better=True,
        unit="dB",
        definition=(
            "PSNR of Y of YCbCr alone (0.299 R + 0.587 G + 0.114 B, full range as in JPEG; the "
            "studio range of some programs, 16 to 235, scores 1.3 dB more): wrong colours of the "
            "right brightness cost nothing"
        ),
        compute=_psnr_luma,
        regions=("hole", "whole"),
    ),
    "ssim": Measure(
        higher_is_better=True,
        unit="",
        definition=(
            "mean over pixels and channels of the SSIM map of the whole photos (Gaussian window "
            "of 11 pixels, sigma 1.5, K 0.01 and 0.03, range 1, borders mirrored); windows reach "
            "5 pixels beyond the region"
        ),
        compute=_ssim,
    ),
    "ms_ssim": Measure(
        higher_is_better=True,
        unit="",
        definition=(
            "MS-SSIM of the whole photos, with each scale's mean taken over the region; fewer than "
            "five scales below 161 pixels (see lab.imaging.ms_ssim)"
        ),
        compute=_ms_ssim,
    ),
    "l1": Measure(
        higher_is_better=False,
        unit="",
        definition="mean absolute difference of pixels and channels in [0, 1]",
        compute=_l1,
    ),
    "rmse": Measure(
        higher_is_better=False,
        unit="",
        definition="root of the mean squared difference of pixels and channels in [0, 1]",
        compute=_rmse,
    ),
    "sharpness_error": Measure(
        higher_is_better=False,
        unit="",
        definition=(
            "how far the quartiles of the gradient's magnitude are from the truth's, either way: "
            "mean over the three of |log2(completed / true)|; 0 = as sharp as the truth, 1 = half "
            "or twice its gradients (Sobel's filter, which reaches 1 pixel beyond the region; see "
            "lab.metrics.sharpness)"
        ),
        compute=_sharpness_error,
    ),
    "blur": Measure(
        higher_is_better=False,
        unit="",
        definition=(
            "by how much those quartiles fall short of the truth's: mean over the three of "
            "max(0, log2(true / completed)); 0 = nowhere less sharp, 1 = half of its gradients; "
            "noise makes it small, so it is a warning and no goal"
        ),
        compute=_blur,
    ),
    "texture": Measure(
        higher_is_better=False,
        unit="",
        definition=(
            "sliced Wasserstein distance of the 7x7 patches of each scale of the Laplacian "
            "pyramid, luminance and hue each by itself, in units of the true photo's contrast at "
            "that scale, mean over the scales; 0 = the same patches, wherever they lie (see "
            "lab.metrics.texture)"
        ),
        compute=_texture,
        regions=("hole",),
    ),
    "blockiness": Measure(
        higher_is_better=False,
        unit="",
        definition=(
            "how far a grid of 4, 8, 16, 32 or 64 pixels, as a judge's patches lie on, stands out "
            "of the steps between pixels, beyond its neighbouring periods and beyond the truth: "
            "log2 of the steps at its lines against those between; 1 = twice as large, below 0.3 "
            "chance can make it; 0 in holes that hold no grid twice (see lab.metrics.blockiness)"
        ),
        compute=_blockiness,
        regions=("hole",),
    ),
    "gmsd": Measure(
        higher_is_better=False,
        unit="",
        definition=(
            "gradient magnitude similarity deviation: the standard deviation of how alike the "
            "gradients of both photos are, place by place, at half the size; 0 = equal (see "
            "lab.metrics.visual_similarity)"
        ),
        compute=_gmsd,
        regions=("whole",),
    ),
    "seam": Measure(
        higher_is_better=False,
        unit="",
        definition=(
            "step in colour across the hole's border beyond what the photo has just beside it, "
            "less the truth's own in squares; k where the fill is off by a constant k, 1/255 = a "
            "level of 8 bits (stretches of 15 pixels; see lab.metrics.rim_step)"
        ),
        compute=_seam,
        regions=("rim",),
    ),
}
"""Every measure by name. A new one is a row here; it is then measured in each of its regions."""
