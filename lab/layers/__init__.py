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
    "Initialization",
    "PartialConvolution",
    "SelfAttention",
    "across_fill",
    "directional_fill",
    "even_fill",
    "inward_fill",
    "smooth_fills",
]
