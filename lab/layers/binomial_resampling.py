"""Halving and doubling of feature maps by the filter [1, 3, 3, 1], as StyleGAN's networks do.

Tero Karras et al., "Analyzing and Improving the Image Quality of StyleGAN" (CVPR 2020), after
Richard Zhang, "Making Convolutional Networks Shift-Invariant Again" (ICML 2019). Borders are zeros.
"""

import torch.nn.functional as F
from torch import Tensor

_FILTER = (1.0, 3.0, 3.0, 1.0)


def halve(x: Tensor) -> Tensor:
    """Smooth ``x (B, C, H, W)`` and take every other position: ``(B, C, H // 2, W // 2)``."""
    row = x.new_tensor(_FILTER) / sum(_FILTER)
    kernel = (row[:, None] * row).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1])


def double(x: Tensor) -> Tensor:
    """Set zeros between the positions of ``x (B, C, H, W)`` and smooth: ``(B, C, 2 H, 2 W)``."""
    # Inside, this filter is linear interpolation; a rim of zeros makes it so at the border too.
    doubled = F.interpolate(F.pad(x, (1, 1, 1, 1)), scale_factor=2, mode="bilinear")
    return doubled[..., 2:-2, 2:-2]
