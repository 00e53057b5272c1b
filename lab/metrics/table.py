"""The table of metrics, and the one function that measures them all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lab.checks import check_comparable
from lab.imaging import dilate, region_mean
from lab.metrics.comparison import Comparison
from lab.metrics.measures import MEASURES
from lab.metrics.regions import REGIONS
from lab.metrics.rim_step import rim_step
from lab.metrics.texture import texture_mismatch

SURROUNDINGS = 8
"""What a fill is held against where there is no truth: the known pixels around the hole, as far as
this part of the photo's shorter side."""


@dataclass(frozen=True)
class Metric:
    """What a column of numbers means.

    ``unit`` is empty where the number has none. ``definition`` says exactly what is computed.
    """

    name: str
    higher_is_better: bool
    unit: str
    definition: str


METRICS: Mapping[str, Metric] = {
    f"{where}_{what}": Metric(
        name=f"{where}_{what}",
        higher_is_better=how.higher_is_better,
        unit=how.unit,
        definition=f"Over {region.definition}: {how.definition}.",
    )
    for where, region in REGIONS.items()
    for what, how in MEASURES.items()
    if where in how.regions
}
"""Every metric of a completed photo by name: ``hole_psnr``, ``rim_ssim`` and so on."""

ANSWER_METRICS: Mapping[str, Metric] = {
    "answer_known_l1": Metric(
        name="answer_known_l1",
        higher_is_better=False,
        unit="",
        definition=(
            "Over the known pixels: mean absolute difference of the network's own answer, clamped "
            "to [0, 1], from the photo, before anything is pasted."
        ),
    )
}
"""What a run records besides, by name: of the network's own answer, so no method without a network
has it, and no question can have it for a goal."""

REMOVAL_METRICS: Mapping[str, Metric] = {
    "hole_texture_mismatch": Metric(
        name="hole_texture_mismatch",
        higher_is_better=False,
        unit="",
        definition=(
            "Over the pixels of the hole, without a truth: sliced Wasserstein distance of their "
            "7x7 patches from those of the known pixels around the hole (as far as an eighth of "
            "the photo's shorter side), luminance and hue each by itself, in units of the photo's "
            "contrast at each scale, mean over the scales (see lab.metrics.texture_mismatch)."
        ),
    ),
    "rim_step": Metric(
        name="rim_step",
        higher_is_better=False,
        unit="",
        definition=(
            "Across the hole's border, without a truth: step in colour beyond what the photo has "
            "just beside it; k where the fill is off by a constant k, 1/255 = a level of 8 bits "
            "(see lab.metrics.rim_step)."
        ),
    ),
}
"""What can be said of a removal whose background nobody knows, by name."""

PERCEPTUAL_METRICS: Mapping[str, Metric] = {
    "whole_lpips": Metric(
        name="whole_lpips",
        higher_is_better=False,
        unit="",
        definition=(
            "Over all pixels of the photo: LPIPS 0.1 by AlexNet; 0 = equal (see "
            "lab.metrics.perceptual)."
        ),
    ),
    "whole_dists": Metric(
        name="whole_dists",
        higher_is_better=False,
        unit="",
        definition=(
            "Over all pixels of the photo: DISTS by VGG16; 0 = equal, and nearly so where textures "
            "are alike (see lab.metrics.perceptual)."
        ),
    ),
    "whole_vsi": Metric(
        name="whole_vsi",
        higher_is_better=True,
        unit="",
        definition=(
            "Over all pixels of the photo: visual saliency-induced index, how alike saliency, "
            "gradients and colours are, place by place, weighed by the saliency; 1 = equal (see "
            "lab.metrics.visual_similarity)."
        ),
    ),
}
"""What is measured besides where that is asked for, by name: it takes longer than all others."""

ALL_METRICS: Mapping[str, Metric] = {**METRICS, **REMOVAL_METRICS, **PERCEPTUAL_METRICS}
"""Every metric that results may hold and be compared by, by name."""

REVISIONS: Mapping[str, int] = {"hole_texture": 3, "hole_texture_mismatch": 3}
"""Of metrics that earlier versions computed otherwise, the number of today's form: what was scored
by another cannot be compared. Texture's scales were half a pixel apart in the first; its directions
mixed luminance and hue in the second."""


@torch.no_grad()
def measure(
    completed: Tensor, truth: Tensor, mask: Tensor, names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Measure every metric of ``METRICS`` for each photo.

    ``completed`` is measured as it is: to judge what a user gets, paste the known pixels first.
    The result is never NaN or infinite. Computed in float32, or in float64 where the images are.

    Args:
        completed: ``(B, 3, H, W)`` in [0, 1].
        truth: like ``completed``.
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole, for each photo neither empty nor full.
        names: what messages call the photos; None counts them from 0.

    Returns:
        ``(B,)`` for each name of ``METRICS``, in its order.

    Raises:
        TypeError, ValueError: the inputs break the conventions or do not fit each other.
        ValueError: a mask is empty (there is no hole to measure) or full (there is no rim, and
            nothing the hole could have been filled from).
    """
    check_comparable(completed, truth, mask)
    _check_measurable(mask, names or [f"[{index}]" for index in range(len(mask))])
    comparison = Comparison(completed, truth, mask)
    regions = {
        name: region.select(mask).to(comparison.truth.dtype) for name, region in REGIONS.items()
    }
    return {
        f"{where}_{what}": how.compute(comparison, pixels)
        for where, pixels in regions.items()
        for what, how in MEASURES.items()
        if where in how.regions
    }


@torch.no_grad()
def measure_removal(
    completed: Tensor, mask: Tensor, names: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """Measure every metric of ``REMOVAL_METRICS`` for each photo: what needs no truth.

    Args:
        completed: ``(B, 3, H, W)`` in [0, 1].
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole, for each photo neither empty nor full.
        names: what messages call the photos; None counts them from 0.

    Returns:
        ``(B,)`` by name.

    Raises:
        TypeError, ValueError: as by `measure`.
    """
    check_comparable(completed, completed, mask)
    _check_measurable(mask, names or [f"[{index}]" for index in range(len(mask))])
    reach = max(1, min(mask.shape[-2:]) // SURROUNDINGS)
    around = dilate(mask, reach) - mask
    return {
        "hole_texture_mismatch": texture_mismatch(completed, mask, around),
        "rim_step": rim_step(completed, mask),
    }


@torch.no_grad()
def measure_answer(answer: Tensor, truth: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Measure every metric of ``ANSWER_METRICS`` for each photo, ``(B,)`` by name.

    Args:
        answer: the network's refined image ``(B, 3, H, W)``, nothing pasted, of any range.
        truth: ``(B, 3, H, W)`` in [0, 1].
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
    """
    difference = (answer.float().clamp(0.0, 1.0) - truth).abs()
    return {"answer_known_l1": region_mean(difference, 1.0 - mask)}


def _check_measurable(mask: Tensor, names: Sequence[str]) -> None:
    lowest, highest = mask.flatten(1).amin(1), mask.flatten(1).amax(1)
    for state, wrong in (("empty", highest == 0), ("full", lowest == 1)):
        if bool(wrong.any()):
            found = ", ".join(names[index] for index in wrong.nonzero().flatten().tolist())
            raise ValueError(
                f"the mask of sample {found} is {state}, but a photo is measured only with a hole "
                "and known pixels around it: leave it out, or draw or dilate its mask otherwise"
            )
