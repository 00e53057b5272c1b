"""Metrics: how far a completed photo is from the truth, in the hole, at its rim and as a whole."""

from lab.metrics.ratios import RATIO_BINS, hole_ratio, ratio_bin
from lab.metrics.table import METRICS, Metric, measure

__all__ = ["METRICS", "RATIO_BINS", "Metric", "hole_ratio", "measure", "ratio_bin"]
