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
from lab.losses.distillation import ATTENDED, TeacherAttention, TeacherPerceptual
from lab.losses.feature_matching import FeatureMatching
from lab.losses.objective import INPAINT_SANET_WEIGHTS, Objective, ObjectiveValue
from lab.losses.once import OncePerImage
from lab.losses.penalties import gradient_penalty, r1_penalty
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
from lab.losses.shift_guidance import ShiftGuidance
from lab.losses.structure import MSSSIM, HoleSSIM
from lab.losses.terms import (
    JUDGES,
    TERMS,
    LossWeights,
    Term,
    TermSettings,
    check_terms,
    judged_name,
)
from lab.losses.texture import HoleTexture

__all__ = [
    "ATTENDED",
    "INPAINT_SANET_WEIGHTS",
    "JUDGES",
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
    "HoleTexture",
    "ImageFeatures",
    "LossWeights",
    "Objective",
    "ObjectiveValue",
    "OncePerImage",
    "Perceptual",
    "PerceptualImages",
    "Reconstruction",
    "RimTotalVariation",
    "ShiftGuidance",
    "StatedWeights",
    "Style",
    "TeacherAttention",
    "TeacherPerceptual",
    "Term",
    "TermSettings",
    "UncertaintyWeighting",
    "check_terms",
    "discriminator_loss",
    "generator_loss",
    "gradient_penalty",
    "gram_matrix",
    "judged_name",
    "r1_penalty",
]
