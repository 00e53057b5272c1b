"""LaMa: large holes at any resolution, by fast Fourier convolutions that see the whole image.

Roman Suvorov, Elizaveta Logacheva, Anton Mashikhin, Anastasia Remizova, Arsenii Ashukha, Aleksei
Silvestrov, Naejin Kong, Harshith Goka, Kiwoong Park, Victor Lempitsky, "Resolution-robust Large
Mask Inpainting with Fourier Convolutions" (WACV 2022). One stage. Its judge is in
`lab/networks/lama_discriminator.py`.

Equal to the published generator, with 9 blocks (LaMa-Fourier) or 18 (Big LaMa), and to what its
prediction does with photos whose sides are no multiples of 8: mirrored, then cropped back. Differs
in one thing: the Fourier units are computed in float32 under autocast too.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import FastFourierConvolution
from lab.networks.registry import PublishedForm, register

# The image is halved three times.
_MULTIPLE = 8
# Reflecting the deepest features takes two positions a side.
_SMALLEST = 16


class FourierBlock(nn.Module):
    """Two fast Fourier convolutions, and what came in added to what they make.

    Args:
        local_channels: of the input and the output.
        global_channels: of the input and the output.
    """

    def __init__(self, local_channels: int, global_channels: int) -> None:
        super().__init__()
        sizes = (local_channels, global_channels)
        self.convolutions = nn.ModuleList(
            [FastFourierConvolution(*sizes, *sizes) for _ in range(2)]
        )

    def forward(self, local_part: Tensor, global_part: Tensor) -> tuple[Tensor, Tensor]:
        """Map local and global channels to as many."""
        new_local, new_global = local_part, global_part
        for convolve in self.convolutions:
            new_local, new_global = convolve(new_local, new_global)
        return local_part + new_local, global_part + new_global


class LaMa(nn.Module):
    """The published network; ``(image, mask) -> Stages`` with one image.

    ``extras["logits"]`` of its answer holds the image before the sigmoid, float32 ``(B, 3, H, W)``.

    Args:
        width: channels after the first layer; 64 as published. The deepest have eight times, three
            quarters of them global.
        blocks: residual blocks of fast Fourier convolutions; 9 as LaMa-Fourier, 18 as Big LaMa.
        start: in the hole, zeros as ``"published"``; or a smooth fill, which the network is shown
            (``"fill"``), or corrects (``"residual"``): see `lab.fills.hole_start`. Logits then say
            how far to go from the fill to white or to black: answers stay within [0, 1].

    Raises:
        ValueError: a width outside 1 to 128, fewer than one block, or a start that there is not.
    """

    def __init__(self, width: int = 64, blocks: int = 9, start: HoleStart = "published") -> None:
        super().__init__()
        check_hole_start(start)
        if not 1 <= width <= 128:
            raise ValueError(f"width must be 1 to 128, not {width} (64 as published)")
        if blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {blocks} (9 or 18 as published)")
        self.width = width
        self.blocks = blocks
        self.start = start
        local_channels, global_channels = 2 * width, 6 * width
        self.entry = _normalized(
            nn.Conv2d(4, width, 7, padding=3, padding_mode="reflect", bias=False)
        )
        self.halving = nn.Sequential(_halving(width), _halving(2 * width))
        self.splitting = FastFourierConvolution(
            4 * width, 0, local_channels, global_channels, stride=2
        )
        self.bottleneck = nn.ModuleList(
            [FourierBlock(local_channels, global_channels) for _ in range(blocks)]
        )
        self.doubling = nn.Sequential(
            _doubling(8 * width), _doubling(4 * width), _doubling(2 * width)
        )
        self.output = nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect")
        if start == "residual":
            start_at_zero(self.output)

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of an objective reaches last."""
        return self.output

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        """Answer with a whole image, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.

        Returns:
            Stages: one image, float32 ``(B, 3, H, W)`` in [0, 1], and the logits.
        """
        height, width = image.shape[-2:]
        shown = show_hole_start(image, mask > 0.5, self.start, published=0.0)
        local_part = self.halving(self.entry(_mirrored(torch.cat([shown, mask], dim=1))))
        local_part, global_part = self.splitting(local_part)
        for block in self.bottleneck:
            local_part, global_part = block(local_part, global_part)
        x = self.doubling(torch.cat([local_part, global_part], dim=1))
        logits = self.output(x).float()[..., :height, :width]
        if self.start == "residual":
            # A share of the way from the fill to white, or to black.
            share = torch.tanh(0.5 * logits)
            answer = shown + mask * share * torch.where(share > 0, 1.0 - shown, shown)
        else:
            answer = logits.sigmoid()
        return Stages(images=(answer,), extras={"logits": logits})


def _normalized(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    normalization = nn.BatchNorm2d(convolution.out_channels)
    return nn.Sequential(convolution, normalization, nn.ReLU(inplace=True))


def _halving(channels: int) -> nn.Sequential:
    return _normalized(
        nn.Conv2d(
            channels, 2 * channels, 3, stride=2, padding=1, padding_mode="reflect", bias=False
        )
    )


def _doubling(channels: int) -> nn.Sequential:
    return _normalized(nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, output_padding=1))


def _mirrored(planes: Tensor) -> Tensor:
    """Mirror ``planes``, edges included, at the right and the bottom to sides that are halved."""
    for dimension in (-2, -1):
        side = planes.shape[dimension]
        wanted = torch.sym_max(_SMALLEST, (side + _MULTIPLE - 1) // _MULTIPLE * _MULTIPLE)
        # An exported network mirrors photos of any size, whether or not this one needs it.
        if torch.compiler.is_exporting() or wanted != side:
            position = torch.arange(wanted, device=planes.device)
            # A tensor, since what is exported knows no division by a size.
            position %= torch.scalar_tensor(2 * side, dtype=position.dtype, device=planes.device)
            position = torch.where(position < side, position, 2 * side - 1 - position)
            planes = planes.index_select(dimension, position)
    return planes


_PUBLISHED_PARTS = {
    "ffc.convl2l": "local_to_local",
    "ffc.convl2g": "local_to_global",
    "ffc.convg2l": "global_to_local",
    "ffc.convg2g.conv1.0": "global_to_global.entry",
    "ffc.convg2g.conv1.1": "global_to_global.normalization",
    "ffc.convg2g.fu.conv_layer": "global_to_global.unit.mixing",
    "ffc.convg2g.fu.bn": "global_to_global.unit.normalization",
    "ffc.convg2g.conv2": "global_to_global.output",
    "bn_l": "local_normalization",
    "bn_g": "global_normalization",
}
_PUBLISHED_BLOCK = re.compile(r"model\.(\d+)\.conv1\.ffc\.convg2g\.fu\.conv_layer\.weight")


def _generator_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The generator's tensors, where a training's file holds those of judges and losses too."""
    named = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    of_generator = {
        name.removeprefix("generator."): tensor
        for name, tensor in named.items()
        if name.startswith("generator.")
    }
    return of_generator or named


def is_published_lama(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published LaMa checkpoints."""
    return any(_PUBLISHED_BLOCK.fullmatch(name) for name in _generator_tensors(state))


def rename_published_lama(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Raises:
        KeyError: a tensor name that the published generator does not have.
    """
    tensors = _generator_tensors(state)
    blocks = sum(bool(_PUBLISHED_BLOCK.fullmatch(name)) for name in tensors)
    layers = _published_layers(blocks)
    renamed: dict[str, Tensor] = {}
    for published, tensor in tensors.items():
        layer, _, leaf = published.rpartition(".")
        if layer not in layers:
            raise KeyError(f"{published!r} is no tensor of the published LaMa")
        renamed[f"{layers[layer]}.{leaf}"] = tensor
    return renamed


def _published_layers(blocks: int) -> dict[str, str]:
    layers = {f"model.4.{theirs}": f"splitting.{ours}" for theirs, ours in _PUBLISHED_PARTS.items()}
    for number, ours in ((1, "entry"), (2, "halving.0"), (3, "halving.1")):
        layers[f"model.{number}.ffc.convl2l"] = f"{ours}.0"
        layers[f"model.{number}.bn_l"] = f"{ours}.1"
    for block in range(blocks):
        for half in (0, 1):
            for theirs, ours in _PUBLISHED_PARTS.items():
                layers[f"model.{5 + block}.conv{half + 1}.{theirs}"] = (
                    f"bottleneck.{block}.convolutions.{half}.{ours}"
                )
    # Joining the two parts is a layer without tensors, and so are ReLU and padding.
    first = 6 + blocks
    for step in range(3):
        layers[f"model.{first + 3 * step}"] = f"doubling.{step}.0"
        layers[f"model.{first + 3 * step + 1}"] = f"doubling.{step}.1"
    layers[f"model.{first + 10}"] = "output"
    return layers


def published_lama(state: Mapping[str, Tensor]) -> tuple[Callable[[], LaMa], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: tensors that do not fit the published architecture.
    """
    renamed = rename_published_lama(state)
    blocks = len({name.split(".")[1] for name in renamed if name.startswith("bottleneck.")})
    return partial(LaMa, width=renamed["entry.0.weight"].shape[0], blocks=blocks), renamed


register(
    LaMa,
    paper="Suvorov et al., Resolution-robust Large Mask Inpainting with Fourier Convolutions, "
    "WACV 2022",
    code="https://github.com/advimman/lama",
    licence="Apache 2.0",
    published=(
        PublishedForm(is_published_lama, published_lama, "https://github.com/advimman/lama"),
    ),
)
