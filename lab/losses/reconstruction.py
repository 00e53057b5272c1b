"""Pixel differences to the truth, over a region, divided by the region's area.

The area makes holes of different sizes comparable, as InpaintSANet publishes it (Yu et al., "Free-
Form Image Inpainting with Gated Convolution", ICCV 2019, whose published re-implementation divides
by the area of each sample). Images are in [0, 1] here: a weight published for images in [-1, 1]
doubles for L1, whose differences are half as large, and quadruples for L2.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from lab.checks import unknown_name_message
from lab.contracts import LossInputs

Distance = Literal["l1", "l2", "charbonnier"]
Region = Literal["hole", "known", "whole"]
Stage = Literal["coarse", "refined"]

# Lai et al. 2017, for images in [0, 1].
_CHARBONNIER_EPSILON = 1e-3


@dataclass(frozen=True)
class Reconstruction:
    """The mean distance between a stage and the truth inside a region.

    For one sample it is the mean over channels and pixels of
    ``distance(stage - truth) * region / mean(region)``, in units of the image's range; the batch's
    mean is returned. A sample whose region is empty counts as exactly 0.

    Args:
        distance: ``"l1"``, ``|d|``; ``"l2"``, ``d ** 2``; or ``"charbonnier"``,
            ``sqrt(d ** 2 + 1e-6)`` (Lai et al., "Deep Laplacian Pyramid Networks for Fast and
            Accurate Super-Resolution", CVPR 2017), an L1 that is smooth at 0, where it is 0.001.
        region: the ``"hole"``, the ``"known"`` pixels or the ``"whole"`` image.
        stage: the ``"coarse"`` or the ``"refined"`` image; of a network of one stage, both are the
            same image.

    Raises:
        ValueError: a name that is none of these.
    """

    distance: Distance
    region: Region
    stage: Stage

    def __post_init__(self) -> None:
        for what, name, known in (
            ("distance", self.distance, get_args(Distance)),
            ("region", self.region, get_args(Region)),
            ("stage", self.stage, get_args(Stage)),
        ):
            if name not in known:
                raise ValueError(unknown_name_message(what, name, known))

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0, or 0.001 for Charbonnier, where the stage equals the truth."""
        stage = inputs.stages.coarse if self.stage == "coarse" else inputs.stages.refined
        distance = _distance(stage.float() - inputs.truth.detach().float(), self.distance)
        return (distance * _area_weights(inputs.mask.float(), self.region)).mean()


def _distance(difference: Tensor, distance: Distance) -> Tensor:
    if distance == "l1":
        return difference.abs()
    if distance == "l2":
        return difference.square()
    return (difference.square() + _CHARBONNIER_EPSILON**2).sqrt()


def _area_weights(mask: Tensor, region: Region) -> Tensor:
    """Return ``region / mean(region)`` for each sample, ``(B, 1, H, W)``; zeros if it is empty."""
    if region == "whole":
        return torch.ones_like(mask)
    weights = mask if region == "hole" else 1.0 - mask
    # A region of one pixel has this mean: the bound changes nothing but an empty region's 0 / 0.
    one_pixel = 1.0 / (mask.shape[-2] * mask.shape[-1])
    return weights / weights.mean(dim=(1, 2, 3), keepdim=True).clamp_min(one_pixel)
