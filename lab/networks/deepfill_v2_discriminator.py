"""DeepFillv2's SN-PatchGAN: spectral norm, one logit a patch and channel.

Jiahui Yu et al., "Free-Form Image Inpainting with Gated Convolution" (ICCV 2019), section 3.2.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lab.contracts import DiscriminatorOutput, Guides
from lab.networks.guide_reading import read_guide

_WIDTHS = (1, 2, 4, 4, 4, 4)


class DeepFillv2Discriminator(nn.Module):
    """Judges an image, knowing where its hole is and, if asked, what was sketched in it.

    Six convolutions of 5x5 halve the image, each followed by LeakyReLU, the last one too; every
    value that is left is a logit.

    Args:
        size: side of the images, in pixels. Any will do: halves are rounded up.
        width: channels of the first layer; 64 as published.
        sketch: whether it sees the guide ``sketch`` too, as the paper's user-guided form does.

    Raises:
        ValueError: a size or a width below 1.
    """

    def __init__(self, size: int = 256, width: int = 64, sketch: bool = False) -> None:
        super().__init__()
        if size < 1 or width < 1:
            raise ValueError(
                f"size and width must be at least 1, not {size} and {width} (256 and 64 as "
                "published)"
            )
        self.sketch = sketch
        self.layers = nn.Sequential()
        channels = 5 if sketch else 4  # RGB, mask, sketch
        for factor in _WIDTHS:
            convolution = nn.Conv2d(channels, factor * width, 5, stride=2, padding=2)
            self.layers.append(nn.Sequential(spectral_norm(convolution), nn.LeakyReLU(0.2)))
            channels = factor * width

    def forward(
        self, image: Tensor, mask: Tensor, guides: Guides | None = None
    ) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1] whose hole is ``mask (B, 1, H, W)``, 1 = hole.

        Args:
            image: the judged one.
            mask: where its hole is.
            guides: with ``sketch=True``, ``sketch``: ``(B, 1, H, W)``, of which the hole is seen.

        Returns:
            DiscriminatorOutput: logits of one scale, and the features after every layer.

        Raises:
            ValueError: no sketch where one is seen, or one of another shape.
        """
        planes = [2.0 * image - 1.0, mask]
        if self.sketch:
            planes.append(torch.where(mask > 0.5, read_guide(guides, "sketch", mask), 0.0))
        x = torch.cat(planes, dim=1).contiguous(memory_format=torch.channels_last)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return DiscriminatorOutput(logits=(x.float().flatten(1),), features=tuple(features))


def rename_published_deepfill_v2_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of the port's discriminator into this module's own; a pure function.

    The port keeps weights that are divided by their singular value already, and only the left
    singular vector; the right one is the image of it.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        layer, _, leaf = published.removeprefix("module.").partition(".conv_sn.")
        ours = f"layers.{int(layer.removeprefix('conv')) - 1}.0"
        if leaf == "bias":
            renamed[f"{ours}.bias"] = tensor
        elif leaf == "weight":
            renamed[f"{ours}.parametrizations.weight.original"] = tensor
        else:
            left = tensor.flatten()
            weight = state[published.removesuffix("weight_u") + "weight"].flatten(1)
            renamed[f"{ours}.parametrizations.weight.0._u"] = left
            renamed[f"{ours}.parametrizations.weight.0._v"] = F.normalize(weight.T @ left, dim=0)
    return renamed
