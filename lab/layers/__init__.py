"""Building blocks of networks."""

from lab.layers.binomial_resampling import double, halve
from lab.layers.coordinate_attention import CoordinateAttention
from lab.layers.fast_fourier_convolution import FastFourierConvolution
from lab.layers.gated_channel_transformation import GatedChannelTransformation, GCTNorm
from lab.layers.gated_convolution import Gate, GatedConvolution, Initialization
from lab.layers.partial_convolution import PartialConvolution
from lab.layers.self_attention import AttentionScale, CoordinatePlace, SelfAttention
from lab.layers.separable_convolution import (
    BranchedConvolution,
    SeparableConvolution,
    scaled_leaky_relu,
    unit_convolution,
)

__all__ = [
    "AttentionScale",
    "BranchedConvolution",
    "CoordinateAttention",
    "CoordinatePlace",
    "FastFourierConvolution",
    "GCTNorm",
    "Gate",
    "GatedChannelTransformation",
    "GatedConvolution",
    "Initialization",
    "PartialConvolution",
    "SelfAttention",
    "SeparableConvolution",
    "double",
    "halve",
    "scaled_leaky_relu",
    "unit_convolution",
]
