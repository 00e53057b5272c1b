"""Parts of a real photo, which have edges of all kinds."""

import torch
from skimage import data

from lab.imaging import from_uint8


def photo(height, width, number=0):
    """A part of the astronaut ``(3, height, width)``, every second pixel; another for a number."""
    top = 10 + 60 * number
    return from_uint8(data.astronaut()[::2, ::2])[
        :, top : top + height, 60 : 60 + width
    ].contiguous()


def ramp(samples, height, width):
    """``(samples, 1, height, width)`` in [0, 1]: another value at every pixel of every sample."""
    values = torch.arange(height * width).view(1, 1, height, width) / (height * width)
    return 0.9 * values + 0.03 * torch.arange(samples).view(-1, 1, 1, 1)
