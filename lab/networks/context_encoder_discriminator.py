"""The Context Encoder's discriminator: one logit for the square that the network answered.

Deepak Pathak et al. (CVPR 2016), section 3.2, in the form of the PyTorch code by Boyuan Jiang. It
is shown that square alone, without what surrounds it. Differs from the published code in form
only: it looks through the network's own window (`lab.networks.context_encoder`), so that a hole
may lie anywhere, and answers logits, where the published one ends in a sigmoid.
"""

import re
from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput
from lab.layers import draw_normal_weights
from lab.networks.context_encoder import context_encoder_view

_LEAST_SIZE, _LARGEST_VIEW = 32, 128


class ContextEncoderDiscriminator(nn.Module):
    """Judges the middle half of the window round the hole.

    It is normalized over the batch: real and completed photos are batches of their own.

    Args:
        size: side of the images, in pixels, at least 32. The window has the largest power of two
            that fits, at most the published 128: the ``view_size`` that a network should have.
        width: channels of the first layer; 64 as published. The deepest have eight times.

    Raises:
        ValueError: smaller images, or a width below 1.
    """

    def __init__(self, size: int = 128, width: int = 64) -> None:
        super().__init__()
        if size < _LEAST_SIZE:
            raise ValueError(
                f"images are {size} pixels a side, but this discriminator needs at least "
                f"{_LEAST_SIZE}: give a larger data.size"
            )
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width} (64 as published)")
        self.view_size = min(_LARGEST_VIEW, 1 << (size.bit_length() - 1))
        # From half the window down to 4 pixels a side.
        widths = [width << number for number in range(self.view_size.bit_length() - 4)]
        layers: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2))
        ]
        for before, after in pairwise(widths):
            convolution = nn.Conv2d(before, after, 4, 2, 1, bias=False)
            layers.append(nn.Sequential(convolution, nn.BatchNorm2d(after), nn.LeakyReLU(0.2)))
        self.layers = nn.ModuleList(layers)
        self.output = nn.Conv2d(widths[-1], 1, 4, bias=False)
        draw_normal_weights(self)

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1] whose hole is ``mask (B, 1, H, W)``, 1 = hole.

        Returns:
            DiscriminatorOutput: logits of one scale, ``(B, 1)``, and the features after every
            layer but the last.
        """
        x = 2.0 * context_encoder_view(mask, self.view_size).centre.look(image) - 1.0
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        logits = self.output(x).float().flatten(1)
        return DiscriminatorOutput(logits=(logits,), features=tuple(features))


def rename_published_context_encoder_discriminator(
    state: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Batches that old checkpoints do not count are given a count of 0, which nothing reads.

    Raises:
        KeyError: a tensor name that the published discriminator does not have.
    """
    layers = {"0": "layers.0.0", "11": "output"}
    for layer, number in enumerate((2, 5, 8), start=1):
        layers |= {str(number): f"layers.{layer}.0", str(number + 1): f"layers.{layer}.1"}
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        found = re.fullmatch(r"(?:module\.)?main\.(\d+)\.(\w+)", published)
        if not found or found[1] not in layers:
            raise KeyError(f"{published!r} is no tensor of the published discriminator")
        renamed[f"{layers[found[1]]}.{found[2]}"] = tensor
        if found[2] == "running_mean":
            renamed.setdefault(f"{layers[found[1]]}.num_batches_tracked", torch.tensor(0))
    return renamed
