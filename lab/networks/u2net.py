"""U²-Net: salient objects by a U-shape of U-shapes. The background notes take masks from it (V4).

Xuebin Qin, Zichen Zhang, Chenyang Huang, Masood Dehghan, Osmar R. Zaiane, Martin Jagersand,
"U²-Net: Going Deeper with Nested U-Structure for Salient Object Detection" (Pattern Recognition
2020). Full (44 million parameters) and small (1.1 million; the published ``u2netp``).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import check_image, unknown_name_message
from lab.networks.building import build_with_weights, named_tensors
from lab.networks.weight_files import (
    UnreadableCheckpointError,
    WeightFile,
    locate_or_download,
    read_checkpoint,
)

U2NetSize = Literal["full", "small"]


class Segmenter(Protocol):
    """``image -> probability`` that a pixel belongs to what is to be removed."""

    def __call__(self, image: Tensor) -> Tensor:
        """Map ``(B, 3, H, W)`` in [0, 1] to float32 ``(B, 1, H, W)`` in [0, 1]."""
        ...


def _drive(identifier: str) -> str:
    # The address behind the authors' Google Drive links that skips the page in between.
    return (
        f"https://drive.usercontent.google.com/download?id={identifier}&export=download&confirm=t"
    )


U2NET_WEIGHTS: dict[str, WeightFile] = {
    "u2net": WeightFile(
        "u2net.pth",
        _drive("1ao1ovG1Qtx4b7EoskHXmi2E9rp5CHLcZ"),
        "10025a17f49cd3208afc342b589890e402ee63123d6f2d289a4a0903695cce58",
    ),
    "u2netp": WeightFile(
        "u2netp.pth",
        _drive("1rbSTGKAE-MTxBYHd-51l2hMOQPT_7EPy"),
        "e7567cde013fb64813973ce6e1ecc25a80c05c3ca7adbc5a54f3c3d90991b854",
    ),
    "u2net_human_seg": WeightFile(
        "u2net_human_seg.pth",
        _drive("1m_Kgs91b21gayc2XLW0ou8yugAIadWVP"),
        "13f0396e3f6fbc1d7ab55a8558640bef306a59b9110a5c595eb949ff69cf2414",
    ),
}
"""The published files: salient objects (full and small), and people (full).

The authors link to Google Drive and state no hash. These are the hashes that independent projects
which downloaded from those links record, and that copies on Hugging Face carry.
"""


@dataclass(frozen=True)
class _Block:
    """One residual U-block: channels in, between and out, its levels, and whether it pools."""

    into: int
    between: int
    out: int
    levels: int
    pools: bool = True


# Encoder (stages 1 to 6), then decoder (stages 5 to 1).
_BLOCKS: dict[str, tuple[_Block, ...]] = {
    "full": (
        _Block(3, 32, 64, 7),
        _Block(64, 32, 128, 6),
        _Block(128, 64, 256, 5),
        _Block(256, 128, 512, 4),
        _Block(512, 256, 512, 4, pools=False),
        _Block(512, 256, 512, 4, pools=False),
        _Block(1024, 256, 512, 4, pools=False),
        _Block(1024, 128, 256, 4),
        _Block(512, 64, 128, 5),
        _Block(256, 32, 64, 6),
        _Block(128, 16, 64, 7),
    ),
    "small": (
        _Block(3, 16, 64, 7),
        _Block(64, 16, 64, 6),
        _Block(64, 16, 64, 5),
        _Block(64, 16, 64, 4),
        _Block(64, 16, 64, 4, pools=False),
        _Block(64, 16, 64, 4, pools=False),
        _Block(128, 16, 64, 4, pools=False),
        _Block(128, 16, 64, 4),
        _Block(128, 16, 64, 5),
        _Block(128, 16, 64, 6),
        _Block(128, 16, 64, 7),
    ),
}
_STAGES = 6


class ResidualUBlock(nn.Module):
    """A small U-Net whose output is added to its first convolution's (section 3.1).

    Where it pools, every level but the last two halves the size; where it does not, the
    convolutions of the levels are dilated by 1, 2, 4, 8 instead.

    Args:
        block: its sizes.
    """

    def __init__(self, block: _Block) -> None:
        super().__init__()
        between, levels = block.between, block.levels
        dilations = [1] * (levels - 1) + [2] if block.pools else [1 << n for n in range(levels)]
        self.pools = block.pools
        self.entry = _convolution(block.into, block.out)
        self.encoder = nn.ModuleList(
            _convolution(between if level else block.out, between, dilations[level])
            for level in range(levels)
        )
        self.decoder = nn.ModuleList(
            _convolution(2 * between, between if level else block.out, dilations[level])
            for level in reversed(range(levels - 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, into, H, W)`` to ``(B, out, H, W)``, of any size."""
        entry = self.entry(x)
        x, skips = entry, []
        for level, convolve in enumerate(self.encoder):
            if self.pools and 0 < level < len(self.encoder) - 1:
                x = _halve(x)
            x = convolve(x)
            skips.append(x)
        skips.pop()  # the deepest is not its own skip
        for convolve in self.decoder:
            skip = skips.pop()
            x = convolve(torch.cat([_resize(x, skip.shape[2:]), skip], dim=1))
        return x + entry


class U2Net(nn.Module):
    """The published network, called as a :class:`Segmenter` on whole photos.

    As published, a photo is divided by its brightest value, squeezed to a square, and its
    probabilities are stretched so that the least is 0 and the greatest 1.

    Args:
        size: ``"full"`` or ``"small"``.
        side: of the square that a photo is squeezed to; 320 as published and trained.
        stretch: stretch the probabilities as published; the notes' threshold of 0.1 is one of
            stretched values. Stretched, a photo without any salient object shows one all the same.

    Raises:
        ValueError: another size, or a side below 32.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: U2NetSize = "full", side: int = 320, stretch: bool = True) -> None:
        super().__init__()
        if size not in get_args(U2NetSize):
            raise ValueError(unknown_name_message("size of U2Net", size, get_args(U2NetSize)))
        if side < 32:
            raise ValueError(f"side must be at least 32, not {side} (320 as published)")
        self.size: U2NetSize = size
        self.side = side
        self.stretch = stretch
        blocks = _BLOCKS[size]
        encoder, decoder = blocks[:_STAGES], blocks[_STAGES:]
        self.encoder = nn.ModuleList(ResidualUBlock(block) for block in encoder)
        self.decoder = nn.ModuleList(ResidualUBlock(block) for block in decoder)
        # From the finest stage to the coarsest, as published.
        outputs = [*(block.out for block in reversed(decoder)), encoder[-1].out]
        self.sides = nn.ModuleList(nn.Conv2d(out, 1, 3, padding=1) for out in outputs)
        self.fusion = nn.Conv2d(_STAGES, 1, 1)
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("deviation", (0.229, 0.224, 0.225))):
            tensor = torch.tensor(values).reshape(3, 1, 1)
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``image (B, 3, H, W)`` in [0, 1] to probabilities ``(B, 1, H, W)`` in [0, 1].

        Raises:
            TypeError, ValueError: an image that breaks the conventions.
        """
        check_image(image)
        square = F.interpolate(
            image, (self.side, self.side), mode="bilinear", align_corners=False, antialias=True
        )
        brightest = square.amax((1, 2, 3), keepdim=True).clamp_min(1e-6)
        saliency = self.saliency_maps((square / brightest - self.mean) / self.deviation)[0]
        if self.stretch:
            low = saliency.amin((1, 2, 3), keepdim=True)
            high = saliency.amax((1, 2, 3), keepdim=True)
            saliency = (saliency - low) / (high - low).clamp_min(1e-6)
        return _resize(saliency.float(), image.shape[2:]).clamp(0.0, 1.0)

    def saliency_maps(self, normalized: Tensor) -> tuple[Tensor, ...]:
        """Return the fused map and the six side maps, from fine to coarse, which it fuses.

        Args:
            normalized: RGB ``(B, 3, H, W)`` of any size, less the mean and over the deviation of
                ImageNet.

        Returns:
            tuple[Tensor, ...]: seven maps ``(B, 1, H, W)`` in [0, 1]; the first is the answer, all
            are trained (the sum of their binary cross-entropies, section 3.3).
        """
        x, skips = normalized, []
        for stage, encode in enumerate(self.encoder):
            x = encode(_halve(x) if stage else x)
            skips.append(x)
        answers = [skips.pop()]
        for decode in self.decoder:
            skip = skips.pop()
            x = decode(torch.cat([_resize(x, skip.shape[2:]), skip], dim=1))
            answers.append(x)
        maps = [
            _resize(side(answer), normalized.shape[2:])
            for side, answer in zip(self.sides, reversed(answers), strict=True)
        ]
        fused = self.fusion(torch.cat(maps, dim=1))
        return tuple(torch.sigmoid(logits) for logits in (fused, *maps))


def _convolution(into: int, out: int, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(into, out, 3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


def _halve(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2, stride=2, ceil_mode=True)


def _resize(x: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def is_published_u2net(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published U²-Net checkpoints."""
    return any(name.removeprefix("module.").startswith("stage1.rebnconv") for name in state)


def rename_published_u2net(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        name = published.removeprefix("module.")
        if found := re.fullmatch(r"side([1-6])\.(weight|bias)", name):
            renamed[f"sides.{int(found[1]) - 1}.{found[2]}"] = tensor
            continue
        if found := re.fullmatch(r"outconv\.(weight|bias)", name):
            renamed[f"fusion.{found[1]}"] = tensor
            continue
        found = re.fullmatch(r"stage([1-6])(d?)\.rebnconv(in|\d)(d?)\.(conv|bn)_s1\.(\w+)", name)
        if not found:
            raise KeyError(f"{published!r} is no tensor of the published U2Net")
        number, decoding, level, mirrored, kind, leaf = found.groups()
        stage = f"decoder.{5 - int(number)}" if decoding else f"encoder.{int(number) - 1}"
        block = _BLOCKS["full"][_STAGES + 5 - int(number) if decoding else int(number) - 1]
        if level == "in":
            layer = "entry"
        elif mirrored:
            layer = f"decoder.{block.levels - 1 - int(level)}"
        else:
            layer = f"encoder.{int(level) - 1}"
        renamed[f"{stage}.{layer}.{0 if kind == 'conv' else 1}.{leaf}"] = tensor
    return renamed


def published_u2net(
    state: Mapping[str, Tensor], side: int = 320, stretch: bool = True
) -> tuple[Callable[[], U2Net], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: tensors that do not fit either published size.
    """
    renamed = rename_published_u2net(state)
    between = renamed["encoder.0.encoder.0.0.weight"].shape[0]
    size: U2NetSize = "small" if between == _BLOCKS["small"][0].between else "full"
    return partial(U2Net, size, side, stretch), renamed


def load_u2net(weights: str | Path = "u2net", side: int = 320, stretch: bool = True) -> U2Net:
    """Build U²-Net with published weights, in eval mode on the processor.

    Args:
        weights: one of `U2NET_WEIGHTS`, found in the cache folder or downloaded; or the path of a
            checkpoint with the published tensor names.
        side: see :class:`U2Net`.
        stretch: see :class:`U2Net`.

    Raises:
        MissingWeightsError, WrongHashError: a named file that is nowhere, or is another.
        FileNotFoundError: no such path; says which names there are.
        UnreadableCheckpointError: a path that holds no U²-Net checkpoint.
    """
    if weights in U2NET_WEIGHTS:
        path = locate_or_download(U2NET_WEIGHTS[str(weights)])
    else:
        path = Path(weights)
        if not path.is_file():
            known = unknown_name_message("U2Net weight file", str(weights), U2NET_WEIGHTS)
            raise FileNotFoundError(f"there is no file {path}, and {known}")
    content = read_checkpoint(path)
    try:
        build, renamed = published_u2net(named_tensors(content), side, stretch)
    except (IndexError, KeyError, ValueError) as error:
        raise UnreadableCheckpointError(path, f"its tensors are not U2Net's: {error}") from error
    return build_with_weights(path, build, renamed)
