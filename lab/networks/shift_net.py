"""Shift-Net: a U-Net that fills the hole's features with those of the known photo most like them.

Zhaoyi Yan, Xiaoming Li, Mu Li, Wangmeng Zuo, Shiguang Shan, "Shift-Net: Image Inpainting via Deep
Feature Rearrangement" (ECCV 2018), in the form of its authors' PyTorch code. The U-Net is
pix2pix's. At an eighth of the size a third part joins what the decoder and the encoder made: in
the hole, the encoder's features of the best match (`lab.layers.ShiftConnection`).

Differs from the published code in form only. Any image size is accepted (padded inside, cropped
back); instance normalization counts what is padded. Holes of a batch may differ. Features that
are all 0 match nothing, where the published cosine is NaN. How the mask shrinks to an eighth is an
option, since the published way loses thin holes.

**The guidance loss** (section 3.3; `lab.losses.ShiftGuidance`) compares, in the hole, the
decoder's features at the shift connection with the encoder's of the true photo. The first are
extras of the answer: ``decoder_features (B, 4 * width, h, w)``, activated, with the hole at their
size, ``reduced_mask (B, 1, h, w)``; the second are ``network.guidance_features(truth, mask)``,
without gradient.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import (
    MaskReduction,
    ShiftConnection,
    UNetDoubling,
    UNetHalving,
    draw_normal_weights,
    pad_to_multiple,
    unet_widths,
)
from lab.networks.nested_unet import nested_unet_depth, nested_unet_names
from lab.networks.registry import PublishedForm, register

# The shift connection is where the image was halved three times.
_SHIFT_LEVEL = 2
_LEAST_DEPTH, _LARGEST_DEPTH = 5, 12

_InstanceNorm = partial(nn.InstanceNorm2d, affine=True)


class ShiftNet(nn.Module):
    """The published generator; ``(image, mask) -> Stages`` with one image, and extras.

    Args:
        width: channels of the first layer; 64 as published. The deepest have eight times.
        depth: how often the image is halved, 5 to 12; 8 as published. Photos are padded to
            multiples of ``2 ** depth``: 256 as published, so take 6 to train on 64x64.
        mask_reduction: whether a position of the shift connection is hole: ``"nearest"`` as
            published, ``"any"`` so that thin holes do not vanish; see
            :class:`~lab.layers.ShiftConnection`.
        start: in the hole, gray as ``"published"``; a smooth ``"fill"``; or the fill as what the
            answer corrects, in the hole (``"residual"``): see `lab.fills.hole_start`.

    Raises:
        ValueError: a width below 1, another depth, or an option that there is not.
    """

    def __init__(
        self,
        width: int = 64,
        depth: int = 8,
        mask_reduction: MaskReduction = "nearest",
        start: HoleStart = "published",
    ) -> None:
        super().__init__()
        check_hole_start(start)
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width} (64 as published)")
        if not _LEAST_DEPTH <= depth <= _LARGEST_DEPTH:
            raise ValueError(
                f"depth must be {_LEAST_DEPTH} to {_LARGEST_DEPTH}, not {depth} (8 as published)"
            )
        self.width = width
        self.depth = depth
        self.mask_reduction = mask_reduction
        self.start = start
        widths = unet_widths(width, depth)
        self.encoder = nn.ModuleList([UNetHalving(4, width, activated=False)])
        self.decoder = nn.ModuleList()
        for level in range(1, depth):
            innermost = level == depth - 1
            before, after = widths[level - 1], widths[level]
            self.encoder.append(UNetHalving(before, after, None if innermost else _InstanceNorm))
            joined = after * (1 if innermost else 3 if level == _SHIFT_LEVEL else 2)
            self.decoder.insert(0, UNetDoubling(joined, before, _InstanceNorm))
        last = UNetDoubling(2 * width, 3)
        self.decoder.append(last)
        self.shift = ShiftConnection(mask_reduction)
        draw_normal_weights(self)
        if start == "residual":
            start_at_zero(last.convolution)

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
            Stages: one image, float32 ``(B, 3, H, W)`` in [0, 1]; as extras ``decoder_features``
            and ``reduced_mask``, of the padded image's size over 8: what a guidance loss reads.
        """
        height, width = image.shape[-2:]
        shown = pad_to_multiple(
            show_hole_start(2.0 * image - 1.0, mask > 0.5, self.start, published=0.0), 2**self.depth
        )
        padded_mask = pad_to_multiple(mask, 2**self.depth)
        x = torch.cat([shown, 1.0 - padded_mask], dim=1)
        across = []
        for halve in self.encoder:
            x = halve(x)
            across.append(x)
        deeper = self.depth - 1 - _SHIFT_LEVEL
        for level, double in zip(range(deeper), self.decoder[:deeper], strict=True):
            x = double(torch.cat([x, across[-1 - level]], dim=1) if level else x)
        decoded, encoded = F.relu(x), F.relu(across[_SHIFT_LEVEL])
        hole = self.shift.reduce(padded_mask, *x.shape[-2:])
        # Between two loops: compiled code cannot leave a loop for a program.
        shifted = self.shift(decoded, encoded, hole)
        x = self.decoder[deeper](torch.cat([decoded, encoded, shifted], dim=1))
        finer = across[_SHIFT_LEVEL - 1 :: -1]
        for skip, double in zip(finer, self.decoder[deeper + 1 :], strict=True):
            x = double(torch.cat([x, skip], dim=1))
        answer = torch.tanh(x.float())
        if self.start == "residual":
            # From black to white is twice the hyperbolic tangent's reach.
            answer = (shown + 2.0 * padded_mask * answer).clamp(-1.0, 1.0)
        return Stages(
            images=((answer[..., :height, :width] + 1.0) / 2.0,),
            extras={"decoder_features": decoded, "reduced_mask": hole},
        )

    @torch.no_grad()
    def guidance_features(self, truth: Tensor, mask: Tensor) -> Tensor:
        """The encoder's features of the true photo, at the shift connection: a loss's target.

        Only for training: what lies under the hole **is** read. As published, the mask is shown as
        it is to the network, though nothing is missing.

        Args:
            truth: float32 RGB ``(B, 3, H, W)`` in [0, 1].
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.

        Returns:
            ``(B, 4 * width, h, w)``, activated, as the extra ``decoder_features``.
        """
        seen = torch.cat([2.0 * truth - 1.0, 1.0 - mask], dim=1)
        x = pad_to_multiple(seen, 2**self.depth)
        for halve in self.encoder[: _SHIFT_LEVEL + 1]:
            x = halve(x)
        return F.relu(x)


# A guidance module without tensors and the shift connection stand before the convolution.
_BETWEEN = {_SHIFT_LEVEL: 2}


def is_published_shift_net(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published Shift-Net checkpoints."""
    # pix2pix's U-Net has the convolution of this level two places earlier.
    shifted = "model.model.1.model.3.model.7.weight"
    return any(name.removeprefix("module.") == shifted for name in state)


def rename_published_shift_net(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    names = nested_unet_names(nested_unet_depth(state), _BETWEEN)
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        layer, _, leaf = published.removeprefix("module.").rpartition(".")
        if layer not in names:
            raise KeyError(f"{published!r} is no tensor of the published Shift-Net")
        renamed[f"{names[layer]}.{leaf}"] = tensor
    return renamed


def published_shift_net(
    state: Mapping[str, Tensor],
) -> tuple[Callable[[], ShiftNet], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: tensors that do not fit the published architecture.
        ValueError: fewer or more levels than the network can have.
    """
    renamed = rename_published_shift_net(state)
    width, depth = renamed["encoder.0.convolution.weight"].shape[0], nested_unet_depth(state)
    return partial(ShiftNet, width=width, depth=depth), renamed


register(
    ShiftNet,
    paper="Yan et al., Shift-Net: Image Inpainting via Deep Feature Rearrangement, ECCV 2018",
    code="https://github.com/Zhaoyi-Yan/Shift-Net_pytorch",
    licence="MIT",
    published=(
        PublishedForm(
            is_published_shift_net,
            published_shift_net,
            "https://github.com/Zhaoyi-Yan/Shift-Net_pytorch",
        ),
    ),
)
