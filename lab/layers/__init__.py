"""Building blocks of networks."""

from lab.layers.coordinate_attention import CoordinateAttention
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm
from lab.layers.gated_convolution import Gate, GatedConvolution, Initialization
from lab.layers.hole_view import HoleView
from lab.layers.normal_initialization import draw_normal_weights
from lab.layers.partial_convolution import PartialConvolution
from lab.layers.self_attention import AttentionScale, CoordinatePlace, SelfAttention
from lab.layers.shift_connection import MaskReduction, ShiftConnection
from lab.layers.unet import UNetDoubling, UNetHalving, unet_widths

__all__ = [
    "AttentionScale",
    "CoordinateAttention",
    "CoordinatePlace",
    "GCTNorm",
    "Gate",
    "GatedChannelTransformation",
    "GatedConvolution",
    "HoleView",
    "Initialization",
    "MaskReduction",
    "PartialConvolution",
    "SelfAttention",
    "ShiftConnection",
    "UNetDoubling",
    "UNetHalving",
    "draw_normal_weights",
    "unet_widths",
]
