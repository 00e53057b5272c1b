"""FillSelector: chooses pixel by pixel among fills of the hole, and may correct their mixture.

A network of our own, small enough to train in minutes. What diffusion can tell, and what patches of
the photo can, is there before the first step (`lab.fills`, without parameters); what is left to
learn is which way structure goes through the hole, where a copy is to be trusted, and what neither
has. Most layers work at a part of the image's size, on blocks of pixels laid into channels, after
Wenzhe Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
CNN" (CVPR 2016); but what they answer is enlarged by interpolation and convolutions, since laying
channels back into blocks leaves their grid in the photo once an adversarial loss asks for texture
(Augustus Odena et al., "Deconvolution and Checkerboard Artifacts", Distill 2016).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import SMOOTH_FILLS, patch_match_fill, smooth_fills, start_at_zero
from lab.layers import pad_to_multiple
from lab.networks.registry import register

# The mixture before training is nearly the best fill by itself, and a little of the others.
_FIRST, _FIRST_SHARE = "across", 0.9
# Of one that only chooses: the best smooth fill and the best copy, for what has a share of a
# hundredth is hardly moved by any loss.
_FIRST_OF_TWO = 0.45
# Fills differ by little; the layers should see it.
_CONTRAST = 4.0
_LEAST_WIDTH = 16


@dataclass(frozen=True)
class Choice:
    """What was chosen at each pixel.

    Attributes:
        fills: what is chosen among, ``(B, fills, 3, H, W)`` in [-1, 1].
        shares: of each fill, ``(B, fills, H, W)``, of the sum 1.
        correction: what is added to the mixture, ``(B, 3, H, W)``; None of one that only chooses.
    """

    fills: Tensor
    shares: Tensor
    correction: Tensor | None

    @property
    def mixture(self) -> Tensor:
        """The fills by their shares, ``(B, 3, H, W)`` in [-1, 1]."""
        return (self.shares[:, :, None] * self.fills).sum(dim=1)


class FillSelector(nn.Module):
    """``(image, mask) -> Stages`` of one stage, the known pixels as they are.

    Args:
        width: channels of every layer.
        dilations: of the residual blocks, one each.
        shrink: by how much most layers' planes are smaller than the image, to each side: a power
            of 2.
        patch_match: choose among PatchMatch's fill, too. It takes several times as long as the
            network, but only once for a sample that comes again (`lab.fills.patch_match_fill`).
        corrects: add to the mixture what no fill has. In minutes of training that is nearly all
            that is learned, and where it is wrong it leaves stains of colour. A network that only
            chooses has normalized features, begins at a mixture of two fills, and leaves no colour
            in the hole beyond those that its fills have there.

    Raises:
        ValueError: an argument below 1, no block, or a shrink that is no power of 2.
    """

    def __init__(
        self,
        width: int = 64,
        dilations: Sequence[int] = (1, 2, 4, 2, 1),
        shrink: int = 4,
        patch_match: bool = True,
        corrects: bool = True,
    ) -> None:
        super().__init__()
        if width < 1 or not dilations or min(dilations) < 1:
            raise ValueError(
                f"width ({width}) and every one of the dilations ({list(dilations)}) must be at "
                "least 1, and there must be one"
            )
        if shrink < 1 or shrink.bit_count() != 1:
            raise ValueError(f"shrink must be a power of 2, not {shrink}")
        self.width = width
        self.dilations = tuple(dilations)
        self.shrink = shrink
        self.patch_match = patch_match
        self.corrects = corrects
        self.fills = (*SMOOTH_FILLS, "patch-match") if patch_match else SMOOTH_FILLS
        first = {_FIRST: _FIRST_SHARE}
        if patch_match and not corrects:
            first = {_FIRST: _FIRST_OF_TWO, "patch-match": _FIRST_OF_TWO}
        rest = (1.0 - sum(first.values())) / (len(self.fills) - len(first))
        shares = [first.get(fill, rest) for fill in self.fills]
        logits = torch.tensor(shares).log()[:, None, None]
        self.first_logits: Tensor
        self.register_buffer("first_logits", logits, persistent=False)
        planes = 3 * len(self.fills) + 1
        self.entry = nn.Conv2d(planes * shrink * shrink, width, 1)
        if not corrects:
            _drop_bias(self.entry)
        self.blocks = nn.Sequential(
            *(_ResidualBlock(width, d, normalized=not corrects) for d in self.dilations)
        )
        if not corrects:
            self.blocks.append(nn.Sequential(_InstanceNorm(width), nn.SiLU()))
        self.choice = nn.Conv2d(width, len(self.fills), 1)
        start_at_zero(self.choice)
        if corrects:
            # Half of the channels at twice the size, and so on up to the image's.
            widths = [width]
            while 2 ** (len(widths) - 1) < shrink:
                widths.append(max(_LEAST_WIDTH, widths[-1] // 2))
            self.enlarging = nn.ModuleList(
                nn.Conv2d(one, other, 3, padding=1) for one, other in pairwise(widths)
            )
            self.drawing = nn.Conv2d(widths[-1] + planes, widths[-1], 3, padding=1)
            self.correction = nn.Conv2d(widths[-1], 3, 3, padding=1)
            start_at_zero(self.correction)

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of an objective reaches last."""
        return self.correction if self.corrects else self.choice

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        """Answer with a whole image.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.

        Returns:
            Stages: one image, float32 ``(B, 3, H, W)`` in [0, 1].
        """
        choice = self.choose(image, mask)
        mixed = choice.mixture
        if choice.correction is not None:
            mixed = mixed + mask * choice.correction
        return Stages(images=((mixed.clamp(-1.0, 1.0) + 1.0) / 2.0,))

    def choose(self, image: Tensor, mask: Tensor) -> Choice:
        """What the answer is made of, for whoever wants to know; takes what `forward` takes."""
        height, width = image.shape[-2:]
        fills = self._fills(image, mask > 0.5)
        differences = _CONTRAST * (fills[:, 1:] - fills[:, :1]).flatten(1, 2)
        planes = torch.cat((fills[:, 0], differences, mask), dim=1)
        planes = pad_to_multiple(planes, self.shrink)
        blocks = F.pixel_unshuffle(planes, self.shrink)
        blocks = blocks.contiguous(memory_format=torch.channels_last)
        features = self.blocks(self.entry(blocks))
        logits = F.interpolate(self.choice(features), planes.shape[-2:], mode="bilinear")
        shares = (self.first_logits + logits[..., :height, :width].float()).softmax(dim=1)
        correction = None
        if self.corrects:
            correction = self._correction(features, planes)[..., :height, :width].float()
        return Choice(fills, shares, correction)

    def _correction(self, features: Tensor, planes: Tensor) -> Tensor:
        """What is added to the mixture, ``(B, 3, H, W)`` of the padded planes' size."""
        for enlarge in self.enlarging:
            features = F.interpolate(features, scale_factor=2.0, mode="bilinear")
            features = F.silu(enlarge(features))
        features = F.silu(self.drawing(torch.cat((features, planes), dim=1)))
        correction: Tensor = self.correction(features)
        return correction

    def _fills(self, image: Tensor, hole: Tensor) -> Tensor:
        """All that is chosen among, ``(B, fills, 3, H, W)`` in [-1, 1]."""
        fills = smooth_fills(2.0 * image - 1.0, hole)
        if not self.patch_match:
            return fills
        copied = 2.0 * patch_match_fill(image, hole) - 1.0
        return torch.cat((fills, copied[:, None]), dim=1)


class _ResidualBlock(nn.Module):
    """Two convolutions beside the identity, which it is before training."""

    def __init__(self, width: int, dilation: int, normalized: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.before_first = _InstanceNorm(width) if normalized else nn.Identity()
        self.before_second = _InstanceNorm(width) if normalized else nn.Identity()
        nn.init.kaiming_normal_(self.first.weight)
        start_at_zero(self.second)
        if normalized:
            _drop_bias(self.first)
            _drop_bias(self.second)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.first(F.silu(self.before_first(x)))
        changed: Tensor = x + self.second(F.silu(self.before_second(inner)))
        return changed


def _drop_bias(layer: nn.Conv2d) -> None:
    """Instance norm, which everything passes before it counts, would take it away again."""
    layer.register_parameter("bias", None)


class _InstanceNorm(nn.GroupNorm):
    """Without it, what the features of all places share outgrows what tells places apart.

    Within an epoch a loss on texture drives it to hundreds, and all places choose alike for good.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, x: Tensor) -> Tensor:
        # Not the checked form: a photo of four pixels is one place, whose features become 0. A
        # channel's places side by side: laid out by channels, it takes up to ten times as long.
        places = x.contiguous()
        return torch.group_norm(places, self.num_groups, self.weight, self.bias, self.eps)


register(FillSelector, paper="our own")
