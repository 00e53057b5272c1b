"""Building blocks of networks."""

from lab.layers.bidirectional_attention import AsymmetricGaussianGate, updated_mask
from lab.layers.binomial_resampling import double, halve
from lab.layers.clipping import clip
from lab.layers.contextual_attention import ContextualAttention
from lab.layers.coordinate_attention import CoordinateAttention
from lab.layers.fast_fourier_convolution import FastFourierConvolution
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm
from lab.layers.gated_convolution import Activation, Gate, GatedConvolution, Initialization
from lab.layers.hole_view import HoleView
from lab.layers.normal_initialization import draw_normal_weights
from lab.layers.padding import extend, pad_to_multiple, reflect
from lab.layers.partial_convolution import PartialConvolution, PartialScaling
from lab.layers.patch_attention import PatchAttention, PatchAttentionForm
from lab.layers.residual_block import ResidualBlock
from lab.layers.self_attention import AttentionScale, CoordinatePlace, SelfAttention
from lab.layers.separable_convolution import (
    BranchedConvolution,
    SeparableConvolution,
    scaled_leaky_relu,
    unit_convolution,
)
from lab.layers.shared_batch_normalization import SharedBatchNorm2d, share_batch_normalization
from lab.layers.shift_connection import MaskReduction, ShiftConnection
from lab.layers.sums import window_sums
from lab.layers.unet import UNetDoubling, UNetHalving, unet_widths

__all__ = [
    "Activation",
    "AsymmetricGaussianGate",
    "AttentionScale",
    "BranchedConvolution",
    "ContextualAttention",
    "CoordinateAttention",
    "CoordinatePlace",
    "FastFourierConvolution",
    "GCTNorm",
    "Gate",
    "GatedChannelTransformation",
    "GatedConvolution",
    "HoleView",
    "Initialization",
    "MaskReduction",
    "PartialConvolution",
    "PartialScaling",
    "PatchAttention",
    "PatchAttentionForm",
    "ResidualBlock",
    "SelfAttention",
    "SeparableConvolution",
    "SharedBatchNorm2d",
    "ShiftConnection",
    "UNetDoubling",
    "UNetHalving",
    "clip",
    "double",
    "draw_normal_weights",
    "extend",
    "halve",
    "pad_to_multiple",
    "reflect",
    "scaled_leaky_relu",
    "share_batch_normalization",
    "unet_widths",
    "unit_convolution",
    "updated_mask",
    "window_sums",
]
