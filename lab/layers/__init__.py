"""Building blocks of networks."""

from lab.layers.gated_convolution import GatedConvolution
from lab.layers.self_attention import SelfAttention

__all__ = ["GatedConvolution", "SelfAttention"]
