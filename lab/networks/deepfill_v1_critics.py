"""The critics of DeepFillv1: the whole photo and a crop round the hole, scored on their own.

Jiahui Yu et al., "Generative Image Inpainting with Contextual Attention" (CVPR 2018), section 3.2;
Ishaan Gulrajani et al., "Improved Training of Wasserstein GANs" (NeurIPS 2017). Equal to those of
generative-inpainting-pytorch; MMagic's have ELU, and a LeakyReLU on the score itself.
"""

import re
from collections.abc import Mapping

from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput
from lab.imaging import LocalSide, crop_round_hole, local_side_of

_WIDTHS = (1, 2, 4, 4)


class DeepFillv1Critics(nn.Module):
    """Judges photos of one size, knowing where their hole is: by two scores without bounds.

    No normalization, so that each score depends on its photo alone, as a gradient penalty needs.

    Args:
        size: side of the images, in pixels; 256 as published.
        width: channels of the first layer; 64 as published. The last have four times.
        local_side: side of the crop round the hole; ``"half"`` of ``size`` as published.

    Raises:
        ValueError: images below 16 pixels, a width below 1, or a crop below 8 pixels or larger
            than the image.
    """

    def __init__(self, size: int = 256, width: int = 64, local_side: LocalSide = "half") -> None:
        super().__init__()
        if size < 16:
            raise ValueError(f"size must be at least 16, not {size} (256 as published)")
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width} (64 as published)")
        side = local_side_of(size, local_side)
        self.size = size
        self.width = width
        self.local_side = side
        self.global_critic = _Critic(size, width)
        self.local_critic = _Critic(side, width)

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, size, size)`` in [0, 1] with the hole ``mask``, 1 = hole.

        Returns:
            DiscriminatorOutput: the global and the local score, ``(B, 1)`` each; the features are
            those after every convolution of the global critic, then of the local one.

        Raises:
            ValueError: images of another size.
        """
        if image.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"images are {tuple(image.shape[-2:])}, but these critics were built for "
                f"{self.size} pixels a side: give them size={image.shape[-1]}, or cut square images"
            )
        centred = 2.0 * image - 1.0
        whole = self.global_critic(centred)
        close = self.local_critic(crop_round_hole(centred, mask, self.local_side))
        return DiscriminatorOutput(
            logits=(whole[-1].float(), close[-1].float()), features=(*whole[:-1], *close[:-1])
        )


class _Critic(nn.Module):
    """Scores images of ``side`` pixels."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for factor in _WIDTHS:
            convolution = nn.Conv2d(channels, width * factor, 5, stride=2, padding=2)
            layers.append(nn.Sequential(convolution, nn.LeakyReLU(0.2)))
            channels = width * factor
            side = (side + 1) // 2
        self.layers = nn.Sequential(*layers)
        self.score = nn.Linear(channels * side**2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Every layer's features for ``x (B, 3, side, side)`` in [-1, 1]; then the score."""
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return (*features, self.score(x.flatten(1)))


_PUBLISHED_NAME = re.compile(
    r"(?:module\.)?(?:dis_conv_module\.conv(?P<layer>[1-4])\.conv|linear)\.(?P<leaf>\w+)"
)
_PUBLISHED_CRITICS = {"globalD": "global_critic", "localD": "local_critic"}


def rename_published_deepfill_v1_critics(
    states: Mapping[str, Mapping[str, Tensor]],
) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Args:
        states: what the published ``dis_*.pt`` hold: the tensors of ``globalD`` and ``localD``.

    Raises:
        KeyError: a critic or a tensor that the published file does not have.
    """
    renamed: dict[str, Tensor] = {}
    for critic, state in states.items():
        if critic not in _PUBLISHED_CRITICS:
            raise KeyError(f"{critic!r} is none of the published critics, globalD and localD")
        for published, tensor in state.items():
            found = _PUBLISHED_NAME.fullmatch(published)
            if found is None:
                raise KeyError(f"{published!r} is no tensor of the published critics")
            layer = f"layers.{int(found['layer']) - 1}.0" if found["layer"] else "score"
            renamed[f"{_PUBLISHED_CRITICS[critic]}.{layer}.{found['leaf']}"] = tensor
    return renamed
