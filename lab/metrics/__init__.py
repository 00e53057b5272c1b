"""Metrics: how far a completed photo is from the truth, in the hole, at its rim and as a whole.

`lab.metrics.distributions` measures all photos together; it takes seconds to import, and stands by
itself.
"""

from lab.metrics.perceptual import PERCEPTUAL, PerceptualMeasures
from lab.metrics.regions import RATIO_BINS, hole_ratio, ratio_bin
from lab.metrics.rim_step import rim_step
from lab.metrics.seams import SeamSteps, seam_steps
from lab.metrics.table import (
    ALL_METRICS,
    ANSWER_METRICS,
    METRICS,
    PERCEPTUAL_METRICS,
    REMOVAL_METRICS,
    REVISIONS,
    Metric,
    measure,
    measure_answer,
    measure_removal,
)
from lab.metrics.texture import texture_mismatch

__all__ = [
    "ALL_METRICS",
    "ANSWER_METRICS",
    "METRICS",
    "PERCEPTUAL",
    "PERCEPTUAL_METRICS",
    "RATIO_BINS",
    "REMOVAL_METRICS",
    "REVISIONS",
    "Metric",
    "PerceptualMeasures",
    "SeamSteps",
    "hole_ratio",
    "measure",
    "measure_answer",
    "measure_removal",
    "ratio_bin",
    "rim_step",
    "seam_steps",
    "texture_mismatch",
]
