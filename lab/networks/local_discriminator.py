"""A judge of what lies round the hole, after the local critics of Global & Local and DeepFillv1.

Satoshi Iizuka et al., "Globally and Locally Consistent Image Completion" (SIGGRAPH 2017), section
3.3, with the patches of `PatchDiscriminator` in place of one verdict a crop.
"""

from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput
from lab.imaging import LocalSide, crop_round_hole, local_side_of
from lab.networks.patch_discriminator import PatchDiscriminator


class LocalDiscriminator(nn.Module):
    """`PatchDiscriminator` on a square cut round the hole.

    Args:
        size: side of the images, in pixels.
        width: channels of the first layer.
        local_side: side of the square, in pixels; ``"half"`` of ``size`` as in the papers.

    Raises:
        ValueError: a square that is larger than the images, or too small to judge.
    """

    def __init__(self, size: int = 256, width: int = 64, local_side: LocalSide = "half") -> None:
        super().__init__()
        side = local_side_of(size, local_side)
        self.local_side = side
        self.judge = PatchDiscriminator(side, width)

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1] whose hole is ``mask (B, 1, H, W)``, 1 = hole.

        Returns:
            DiscriminatorOutput: logits of one scale, and the features after every layer.
        """
        crops = (crop_round_hole(planes, mask, self.local_side) for planes in (image, mask))
        answer: DiscriminatorOutput = self.judge(*crops)
        return answer
