"""The judge of Global & Local: the whole photo and a crop round the hole give one logit.

Satoshi Iizuka, Edgar Simo-Serra, Hiroshi Ishikawa, "Globally and Locally Consistent Image
Completion" (ACM Transactions on Graphics, SIGGRAPH 2017), section 3.3, in the form of MMagic: the
two descriptions pass a ReLU before they are joined.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput
from lab.imaging import LocalSide, crop_round_hole, local_side_of

_WIDEST = 8


class GlobalLocalDiscriminator(nn.Module):
    """Judges photos of one size, knowing where their hole is.

    Each branch halves its image until about four pixels a side are left, and describes them by
    one vector; one linear layer judges both vectors joined.

    Args:
        size: side of the images, in pixels; 256 as published.
        width: channels of the first layer; 64 as published. The widest have eight times, a
            branch's description sixteen times.
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
        self.global_branch = _Branch(size, width)
        self.local_branch = _Branch(side, width)
        self.judge = _drawn(nn.Linear(2 * 16 * width, 1))

    def forward(self, image: Tensor, mask: Tensor) -> DiscriminatorOutput:
        """Judge ``image (B, 3, size, size)`` in [0, 1] with the hole ``mask``, 1 = hole.

        Returns:
            DiscriminatorOutput: one logit an image, ``(B, 1)``; the features are those after
            every layer of the global branch, then of the local one.

        Raises:
            ValueError: images of another size.
        """
        if image.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"images are {tuple(image.shape[-2:])}, but this discriminator was built for "
                f"{self.size} pixels a side: give it size={image.shape[-1]}, or cut square images"
            )
        centred = 2.0 * image - 1.0
        whole = self.global_branch(centred)
        close = self.local_branch(crop_round_hole(centred, mask, self.local_side))
        logit = self.judge(torch.cat([whole[-1], close[-1]], dim=1))
        return DiscriminatorOutput(logits=(logit.float(),), features=(*whole, *close))


class _Branch(nn.Module):
    """Describes images of ``side`` pixels by ``16 * width`` numbers each."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        halvings = side.bit_length() - 3
        layers: list[nn.Module] = []
        channels = 3
        for level in range(halvings):
            wider = width * min(2**level, _WIDEST)
            convolution = nn.Conv2d(channels, wider, 5, stride=2, padding=2, bias=False)
            # As the published code initializes it.
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
            layers.append(nn.Sequential(convolution, nn.BatchNorm2d(wider), nn.ReLU(inplace=True)))
            channels = wider
            side = (side + 1) // 2
        self.layers = nn.Sequential(*layers)
        self.description = _drawn(nn.Linear(channels * side**2, 16 * width))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Every layer's features for ``x (B, 3, side, side)``; the description comes last."""
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return (*features, torch.relu(self.description(x.flatten(1))))


def _drawn(linear: nn.Linear) -> nn.Linear:
    # As the published code initializes it.
    nn.init.normal_(linear.weight, std=0.02)
    nn.init.zeros_(linear.bias)
    return linear


_PUBLISHED_NAME = re.compile(
    r"(?:module\.)?(?:disc\.)?"
    r"(?:(?P<branch>global|local)_disc\.(?:conv(?P<layer>\d)\.(?P<part>conv|bn)|fc\.linear)|fc)"
    r"\.(?P<leaf>\w+)"
)


def rename_published_global_local_discriminator(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Of a file of the whole model, whose names begin with ``disc.`` and ``generator.``, the
    generator's are left out.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        if published.removeprefix("module.").startswith("generator."):
            continue
        found = _PUBLISHED_NAME.fullmatch(published)
        if found is None:
            raise KeyError(f"{published!r} is no tensor of the published discriminators")
        layer = "judge"
        if found["branch"]:
            layer = f"{found['branch']}_branch.description"
        if found["layer"]:
            part = {"conv": 0, "bn": 1}[found["part"]]
            layer = f"{found['branch']}_branch.layers.{int(found['layer']) - 1}.{part}"
        renamed[f"{layer}.{found['leaf']}"] = tensor
    return renamed
