"""Perceptual and style terms: distances between the features of a network trained on ImageNet.

Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution" (ECCV 2016);
Gatys et al., "Image Style Transfer Using Convolutional Neural Networks" (CVPR 2016); for
inpainting, Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions" (PConv,
ECCV 2018), equations 3 to 5, and Nazeri et al., "EdgeConnect" (ICCV Workshops 2019), equations 6
and 7. Both sum over the layers, and so do the terms here, so that published weights keep their
meaning.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.contracts import LossInputs
from lab.networks import VGGArchitecture

ImageFeatures = Callable[[Tensor], Mapping[str, Tensor]]
"""``image (B, 3, H, W) -> {layer: features (B, C, H', W')}``."""

PerceptualImages = Literal["refined", "completed", "both"]

PERCEPTUAL_LAYERS: dict[VGGArchitecture, tuple[str, ...]] = {
    "vgg16": ("pool1", "pool2", "pool3"),
    "vgg19": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
}
"""The layers that PConv, RFR and LBAM take from VGG16, and EdgeConnect from VGG19."""


@dataclass(frozen=True)
class Perceptual:
    """The L1 between features, the mean over a layer's elements, summed over layers and images.

    Args:
        features: the frozen network.
        images: which images are compared with the truth: the ``"refined"`` stage (EdgeConnect), the
            ``"completed"`` image, or ``"both"``, added (PConv).
    """

    features: ImageFeatures
    images: PerceptualImages = "both"

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where the images are the truth."""
        return _summed_distance(inputs, self.features, self.images, _unchanged)


@dataclass(frozen=True)
class Style:
    """The L1 between Gram matrices, the mean over a matrix's elements, summed likewise.

    Args:
        features: the frozen network.
        images: as for :class:`Perceptual`.
    """

    features: ImageFeatures
    images: PerceptualImages = "both"

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where the images are the truth."""
        return _summed_distance(inputs, self.features, self.images, gram_matrix)


def gram_matrix(features: Tensor) -> Tensor:
    """Return the channels' products ``(B, C, C)`` of ``features (B, C, H, W)`` over ``C * H * W``.

    Computed in float32, under automatic mixed precision too, where the sums would lose digits.
    """
    batch, channels, height, width = features.shape
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().reshape(batch, channels, height * width)
        return flat @ flat.transpose(1, 2) / (channels * height * width)


def _unchanged(features: Tensor) -> Tensor:
    return features


def _summed_distance(
    inputs: LossInputs,
    features: ImageFeatures,
    images: PerceptualImages,
    describe: Callable[[Tensor], Tensor],
) -> Tensor:
    with torch.no_grad():
        truth = {layer: describe(found) for layer, found in features(inputs.truth).items()}
    compared = {
        "refined": (inputs.stages.refined,),
        "completed": (inputs.completed,),
        "both": (inputs.stages.refined, inputs.completed),
    }[images]
    differences = [
        F.l1_loss(describe(found).float(), truth[layer].float())
        for image in compared
        for layer, found in features(image).items()
    ]
    return torch.stack(differences).sum()
