"""Building blocks of networks."""

from lab.layers.bidirectional_attention import AsymmetricGaussianGate, updated_mask
from lab.layers.coordinate_attention import CoordinateAttention
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm
from lab.layers.gated_convolution import Gate, GatedConvolution, Initialization
from lab.layers.partial_convolution import PartialConvolution, PartialScaling
from lab.layers.self_attention import AttentionScale, CoordinatePlace, SelfAttention

__all__ = [
    "AsymmetricGaussianGate",
    "AttentionScale",
    "CoordinateAttention",
    "CoordinatePlace",
    "GCTNorm",
    "Gate",
    "GatedChannelTransformation",
    "GatedConvolution",
    "Initialization",
    "PartialConvolution",
    "PartialScaling",
    "SelfAttention",
    "updated_mask",
]
