"""Choosing between results."""

from lab.selection.paired import PairedDifference, paired_difference

__all__ = ["PairedDifference", "paired_difference"]
