"""Metrics: how far a completed photo is from the truth, in the hole, at its rim and as a whole."""

from lab.metrics.regions import RATIO_BINS, hole_ratio, ratio_bin
from lab.metrics.rim_step import rim_step
from lab.metrics.seams import SeamSteps, seam_steps
from lab.metrics.table import ANSWER_METRICS, METRICS, Metric, measure, measure_answer
from lab.metrics.texture import texture_mismatch

__all__ = [
    "ANSWER_METRICS",
    "METRICS",
    "RATIO_BINS",
    "Metric",
    "SeamSteps",
    "hole_ratio",
    "measure",
    "measure_answer",
    "ratio_bin",
    "rim_step",
    "seam_steps",
    "texture_mismatch",
]
