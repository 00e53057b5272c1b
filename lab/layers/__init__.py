"""Building blocks of networks."""

from lab.layers.clipping import clip
from lab.layers.coordinate_attention import CoordinateAttention
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm
from lab.layers.gated_convolution import Gate, GatedConvolution, Initialization
from lab.layers.padding import pad_to_multiple, reflect
from lab.layers.partial_convolution import PartialConvolution
from lab.layers.patch_attention import PatchAttention, PatchAttentionForm
from lab.layers.self_attention import AttentionScale, CoordinatePlace, SelfAttention

__all__ = [
    "AttentionScale",
    "CoordinateAttention",
    "CoordinatePlace",
    "GCTNorm",
    "Gate",
    "GatedChannelTransformation",
    "GatedConvolution",
    "Initialization",
    "PartialConvolution",
    "PatchAttention",
    "PatchAttentionForm",
    "SelfAttention",
    "clip",
    "pad_to_multiple",
    "reflect",
]
