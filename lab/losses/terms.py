"""The table of loss terms: every name that an objective can weight, and how its term is built."""

from collections.abc import Callable
from dataclasses import dataclass

from lab.contracts import LossTerm
from lab.losses.adversarial import Adversarial, AdversarialKind
from lab.losses.feature_matching import FeatureMatching
from lab.losses.perceptual import ImageFeatures, Perceptual, PerceptualImages, Style
from lab.losses.reconstruction import Reconstruction
from lab.losses.rim import RimTotalVariation
from lab.losses.structure import MSSSIM, HoleSSIM


@dataclass(frozen=True)
class TermSettings:
    """What the terms are built from.

    Args:
        adversarial_kind: the adversarial loss.
        perceptual_images: which images the perceptual terms compare with the truth.
        features: the network behind the perceptual terms, which share it; None where neither is
            wanted.
    """

    adversarial_kind: AdversarialKind = "hinge"
    perceptual_images: PerceptualImages = "both"
    features: ImageFeatures | None = None


TermBuilder = Callable[[TermSettings], LossTerm]


def _always(term: LossTerm) -> TermBuilder:
    return lambda settings: term


def _adversarial(settings: TermSettings) -> LossTerm:
    return Adversarial(settings.adversarial_kind)


def _perceptual(settings: TermSettings) -> LossTerm:
    return Perceptual(_features(settings), settings.perceptual_images)


def _style(settings: TermSettings) -> LossTerm:
    return Style(_features(settings), settings.perceptual_images)


def _features(settings: TermSettings) -> ImageFeatures:
    if settings.features is None:
        raise ValueError("the perceptual and style terms need TermSettings.features")
    return settings.features


TERMS: dict[str, TermBuilder] = {
    "hole_l1": _always(Reconstruction("l1", "hole", "refined")),
    "known_l1": _always(Reconstruction("l1", "known", "refined")),
    "whole_l1": _always(Reconstruction("l1", "whole", "refined")),
    "coarse_hole_l1": _always(Reconstruction("l1", "hole", "coarse")),
    "coarse_known_l1": _always(Reconstruction("l1", "known", "coarse")),
    "coarse_whole_l1": _always(Reconstruction("l1", "whole", "coarse")),
    "hole_l2": _always(Reconstruction("l2", "hole", "refined")),
    "known_l2": _always(Reconstruction("l2", "known", "refined")),
    "whole_l2": _always(Reconstruction("l2", "whole", "refined")),
    "coarse_hole_l2": _always(Reconstruction("l2", "hole", "coarse")),
    "coarse_known_l2": _always(Reconstruction("l2", "known", "coarse")),
    "coarse_whole_l2": _always(Reconstruction("l2", "whole", "coarse")),
    "hole_charbonnier": _always(Reconstruction("charbonnier", "hole", "refined")),
    "known_charbonnier": _always(Reconstruction("charbonnier", "known", "refined")),
    "whole_charbonnier": _always(Reconstruction("charbonnier", "whole", "refined")),
    "coarse_hole_charbonnier": _always(Reconstruction("charbonnier", "hole", "coarse")),
    "coarse_known_charbonnier": _always(Reconstruction("charbonnier", "known", "coarse")),
    "coarse_whole_charbonnier": _always(Reconstruction("charbonnier", "whole", "coarse")),
    "ms_ssim": _always(MSSSIM()),
    "hole_ssim": _always(HoleSSIM()),
    "rim_total_variation": _always(RimTotalVariation()),
    "adversarial": _adversarial,
    "feature_matching": _always(FeatureMatching()),
    "perceptual": _perceptual,
    "style": _style,
}
"""A new term is one row here and one field of ``LossWeights``."""

DISCRIMINATOR_TERMS = frozenset({"adversarial", "feature_matching"})
"""The terms that look at ``LossInputs.judge``."""

FEATURE_TERMS = frozenset({"perceptual", "style"})
"""The terms that need ``TermSettings.features``."""
