"""LBAM's discriminator: two columns, of the known pixels and of the hole, judged together.

Chaohao Xie et al., "Image Inpainting with Learnable Bidirectional Attention Maps" (ICCV 2019);
equal to the published code (https://github.com/Vious/LBAM_Pytorch, ``DiscriminatorDoubleColumn``)
up to its last sigmoid, which is left to the loss: a Wasserstein critic needs none.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput
from lab.networks.patch_discriminator import Depth, halvings_of, refuse_smaller

_PUBLISHED_WIDTHS = (1, 2, 4, 8, 8, 8)
_FUSION = 4  # the side of the last kernel


class LBAMDiscriminator(nn.Module):
    """Judges an image by its known part and by its hole.

    It has batch normalization: show it true and completed images apart.

    Args:
        size: side of the images, in pixels.
        width: channels of the first layer of each column; 64 as published.
        depth: convolutions of a column, each halving the image; what is left must be at least four
            pixels a side. "auto" takes as many as leave that, and at most 6: as published for
            256x256, 4 for 64x64.

    Raises:
        ValueError: a depth outside 1 to 6 or too large for the images, or a width below 8.
    """

    def __init__(self, size: int = 256, width: int = 64, depth: Depth = "auto") -> None:
        super().__init__()
        halvings = halvings_of(size, depth, len(_PUBLISHED_WIDTHS))
        if width < 8:
            raise ValueError(f"width must be at least 8, not {width} (64 as published)")
        self.smallest_side = _FUSION * 2**halvings
        self.depth = halvings
        refuse_smaller(size, self.smallest_side, self.depth)
        widths = [width * factor for factor in _PUBLISHED_WIDTHS[:halvings]]
        self.known_column = _column(widths)
        self.hole_column = _column(widths)
        self.fusion = nn.Conv2d(2 * widths[-1], 1, _FUSION)

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1] whose hole is ``mask (B, 1, H, W)``, 1 = hole.

        Returns:
            DiscriminatorOutput: logits of one scale, one for an image of the size that it is made
            for; and the features after every activation, first of the known column.

        Raises:
            ValueError: an image too small for the depth.
        """
        refuse_smaller(min(image.shape[-2:]), self.smallest_side, self.depth)
        features: list[Tensor] = []
        last = []
        for column, seen in (
            (self.known_column, image * (1.0 - mask)),
            (self.hole_column, image * mask),
        ):
            x = seen
            for layer in column:
                x = layer(x)
                if isinstance(layer, nn.LeakyReLU):
                    features.append(x)
            last.append(x)
        logits = self.fusion(torch.cat(last, dim=1)).float().flatten(1)
        return DiscriminatorOutput(logits=(logits,), features=tuple(features))


def _column(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number, (finer, coarser) in enumerate(pairwise([3, *widths])):
        layers.append(nn.Conv2d(finer, coarser, 4, stride=2, padding=1))
        if number:
            layers.append(nn.BatchNorm2d(coarser))
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


_PUBLISHED_PARTS = {
    "globalConv": "known_column",
    "localConv": "hole_column",
    "fusionLayer.0": "fusion",
}


def rename_published_lbam_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function."""
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        name = published.removeprefix("module.")
        for part, ours in _PUBLISHED_PARTS.items():
            if name.startswith(f"{part}."):
                name = ours + name.removeprefix(part)
        renamed[name] = tensor
    return renamed
