"""EdgeConnect's discriminators: a PatchGAN with spectral norm, of images or of drawn edges.

Kamyar Nazeri et al. (ICCV workshops 2019), section 3; Phillip Isola et al., "Image-to-Image
Translation with Conditional Adversarial Networks" (CVPR 2017).
"""

import re
from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lab.checks import unknown_name_message
from lab.contracts import DiscriminatorOutput, Guides
from lab.networks.edge_connect import to_gray
from lab.networks.guide_reading import read_guide

Judged = Literal["image", "edges"]

# Three halvings and two convolutions that each take a pixel away leave one logit of this.
_SMALLEST = 24


class EdgeConnectDiscriminator(nn.Module):
    """Judges 70x70 patches; it does not know where the hole is.

    Args:
        size: side of the images, in pixels, at least 24.
        width: channels of the first layer; 64 as published.
        judged: ``"image"``; or ``"edges"``, as drawings of the gray image.

    Raises:
        ValueError: images that are too small, a width below 1, or something else to judge.
    """

    def __init__(self, size: int = 256, width: int = 64, judged: Judged = "image") -> None:
        super().__init__()
        if judged not in get_args(Judged):
            raise ValueError(unknown_name_message("thing to judge", judged, get_args(Judged)))
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width} (64 as published)")
        _refuse_smaller(size)
        self.judged = judged
        channels = (3 if judged == "image" else 2, *(width * factor for factor in (1, 2, 4, 8)), 1)
        self.layers = nn.Sequential()
        for number in range(5):
            convolution = nn.Conv2d(
                channels[number],
                channels[number + 1],
                4,
                stride=2 if number < 3 else 1,
                padding=1,
                bias=False,
            )
            nn.init.normal_(convolution.weight, 0.0, 0.02)
            activation = nn.LeakyReLU(0.2) if number < 4 else nn.Identity()
            self.layers.append(nn.Sequential(spectral_norm(convolution), activation))

    def forward(
        self, image: Tensor, mask: Tensor, guides: Guides | None = None
    ) -> DiscriminatorOutput:
        """Judge ``image (B, 3, H, W)`` in [0, 1], or edges as edges of it.

        Args:
            image: the judged one; where edges are judged, the whole photo, of which gray is seen.
            mask: ``(B, 1, H, W)``, which is not read.
            guides: where edges are judged, ``edges``: ``(B, 1, H, W)`` in [0, 1], drawn ones or
                those of the photo.

        Returns:
            DiscriminatorOutput: logits of one scale, and the features after every layer. The
            published scores are their sigmoids.

        Raises:
            ValueError: an image that is too small; no edges where they are judged.
        """
        _refuse_smaller(min(image.shape[-2:]))
        seen = image
        if self.judged == "edges":
            seen = torch.cat([to_gray(image), read_guide(guides, "edges", mask)], dim=1)
        x = seen.contiguous(memory_format=torch.channels_last)
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return DiscriminatorOutput(logits=(x.float().flatten(1),), features=tuple(features))


class EdgeDiscriminator(EdgeConnectDiscriminator):
    """EdgeConnect's judge of edges: whether they could be those of the gray image.

    Args:
        size: side of the images, in pixels, at least 24.
        width: channels of the first layer; 64 as published.

    Raises:
        ValueError: images that are too small, or a width below 1.
    """

    def __init__(self, size: int = 256, width: int = 64) -> None:
        super().__init__(size, width, judged="edges")


def _refuse_smaller(side: int) -> None:
    if side < _SMALLEST:
        raise ValueError(
            f"images are {side} pixels a side, but EdgeConnect's discriminator needs at least "
            f"{_SMALLEST}: give a larger data.size"
        )


def rename_published_edge_connect_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    The published network has its first layer under two names, of which it loads ``features`` last.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        name = published.removeprefix("module.")
        if name.startswith("conv1.") and published.replace("conv1.", "features.") in state:
            continue
        name = name.replace("features.", "layers.0.").replace("conv1.", "layers.0.")
        name = re.sub(r"^conv(\d)", lambda found: f"layers.{int(found[1]) - 1}", name)
        name = name.replace("weight_orig", "parametrizations.weight.original")
        renamed[re.sub(r"weight_([uv])$", r"parametrizations.weight.0._\1", name)] = tensor
    return renamed
