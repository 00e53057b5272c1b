"""Building blocks of networks."""

from lab.layers.bidirectional_attention import AsymmetricGaussianGate, updated_mask
from lab.layers.clipping import clip
from lab.layers.contextual_attention import ContextualAttention
from lab.layers.coordinate_attention import CoordinateAttention
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm
from lab.layers.gated_convolution import Activation, Gate, GatedConvolution, Initialization
from lab.layers.padding import pad_to_multiple, reflect
from lab.layers.partial_convolution import PartialConvolution, PartialScaling
from lab.layers.patch_attention import PatchAttention, PatchAttentionForm
from lab.layers.residual_block import ResidualBlock
from lab.layers.self_attention import AttentionScale, CoordinatePlace, SelfAttention

__all__ = [
    "Activation",
    "AsymmetricGaussianGate",
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
    "PartialScaling",
    "PatchAttention",
    "PatchAttentionForm",
    "ResidualBlock",
    "SelfAttention",
    "clip",
    "pad_to_multiple",
    "reflect",
    "updated_mask",
]
