"""Sums over the windows of a map."""

import torch
import torch.nn.functional as F
from torch import Tensor


def window_sums(planes: Tensor, side: int, stride: int, padding: int) -> Tensor:
    """Add up ``planes (B, C, H, W)`` over squares of ``side``, each channel by itself.

    Args:
        planes: zeros lie beyond their border.
        side: of the squares.
        stride: from one square to the next.
        padding: rows and columns of zeros at each border, at most half of ``side``.
    """
    if torch.compiler.is_exporting():
        # What exports pooling divides by the size of the window, whatever it is told.
        ones = planes.new_ones(planes.shape[1], 1, side, side)
        return F.conv2d(planes, ones, stride=stride, padding=padding, groups=planes.shape[1])
    return F.avg_pool2d(planes, side, stride, padding, divisor_override=1)
