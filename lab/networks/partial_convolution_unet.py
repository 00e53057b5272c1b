"""The U-Net of partial convolutions: only known pixels count, until the hole has closed.

Guilin Liu, Fitsum A. Reda, Kevin J. Shih, Ting-Chun Wang, Andrew Tao, Bryan Catanzaro, "Image
Inpainting for Irregular Holes Using Partial Convolutions" (ECCV 2018). Its authors published the
layer; the network was published twice by others, and each form is equal to its own: MMagic's
(``PConvEncoderDecoder``) and naoto0804's (``PConvUNet``).

Differs from both in form only. Any image size is accepted (padded inside, cropped back). All
channels of a published mask are equal, so that one is kept for each of the two sources of a
decoder's input. The published constant kernels that count known pixels are no tensors here. The
number of halvings is an option, as in both. In both forms the first weights are drawn as
naoto0804's.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import PartialConvolution, pad_to_multiple
from lab.networks.registry import PublishedForm, register
from lab.networks.vgg import IMAGENET_DEVIATION, IMAGENET_MEAN
from lab.ranks import ranks

PartialConvolutionForm = Literal["mmagic", "naoto0804"]

# Of the encoder's layers, in multiples of the first one's channels; and their kernels.
_WIDTHS = (1, 2, 4, 8, 8, 8, 8)
_KERNELS = (7, 5, 5, 3, 3, 3, 3)


class PartialConvolutionBlock(nn.Module):
    """A partial convolution, batch normalization and an activation.

    Args:
        convolution: the partial convolution.
        slope: of the activation below zero: 0 is ReLU, 1 is none.
        normalized: whether batch normalization follows the convolution.
    """

    def __init__(
        self, convolution: PartialConvolution, slope: float, normalized: bool = True
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.slope = slope
        self.normalization = nn.BatchNorm2d(convolution.out_channels) if normalized else None
        nn.init.kaiming_normal_(convolution.weight)
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Map features and where they are known; see :class:`~lab.layers.PartialConvolution`."""
        x, valid = self.convolution(features, valid)
        if self.normalization is not None:
            x = self.normalization(x)
        return F.leaky_relu(x, self.slope) if self.slope < 1.0 else x, valid[:, :1]


class PartialConvolutionUNet(nn.Module):
    """The published network, in either form; ``(image, mask) -> Stages`` with one image.

    The forms differ in how a partial convolution is scaled, in the range of the image, and in a
    bias of the first layer. ``"mmagic"`` divides by the known share of a window, as the paper and
    its authors' layer do. ``"naoto0804"`` divides by the number of known values: features are
    smaller by the size of a window, hundreds to thousands of times, and most of what a new network
    has of variance is then lost in the epsilon of batch normalization, so that it learns slowly.
    Hence the first is the default; the other is there for its published weights, which are good
    for no other rule.

    Args:
        width: channels of the first layer; 64 as published, 8 or more. The deepest have eight
            times.
        depth: how often the encoder halves the image; 7 as published.
        form: ``"mmagic"``, for images in [-1, 1] and with the paper's scaling; or
            ``"naoto0804"``, for ImageNet-normalized images and divided by the count alone.
        freeze_normalization: keep the encoder's batch normalization in evaluation mode while
            training, as the published fine-tuning does (after the main training, at a quarter of
            its rate).
        start: in the hole, nothing as ``"published"``; or a smooth fill, which the last layer is
            shown besides what the decoder made (``"fill"``), and corrects (``"residual"``): see
            `lab.fills.hole_start`. The encoder closes the hole from its rim in every case, since
            to call the fill known would hide from it where the hole is.

    Raises:
        ValueError: a width below 8, a depth outside 2 to 7, or a form or start that there is not.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        width: int = 64,
        depth: int = 7,
        form: PartialConvolutionForm = "mmagic",
        freeze_normalization: bool = False,
        start: HoleStart = "published",
    ) -> None:
        super().__init__()
        check_hole_start(start)
        forms = get_args(PartialConvolutionForm)
        if form not in forms:
            raise ValueError(unknown_name_message("form", form, forms))
        if width < 8:
            raise ValueError(f"width must be at least 8, not {width} (64 as published)")
        if not 2 <= depth <= len(_WIDTHS):
            raise ValueError(f"depth must be 2 to {len(_WIDTHS)}, not {depth} (7 as published)")
        self.width = width
        self.depth = depth
        self.form = form
        self.freeze_normalization = freeze_normalization
        self.start = start
        convolution = partial(PartialConvolution, scaling="share" if form == "mmagic" else "count")
        channels = [3, *(width * factor for factor in _WIDTHS[:depth])]
        self.encoder = nn.ModuleList(
            PartialConvolutionBlock(
                convolution(
                    finer,
                    coarser,
                    kernel,
                    stride=2,
                    padding=kernel // 2,
                    bias=level == 0 and form == "mmagic",
                ),
                slope=0.0,
                normalized=level > 0,
            )
            for level, ((finer, coarser), kernel) in enumerate(
                zip(pairwise(channels), _KERNELS, strict=False)
            )
        )
        self.decoder = nn.ModuleList(
            PartialConvolutionBlock(
                convolution(
                    coarser + finer, finer, 3, padding=1, bias=level == 0, multi_channel=True
                ),
                slope=0.2 if level else 1.0,
                normalized=level > 0,
            )
            for level, (finer, coarser) in reversed(list(enumerate(pairwise(channels))))
        )
        mean, deviation = (
            ((0.5,) * 3, (0.5,) * 3) if form == "mmagic" else (IMAGENET_MEAN, IMAGENET_DEVIATION)
        )
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        if start == "residual":
            start_at_zero(self.last_layer)

    def train(self, mode: bool = True) -> "PartialConvolutionUNet":
        """Switch to training or evaluation, as every module; see ``freeze_normalization``."""
        super().train(mode)
        if self.freeze_normalization:
            for module in self.encoder.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of an objective reaches last."""
        return self.decoder[-1].get_submodule("convolution")

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        """Answer with a whole image, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.

        Returns:
            Stages: one image, float32 ``(B, 3, H, W)`` around [0, 1]: the output is linear.

        Raises:
            ValueError: in training, one image so small that batch normalization has one value.
        """
        height, width = image.shape[-2:]
        hole = mask > 0.5
        normalized = (image - self.mean) / self.deviation
        x = pad_to_multiple(
            show_hole_start(normalized, hole, "published", published=0.0), 2**self.depth
        )
        valid = pad_to_multiple(1.0 - mask, 2**self.depth)
        self._refuse_single_values(x)
        skips = [(x, valid)]
        for encode in self.encoder:
            skips.append(encode(*skips[-1]))
        x, x_valid = skips.pop()  # the deepest is not its own skip
        shown = skips[0][0]
        if self.start != "published":
            shown = pad_to_multiple(
                show_hole_start(normalized, hole, self.start, published=0.0), 2**self.depth
            )
            skips[0] = shown, torch.ones_like(valid)
        for decode in self.decoder:
            skip, skip_valid = skips.pop()
            x, x_valid = (
                F.interpolate(x, scale_factor=2.0),
                F.interpolate(x_valid, scale_factor=2.0),
            )
            x_valid = x_valid.expand(-1, x.shape[1], -1, -1)
            skip_valid = skip_valid.expand(-1, skip.shape[1], -1, -1)
            x, x_valid = decode(
                torch.cat([x, skip], dim=1), torch.cat([x_valid, skip_valid], dim=1)
            )
        answer = x.float()
        if self.start == "residual":
            answer = shown + (1.0 - valid) * answer
        answer = answer * self.deviation + self.mean
        return Stages(images=(answer[..., :height, :width],))

    def _refuse_single_values(self, padded: Tensor) -> None:
        deepest = self.encoder[-1].get_submodule("normalization")
        if deepest.training and ranks() * padded[:, 0].numel() == 4**self.depth:
            raise ValueError(
                f"one image of {padded.shape[2]}x{padded.shape[3]} is one pixel after {self.depth} "
                "halvings, which batch normalization cannot train on: give larger images, more of "
                "them in a batch, or a smaller depth"
            )


_PREFIXES = re.compile(r"(module\.|generator\.)*")
_PUBLISHED_TENSOR = re.compile(
    r"(?:encoder\.|decoder\.)?(enc|dec)_?([1-9])\.(conv|bn)\.(?:input_conv\.)?(\w+)"
)
_COUNTING_KERNELS = (".mask_conv.weight", ".weight_mask_updater")


def is_published_by_mmagic(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names and the first kernel of MMagic's checkpoints.

    Its Global & Local network has these names too, but a smaller first kernel.
    """
    first = _without_prefixes(state).get("encoder.enc1.conv.weight")
    return first is not None and first.shape[2:] == (7, 7)


def is_published_by_naoto0804(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of naoto0804's checkpoints."""
    return "enc_1.conv.input_conv.weight" in _without_prefixes(state)


def rename_published_partial_convolution_unet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Kernels that count the known pixels are left out, being constant. So is the VGG of the loss,
    which MMagic saves with its whole method, the network's names beginning with ``generator.``.
    Such a file comes from its training, which reads images as BGR: its channels are turned round.

    Raises:
        KeyError: a tensor name that the published network does not have.
        ValueError: a counting kernel that is not all ones.
    """
    renamed: dict[str, Tensor] = {}
    depth = _depth(state)
    for published, tensor in state.items():
        name = _PREFIXES.sub("", published, count=1)
        if name.startswith("loss_percep."):
            continue
        if name.endswith(_COUNTING_KERNELS):
            if not bool((tensor == 1).all()):
                raise ValueError(f"{published!r} counts known pixels, but is not all ones")
            continue
        found = _PUBLISHED_TENSOR.fullmatch(name)
        if not found:
            raise KeyError(f"{published!r} is no tensor of the published partial convolution U-Net")
        side, number, part, leaf = found.groups()
        # Both count from the image's size: the decoder runs from the deepest to it.
        place = f"encoder.{int(number) - 1}" if side == "enc" else f"decoder.{depth - int(number)}"
        renamed[f"{place}.{'convolution' if part == 'conv' else 'normalization'}.{leaf}"] = tensor
    if any("generator." in published for published in state):
        first, last = "encoder.0.convolution.weight", f"decoder.{depth - 1}.convolution"
        renamed[first] = renamed[first].flip(1)
        features, image = (
            renamed[f"{last}.weight"].flip(0).split_with_sizes((renamed[first].shape[0], 3), dim=1)
        )
        renamed[f"{last}.weight"] = torch.cat([features, image.flip(1)], dim=1)
        renamed[f"{last}.bias"] = renamed[f"{last}.bias"].flip(0)
    return renamed


def _depth(state: Mapping[str, Tensor]) -> int:
    matches = (_PUBLISHED_TENSOR.fullmatch(name) for name in _without_prefixes(state))
    return max((int(found[2]) for found in matches if found), default=0)


def _without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_PREFIXES.sub("", name, count=1): tensor for name, tensor in state.items()}


def _published(
    state: Mapping[str, Tensor], form: PartialConvolutionForm
) -> tuple[Callable[[], PartialConvolutionUNet], dict[str, Tensor]]:
    renamed = rename_published_partial_convolution_unet(state)
    width = renamed["encoder.0.convolution.weight"].shape[0]
    build = partial(PartialConvolutionUNet, width=width, depth=_depth(state), form=form)
    return build, renamed


register(
    PartialConvolutionUNet,
    paper="Liu et al., Image Inpainting for Irregular Holes Using Partial Convolutions, ECCV 2018",
    code="https://github.com/open-mmlab/mmagic, and "
    "https://github.com/naoto0804/pytorch-inpainting-with-partial-conv",
    licence="Apache-2.0 (MMagic), none stated (naoto0804)",
    published=(
        PublishedForm(
            is_published_by_mmagic,
            partial(_published, form="mmagic"),
            "https://github.com/open-mmlab/mmagic/tree/main/configs/partial_conv",
        ),
        PublishedForm(
            is_published_by_naoto0804,
            partial(_published, form="naoto0804"),
            "https://github.com/naoto0804/pytorch-inpainting-with-partial-conv",
        ),
    ),
)
