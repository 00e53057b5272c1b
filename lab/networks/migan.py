"""MI-GAN: a network for phones, of separable convolutions, that answers in one pass at one size.

Andranik Sargsyan, Shant Navasardyan, Xingqian Xu, Humphrey Shi, "MI-GAN: A Simple Baseline for
Image Inpainting on Mobile Devices" (ICCV 2023). One stage, whose image is the sum of what every
resolution adds. Its judge is in `lab/networks/migan_discriminator.py`.

Equal to the published network as it is exported for use; with ``branches``, to the one that is
trained, but for its noise: the published training draws it anew each time, here it is the stored
one always, so that the answer is a function of photo and mask.

The network knows one size, 256x256 or 512x512: its noise has it, and so has its innermost layer,
which sees the whole photo in 4x4 positions. Photos of other sizes are resized to it, both sides
alike as published, not cropped: a crop would take away what is known around a large hole. The
published code resizes the photo with the person still in it; here only known pixels are averaged.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import (
    BranchedConvolution,
    SeparableConvolution,
    double,
    scaled_leaky_relu,
    unit_convolution,
)
from lab.networks.registry import PublishedForm, register

_INNERMOST = 4
# The finest resolution of full width.
_FULL_WIDTH = 64
# The published distillation compares what resolutions from this one on add.
_DISTILLED_FROM = 32
_LARGEST = 1024


class EncoderLevel(nn.Module):
    """What happens at one resolution on the way in.

    Args:
        channels: at this resolution.
        next_channels: at the next, half of it.
        innermost: whether there is no next one.
        branches: of its convolutions.
    """

    def __init__(self, channels: int, next_channels: int, innermost: bool, branches: int) -> None:
        super().__init__()
        self.features = SeparableConvolution(channels, channels, branches=branches)
        self.leaving = SeparableConvolution(
            channels, next_channels, "keep" if innermost else "halve", branches=branches
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of this resolution, and what goes on to the next."""
        features = self.features(x)
        return features, self.leaving(features)


class DecoderLevel(nn.Module):
    """What happens at one resolution on the way out.

    Args:
        in_channels: of the resolution before, half of this one.
        channels: at this resolution.
        side: of this resolution.
        branches: of its convolutions.
    """

    def __init__(self, in_channels: int, channels: int, side: int, branches: int) -> None:
        super().__init__()
        innermost = side == _INNERMOST
        noise_side = None if innermost else side
        self.entering = SeparableConvolution(
            in_channels, channels, "keep" if innermost else "double", noise_side, branches
        )
        self.merging = SeparableConvolution(
            channels, channels, noise_side=noise_side, branches=branches
        )
        self.to_rgb = unit_convolution(channels, 3, 1, branches=branches)

    def forward(self, x: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return what goes on to the next resolution, and what this one adds to the image."""
        x = self.merging(self.entering(x) + features)
        # The image is a sum over all resolutions, which rounding would add to each time.
        with torch.autocast(x.device.type, enabled=False):
            return x, self.to_rgb(x.float())


class MIGAN(nn.Module):
    """The published network; ``(image, mask) -> Stages`` with one image.

    ``extras["rgb_32"]``, ``extras["rgb_64"]`` and so on of its answer hold what each resolution
    adds to the image, float32 ``(B, 3, side, side)`` in units of [-1, 1]: distillation compares it.

    Args:
        resolution: side of the square that the network sees, a power of two; 256 or 512 as
            published.
        width: channels up to 64x64, halved at every finer resolution; 512 as published.
        branches: kernels that each convolution is the sum of, while it trains: 9 as the published
            training, scaled to length 1; 0 for plain convolutions, which published files hold.
            :meth:`merged` turns the first into the second.
        start: in the hole, gray as ``"published"``; or a smooth fill, which the network is shown
            (``"fill"``), or corrects (``"residual"``): see `lab.fills.hole_start`.

    Raises:
        ValueError: a resolution that is no power of two from 8 to 1024, a width that leaves the
            finest resolution without a channel, fewer than 0 branches, or a start that there is
            not.
    """

    def __init__(
        self,
        resolution: int = 256,
        width: int = 512,
        branches: int = 0,
        start: HoleStart = "published",
    ) -> None:
        super().__init__()
        check_hole_start(start)
        if not 8 <= resolution <= _LARGEST or resolution & (resolution - 1):
            raise ValueError(
                f"resolution must be a power of two from 8 to {_LARGEST}, not {resolution} (256 or "
                "512 as published)"
            )
        least = max(1, resolution // _FULL_WIDTH)
        if width < least:
            raise ValueError(
                f"width must be at least {least} at a resolution of {resolution}, not {width} (512 "
                "as published)"
            )
        if branches < 0:
            raise ValueError(f"branches must be at least 0, not {branches} (9 as published)")
        self.resolution = resolution
        self.width = width
        self.branches = branches
        self.start = start
        sides = [_INNERMOST << step for step in range(resolution.bit_length() - 2)]  # 4, 8, ...
        channels = {side: min(width, width * _FULL_WIDTH // side) for side in sides}
        # The published entry is one kernel while it trains, too.
        self.entry = unit_convolution(4, channels[resolution], 1, branches=min(1, branches))
        self.encoder = nn.ModuleList(
            [
                EncoderLevel(
                    channels[side],
                    channels[max(side // 2, _INNERMOST)],
                    side == _INNERMOST,
                    branches,
                )
                for side in reversed(sides)
            ]
        )
        self.decoder = nn.ModuleList(
            [
                DecoderLevel(channels[max(side // 2, _INNERMOST)], channels[side], side, branches)
                for side in sides
            ]
        )
        if start == "residual":
            # Plain, since a branched kernel has length 1, whatever it is the sum of.
            for side, level in zip(sides, self.decoder, strict=True):
                level.to_rgb = nn.Conv2d(channels[side], 3, 1)
                start_at_zero(level.to_rgb)

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of an objective reaches last."""
        return self.decoder[-1].get_submodule("to_rgb")

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        """Answer with a whole image, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.

        Returns:
            Stages: one image, float32 ``(B, 3, H, W)`` around [0, 1]: the output is linear; and
            what each resolution adds.
        """
        painted = show_hole_start(2.0 * image - 1.0, mask > 0.5, self.start, published=0.0)
        shown, valid = self._resized(painted, 1.0 - mask)
        x = scaled_leaky_relu(self.entry(torch.cat([valid - 0.5, shown], dim=1)))
        features = []
        for level in self.encoder:
            level_features, x = level(x)
            features.append(level_features)
        extras: dict[str, Tensor] = {}
        answer: Tensor | None = None
        for level in self.decoder:
            x, added = level(x, features.pop())
            answer = added if answer is None else double(answer) + added
            if added.shape[-1] >= _DISTILLED_FROM:
                extras[f"rgb_{added.shape[-1]}"] = added
        assert answer is not None
        # An exported network resizes photos of any size, whether or not this one needs it.
        if torch.compiler.is_exporting() or answer.shape != painted.shape:
            answer = _resize(answer, painted.shape[-2:], "bicubic")
        if self.start == "residual":
            answer = painted + mask * answer
        return Stages(images=((answer + 1.0) / 2.0,), extras=extras)

    def _resized(self, painted: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """What is shown and what of it is known, ``(B, 3 or 1, resolution, resolution)``."""
        square = (self.resolution, self.resolution)
        if not torch.compiler.is_exporting() and painted.shape[-2:] == square:
            return painted, valid
        share = _resize(valid, square, "bilinear")
        known = share >= 0.5
        shown = _resize(painted, square, "bilinear")
        if self.start == "published":
            # The hole has weight 0 in the mean that a pixel becomes.
            shown = torch.where(known, shown / share, 0.0)
        return shown, known.float()

    @torch.no_grad()
    def merged(self) -> "MIGAN":
        """The same network with plain convolutions, in eval mode; nothing is shared with it."""
        network = MIGAN(self.resolution, self.width, branches=0, start=self.start)
        state = {
            name: tensor.clone()
            for name, tensor in self.state_dict().items()
            if not name.endswith(".branches")
        }
        for name, module in self.named_modules():
            if isinstance(module, BranchedConvolution):
                state[f"{name}.weight"] = module.kernel.clone()
        network.load_state_dict(state)
        return network.to(next(self.parameters()).device).eval()


def _resize(planes: Tensor, size: tuple[int, int] | torch.Size, mode: str) -> Tensor:
    return F.interpolate(planes, size, mode=mode, antialias=True, align_corners=False)


_PUBLISHED_MARKS = ("encoder.b4.conv2.conv2.weight", "synthesis.b4.torgb.weight")
_PUBLISHED_CONVOLUTIONS = {"conv1": "depthwise", "conv2": "pointwise"}
_ENCODER_PARTS = {"conv1": "features", "conv2": "leaving"}
_DECODER_PARTS = {"conv1": "entering", "conv2": "merging"}
# What resampling is made of, the same in every file.
_CONSTANTS = (".filter.weight", ".filter_const", ".insert_zeros.weight")


def is_published_migan(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published MI-GAN checkpoints."""
    names = {name.removeprefix("module.") for name in state}
    return all(mark in names for mark in _PUBLISHED_MARKS)


def rename_published_migan(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    The constant filters of resampling, which some files hold, are left out.

    Raises:
        KeyError: a tensor name that the published network does not have.
        ValueError: constant filters of another network.
    """
    names = _published_names(_published_resolution(state))
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        published = name.removeprefix("module.")
        if published.endswith(_CONSTANTS):
            _check_constant(published, tensor)
        elif published in names:
            renamed[names[published]] = tensor
        else:
            raise KeyError(f"{name!r} is no tensor of the published MI-GAN")
    return renamed


def _published_resolution(state: Mapping[str, Tensor]) -> int:
    sides = [
        int(number)
        for name in state
        if name.endswith(".fromrgb.weight")
        and (number := name.removesuffix(".fromrgb.weight").rpartition(".b")[2]).isdecimal()
    ]
    if len(sides) != 1:
        raise ValueError(f"it has {len(sides)} first layers, but the published MI-GAN has one")
    return sides[0]


def _published_names(resolution: int) -> dict[str, str]:
    """Our names of a published network's tensors, by theirs."""
    names = {
        f"encoder.b{resolution}.fromrgb.{leaf}": f"entry.{leaf}" for leaf in ("weight", "bias")
    }
    for step in range(resolution.bit_length() - 2):
        side = _INNERMOST << step
        depth = resolution.bit_length() - 3 - step
        for leaf in ("weight", "bias"):
            names[f"synthesis.b{side}.torgb.{leaf}"] = f"decoder.{step}.to_rgb.{leaf}"
        places = (
            (f"encoder.b{side}", f"encoder.{depth}", _ENCODER_PARTS),
            (f"synthesis.b{side}", f"decoder.{step}", _DECODER_PARTS),
        )
        for their_level, our_level, parts in places:
            for theirs, ours in parts.items():
                for convolution, our_convolution in _PUBLISHED_CONVOLUTIONS.items():
                    for leaf in ("weight", "bias"):
                        names[f"{their_level}.{theirs}.{convolution}.{leaf}"] = (
                            f"{our_level}.{ours}.{our_convolution}.{leaf}"
                        )
        for theirs, ours in _DECODER_PARTS.items():
            names[f"synthesis.b{side}.{theirs}.noise_const"] = f"decoder.{step}.{ours}.noise"
            names[f"synthesis.b{side}.{theirs}.noise_strength"] = (
                f"decoder.{step}.{ours}.noise_strength"
            )
    return names


def _check_constant(name: str, tensor: Tensor) -> None:
    if name.endswith(".filter.weight"):
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8.0
        # Zeros between the positions take three quarters of the sum away.
        expected = row[:, None] * row * (4.0 if ".upsample." in name else 1.0)
        if tensor.shape[-2:] != expected.shape or not torch.allclose(tensor.float(), expected):
            raise ValueError(f"{name!r} is not the published MI-GAN's filter [1, 3, 3, 1]")


def published_migan(state: Mapping[str, Tensor]) -> tuple[Callable[[], MIGAN], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: tensors that do not fit the published architecture.
        ValueError: no or several first layers, or constant filters of another network.
    """
    renamed = rename_published_migan(state)
    width = renamed["decoder.0.to_rgb.weight"].shape[1]
    return partial(MIGAN, resolution=_published_resolution(state), width=width), renamed


register(
    MIGAN,
    paper="Sargsyan et al., MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices, "
    "ICCV 2023",
    code="https://github.com/Picsart-AI-Research/MI-GAN",
    licence="MIT",
    published=(
        PublishedForm(
            is_published_migan,
            published_migan,
            "https://github.com/Picsart-AI-Research/MI-GAN",
        ),
    ),
)
