"""Judges at several sizes: the same discriminator on the image, its half, its quarter.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"
(pix2pixHD, CVPR 2018), section 3.2: the coarsest sees how the whole hangs together, the finest
texture. Each answers logits of its own, which weigh alike however many patches they have.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput
from lab.networks.patch_discriminator import PatchDiscriminator


class MultiscaleDiscriminator(nn.Module):
    """`PatchDiscriminator` at ``scales`` sizes, each half of the one before.

    Args:
        size: side of the images, in pixels.
        width: channels of each one's first layer.
        scales: how many sizes; 3 as published.

    Raises:
        ValueError: no scale, or images too small for so many.
    """

    def __init__(self, size: int = 256, width: int = 64, scales: int = 3) -> None:
        super().__init__()
        if scales < 1 or size >> (scales - 1) < 8:
            raise ValueError(
                f"scales must be at least 1 and leave 8 pixels a side, which {scales} do not in "
                f"images of {size}"
            )
        self.scales = nn.ModuleList(
            PatchDiscriminator(size >> scale, width) for scale in range(scales)
        )

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1] whose hole is ``mask (B, 1, H, W)``, 1 = hole.

        Returns:
            DiscriminatorOutput: a tensor of logits a scale, the finest first; features of all.
        """
        logits: list[Tensor] = []
        features: list[Tensor] = []
        for judge in self.scales:
            answer: DiscriminatorOutput = judge(image, mask)
            logits += answer.logits
            features += answer.features
            # A pixel that is partly hole is hole.
            image, mask = F.avg_pool2d(image, 2), F.max_pool2d(mask, 2)
        return DiscriminatorOutput(tuple(logits), tuple(features))
