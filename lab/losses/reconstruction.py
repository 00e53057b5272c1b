"""Pixel differences to the truth, or a teacher's answer, over a region, by the region's area.

The area makes holes of different sizes comparable, as InpaintSANet publishes it (Yu et al., "Free-
Form Image Inpainting with Gated Convolution", ICCV 2019, whose published re-implementation divides
by the area of each sample). Images are in [0, 1] here: a weight published for images in [-1, 1]
doubles for L1, whose differences are half as large, and quadruples for L2.

The **discounted hole** trusts the middle of a hole less, where many answers are right: each pixel
weighs gamma to the power of its distance to the nearest known pixel (Yu et al., "Generative Image
Inpainting with Contextual Attention", DeepFillv1, CVPR 2018, section 3). As published, the sum is
divided by the hole's area, not by its weights, so that a deep hole counts less than a thin one. The
published codes know rectangles alone, and count from 0 at the upper and left rim, from 1 at the
lower and right one; here every pixel of any hole counts from 1, as the paper says.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from lab.checks import unknown_name_message
from lab.contracts import LossInputs, Stages
from lab.imaging import distance_to_known
from lab.losses.distillation import lesson_of

Distance = Literal["l1", "l2", "charbonnier"]
Region = Literal["hole", "known", "whole", "discounted_hole"]
Stage = Literal["coarse", "refined"]
Target = Literal["truth", "teacher"]

# Lai et al. 2017, for images in [0, 1].
_CHARBONNIER_EPSILON = 1e-3


@dataclass(frozen=True)
class Reconstruction:
    """The mean distance between a stage and the truth, or a teacher's, inside a region.

    For one sample it is the mean over channels and pixels of
    ``distance(stage - truth) * region / mean(region)``, in units of the image's range; the batch's
    mean is returned. A sample whose region is empty counts as exactly 0. Of the discounted hole,
    the first ``region`` is ``discount ** depth``; where nothing is known, it is 1.

    Args:
        distance: ``"l1"``, ``|d|``; ``"l2"``, ``d ** 2``; or ``"charbonnier"``,
            ``sqrt(d ** 2 + 1e-6)`` (Lai et al., "Deep Laplacian Pyramid Networks for Fast and
            Accurate Super-Resolution", CVPR 2017), an L1 that is smooth at 0, where it is 0.001.
        region: the ``"hole"``, the ``"known"`` pixels, the ``"whole"`` image, or the
            ``"discounted_hole"``.
        stage: the ``"coarse"`` or the ``"refined"`` image; of a network of one stage, both are the
            same image.
        discount: what a pixel of the discounted hole loses with each pixel of depth, a factor above
            0 and at most 1: 0.99 in DeepFillv1's paper, 0.9 in its published code and Shift-Net's.
        target: the ``"truth"``, or the same stage of a ``"teacher"``'s answer.

    Raises:
        ValueError: a name that is none of these, or a discount out of range.
    """

    distance: Distance
    region: Region
    stage: Stage
    discount: float = 0.99
    target: Target = "truth"

    def __post_init__(self) -> None:
        for what, name, known in (
            ("distance", self.distance, get_args(Distance)),
            ("region", self.region, get_args(Region)),
            ("stage", self.stage, get_args(Stage)),
            ("target", self.target, get_args(Target)),
        ):
            if name not in known:
                raise ValueError(unknown_name_message(what, name, known))
        check_discount(self.discount)

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0, for Charbonnier up to 0.001, where the stage equals its target.

        Raises:
            ValueError: it is a teacher's, and there is none.
        """
        target = inputs.truth
        if self.target == "teacher":
            target = self._of(lesson_of(inputs, f"teacher_{self.region}_{self.distance}").stages)
        distance = _distance(
            self._of(inputs.stages).float() - target.detach().float(), self.distance
        )
        return (distance * self._weights(inputs.mask.float())).mean()

    def _of(self, stages: Stages) -> Tensor:
        return stages.coarse if self.stage == "coarse" else stages.refined

    def _weights(self, mask: Tensor) -> Tensor:
        """Return ``region / mean(region)`` for each sample, ``(B, 1, H, W)``; zeros if empty."""
        if self.region == "whole":
            return torch.ones_like(mask)
        region = 1.0 - mask if self.region == "known" else mask
        # A region of one pixel has this mean: the bound changes nothing but an empty one's 0 / 0.
        one_pixel = 1.0 / (mask.shape[-2] * mask.shape[-1])
        weights = region / region.mean(dim=(1, 2, 3), keepdim=True).clamp_min(one_pixel)
        if self.region == "discounted_hole":
            depth = distance_to_known(mask)
            weights = weights * torch.where(depth.isinf(), 1.0, self.discount**depth)
        return weights


def check_discount(discount: float) -> None:
    """Raise ``ValueError`` unless ``discount`` lies above 0 and at most at 1."""
    if not 0.0 < discount <= 1.0:
        raise ValueError(
            f"the spatial discount is {discount}, but must lie above 0 and at most at 1 (0.99 in "
            "DeepFillv1's paper; 1 discounts nothing)"
        )


def _distance(difference: Tensor, distance: Distance) -> Tensor:
    if distance == "l1":
        return difference.abs()
    if distance == "l2":
        return difference.square()
    return (difference.square() + _CHARBONNIER_EPSILON**2).sqrt()
