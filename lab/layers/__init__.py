"""Building blocks of networks."""

from lab.layers.coordinate_attention import CoordinateAttention
from lab.layers.fills import (
    SMOOTH_FILLS,
    across_fill,
    directional_fill,
    even_fill,
    inward_fill,
    smooth_fills,
)
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm
from lab.layers.gated_convolution import Gate, GatedConvolution, Initialization
from lab.layers.hole_start import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers.partial_convolution import PartialConvolution
from lab.layers.self_attention import AttentionScale, CoordinatePlace, SelfAttention

__all__ = [
    "SMOOTH_FILLS",
    "AttentionScale",
    "CoordinateAttention",
    "CoordinatePlace",
    "GCTNorm",
    "Gate",
    "GatedChannelTransformation",
    "GatedConvolution",
    "HoleStart",
    "Initialization",
    "PartialConvolution",
    "SelfAttention",
    "across_fill",
    "check_hole_start",
    "directional_fill",
    "even_fill",
    "inward_fill",
    "show_hole_start",
    "smooth_fills",
    "start_at_zero",
]
