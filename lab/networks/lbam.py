"""LBAM: a U-Net whose masks are learned, from the known pixels inwards and from the hole outwards.

Chaohao Xie, Shaohui Liu, Chao Li, Ming-Ming Cheng, Wangmeng Zuo, Xiao Liu, Shilei Wen, Errui Ding,
"Image Inpainting with Learnable Bidirectional Attention Maps" (ICCV 2019). Equal to the published
code in the form that its weights are of: without batch normalization, and with half of
``tanh + 1`` at the end, where the paper has the absolute value of tanh.

Differs from it in form only: any image size is accepted (padded inside, cropped back), pixels
under the hole are replaced rather than multiplied away, and the number of halvings is an option.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import AsymmetricGaussianGate, pad_to_multiple, updated_mask
from lab.networks.registry import PublishedForm, register

# Of the encoder's layers, in multiples of the first one's channels.
_WIDTHS = (1, 2, 4, 8, 8, 8, 8)


class AttentionMap(nn.Module):
    """A layer of masks: attention for features of its size, and the next layer's mask.

    Args:
        in_channels: of the mask.
        out_channels: of the features that are weighted.
        gate: turns the mask's features into attention.
    """

    def __init__(self, in_channels: int, out_channels: int, gate: AsymmetricGaussianGate) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 4, 2, 1, bias=False)
        self.gate = gate

    def forward(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Halve ``mask (B, in_channels, H, W)``: the attention, and the mask from here on."""
        features = self.convolution(mask)
        return self.gate(features), updated_mask(features)


class LBAM(nn.Module):
    """The published generator; ``(image, mask) -> Stages`` with one image.

    The encoder's features are weighted by attention that begins from what is known (forward), the
    decoder's by attention that begins from the hole (reverse), so that the decoder fills in the
    hole and does not redraw what is known. No layer has a bias.

    Args:
        width: channels of the first layer; 64 as published, 8 or more. The deepest have eight
            times.
        depth: how often the encoder halves the image; 7 as published.
        start: in the hole, black as ``"published"``; a smooth ``"fill"``; or the fill as what the
            answer corrects (``"residual"``, by ``tanh``, without bounds on the sum): see
            `lab.fills.hole_start`. The masks say what is known in every case.

    Raises:
        ValueError: a width below 8, a depth outside 2 to 7, or a start that there is not.
    """

    def __init__(self, width: int = 64, depth: int = 7, start: HoleStart = "published") -> None:
        super().__init__()
        check_hole_start(start)
        if width < 8:
            raise ValueError(f"width must be at least 8, not {width} (64 as published)")
        if not 2 <= depth <= len(_WIDTHS):
            raise ValueError(f"depth must be 2 to {len(_WIDTHS)}, not {depth} (7 as published)")
        self.width = width
        self.depth = depth
        self.start = start
        channels = [width * factor for factor in _WIDTHS[:depth]]
        # The image goes in with its mask; the masks have three equal planes.
        self.encoder = nn.ModuleList(
            nn.Conv2d(finer, coarser, 4, 2, 1, bias=False)
            for finer, coarser in pairwise([4, *channels])
        )
        self.forward_attention = nn.ModuleList(
            AttentionMap(finer, coarser, AsymmetricGaussianGate(1.1, 2.0, 1.0, 1.0))
            for finer, coarser in pairwise([3, *channels])
        )
        self.reverse_attention = nn.ModuleList(
            AttentionMap(finer, coarser, AsymmetricGaussianGate(1.1, 1.0, 0.5, 0.5))
            for finer, coarser in pairwise([3, *channels[:-1]])
        )
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(
                coarser * (1 if level == depth - 1 else 2), finer, 4, 2, 1, bias=False
            )
            for level, (finer, coarser) in reversed(list(enumerate(pairwise([3, *channels]))))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module is not self.last_layer:
                nn.init.normal_(module.weight, 0.0, 0.02)  # as published
        if start == "residual":
            start_at_zero(self.last_layer)

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of an objective reaches last."""
        return self.decoder[-1]

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        """Answer with a whole image, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.

        Returns:
            Stages: one image, float32 ``(B, 3, H, W)`` in [0, 1]; with ``start="residual"``
            around it.
        """
        height, width = image.shape[-2:]
        hole = mask > 0.5
        shown = pad_to_multiple(
            show_hole_start(image, hole, self.start, published=0.0), 2**self.depth
        )
        valid = pad_to_multiple(1.0 - mask, 2**self.depth)

        x, known = torch.cat([shown, valid], dim=1), valid.expand(-1, 3, -1, -1)
        skips = []
        for convolve, attend in zip(self.encoder, self.forward_attention, strict=True):
            features = convolve(x)
            attention, known = attend(known)
            x = features * attention
            skips.append(x)
            x = F.leaky_relu(x, 0.2)
        skips.pop()  # the deepest is not its own skip

        unknown = (1.0 - valid).expand(-1, 3, -1, -1)
        reverse = []
        for attend in self.reverse_attention:
            attention, unknown = attend(unknown)
            reverse.append(attention)

        for decode in self.decoder[:-1]:
            x = torch.cat([skips.pop(), decode(x) * reverse.pop()], dim=1)
            x = F.leaky_relu(x, 0.2)
        answer = torch.tanh(self.last_layer(x).float())
        if self.start == "residual":
            answer = shown + (1.0 - valid) * answer
        else:
            answer = (answer + 1.0) / 2.0
        return Stages(images=(answer[..., :height, :width],))


_PUBLISHED_TENSOR = re.compile(
    r"(?:module\.)?(ec|reverseConv|dc)([1-9])\."
    r"(?:(?:conv\.)?(maskConv|reverseMaskConv|activationFuncG_A|conv)\.)?(\w+)"
)
_PUBLISHED_PARTS = {
    ("ec", "conv"): "encoder.{}",
    ("ec", "maskConv"): "forward_attention.{}.convolution",
    ("ec", "activationFuncG_A"): "forward_attention.{}.gate",
    ("reverseConv", "reverseMaskConv"): "reverse_attention.{}.convolution",
    ("reverseConv", "activationFuncG_A"): "reverse_attention.{}.gate",
    ("dc", "conv"): "decoder.{}",
    ("dc", None): "decoder.{}",
}


def is_published_lbam(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published LBAM checkpoints."""
    return any(name.removeprefix("module.").startswith("reverseConv1.") for name in state)


def rename_published_lbam(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        found = _PUBLISHED_TENSOR.fullmatch(published)
        part = _PUBLISHED_PARTS.get((found[1], found[3])) if found else None
        if not found or not part:
            raise KeyError(f"{published!r} is no tensor of the published LBAM")
        renamed[f"{part.format(int(found[2]) - 1)}.{found[4]}"] = tensor
    return renamed


def published_lbam(state: Mapping[str, Tensor]) -> tuple[Callable[[], LBAM], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: tensors that do not fit the published architecture.
    """
    renamed = rename_published_lbam(state)
    depth = sum(name.startswith("encoder.") for name in renamed)
    return partial(LBAM, width=renamed["encoder.0.weight"].shape[0], depth=depth), renamed


register(
    LBAM,
    paper="Xie et al., Image Inpainting with Learnable Bidirectional Attention Maps, ICCV 2019",
    code="https://github.com/Vious/LBAM_Pytorch",
    licence="MIT",
    published=(
        PublishedForm(is_published_lbam, published_lbam, "https://github.com/Vious/LBAM_Pytorch"),
    ),
)
