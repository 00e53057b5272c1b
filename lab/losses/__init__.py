"""Losses: named terms, one family a file, and the objective that weights and sums them."""

from lab.losses.adversarial import (
    Adversarial,
    AdversarialKind,
    discriminator_loss,
    generator_loss,
)
from lab.losses.balancing import (
    Balanced,
    Balancing,
    GradientRatio,
    GradNorm,
    StatedWeights,
    UncertaintyWeighting,
)
from lab.losses.feature_matching import FeatureMatching
from lab.losses.objective import INPAINT_SANET_WEIGHTS, LossWeights, Objective, ObjectiveValue
from lab.losses.once import OncePerImage
from lab.losses.perceptual import (
    PERCEPTUAL_LAYERS,
    ImageFeatures,
    Perceptual,
    PerceptualImages,
    Style,
    gram_matrix,
)
from lab.losses.reconstruction import Reconstruction
from lab.losses.rim import RimTotalVariation
from lab.losses.structure import MSSSIM, HoleSSIM
from lab.losses.terms import (
    DISCRIMINATOR_TERMS,
    FEATURE_TERMS,
    TERMS,
    TermBuilder,
    TermSettings,
)

__all__ = [
    "DISCRIMINATOR_TERMS",
    "FEATURE_TERMS",
    "INPAINT_SANET_WEIGHTS",
    "MSSSIM",
    "PERCEPTUAL_LAYERS",
    "TERMS",
    "Adversarial",
    "AdversarialKind",
    "Balanced",
    "Balancing",
    "FeatureMatching",
    "GradNorm",
    "GradientRatio",
    "HoleSSIM",
    "ImageFeatures",
    "LossWeights",
    "Objective",
    "ObjectiveValue",
    "OncePerImage",
    "Perceptual",
    "PerceptualImages",
    "Reconstruction",
    "RimTotalVariation",
    "StatedWeights",
    "Style",
    "TermBuilder",
    "TermSettings",
    "UncertaintyWeighting",
    "discriminator_loss",
    "generator_loss",
    "gram_matrix",
]
