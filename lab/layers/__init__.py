"""Building blocks of networks."""

from lab.layers.contextual_attention import ContextualAttention
from lab.layers.coordinate_attention import CoordinateAttention
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm
from lab.layers.gated_convolution import Activation, Gate, GatedConvolution, Initialization
from lab.layers.partial_convolution import PartialConvolution
from lab.layers.residual_block import ResidualBlock
from lab.layers.self_attention import AttentionScale, CoordinatePlace, SelfAttention

__all__ = [
    "Activation",
    "AttentionScale",
    "ContextualAttention",
    "CoordinateAttention",
    "CoordinatePlace",
    "GCTNorm",
    "Gate",
    "GatedChannelTransformation",
    "GatedConvolution",
    "Initialization",
    "PartialConvolution",
    "ResidualBlock",
    "SelfAttention",
]
