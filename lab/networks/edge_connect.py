"""EdgeConnect: one network completes the edges, and a second one paints between them.

Kamyar Nazeri, Eric Ng, Tony Joseph, Faisal Qureshi, Mehran Ebrahimi, "EdgeConnect: Generative Image
Inpainting with Adversarial Edge Learning" (ICCV workshops 2019). Its two generators are published
in two files: each is a network of its own here, and `load_edge_connect` makes one of both.

Differs from the published code in form only. Any image size is accepted (padded inside, cropped
back; the code repeats what it lacks at the end). Pixels under the hole are replaced rather than
multiplied away, so that not even a NaN gets through. Painting goes by known edges outside the hole
and drawn ones in it, as the paper says and the code trains; the code's test shows it drawn ones
everywhere.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lab.contracts import Guides, Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import ResidualBlock, extend
from lab.networks.checkpoints import load_network
from lab.networks.guide_reading import read_guide
from lab.networks.registry import PublishedForm, register

# Both generators halve the image twice, and mirror two pixels of what is left.
_MULTIPLE, _SMALLEST = 4, 12

# Of red, green and blue in the published code's grays, which are scikit-image's.
_LUMINANCE = (0.2125, 0.7154, 0.0721)


class _Generator(nn.Module):
    """What both generators are: two halvings, dilated residual blocks, two doublings."""

    def __init__(
        self, in_channels: int, out_channels: int, width: int, blocks: int, spectral: bool
    ) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width} (64 as published)")
        if blocks < 1:
            raise ValueError(f"blocks must be at least 1, not {blocks} (8 as published)")
        self.width = width
        self.blocks = blocks

        def normed(convolution: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, ...]:
            _initialize(convolution)
            layer = spectral_norm(convolution) if spectral else convolution
            return layer, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()

        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(3),
            *normed(nn.Conv2d(in_channels, width, 7)),
            *normed(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1)),
            *normed(nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1)),
        )
        self.middle = nn.Sequential(
            *(ResidualBlock(4 * width, dilation=2, spectral=spectral) for _ in range(blocks))
        )
        self.decoder = nn.Sequential(
            *normed(nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1)),
            *normed(nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, out_channels, 7),
        )
        _initialize(self.decoder[-1])

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of an objective reaches last."""
        return self.decoder[-1]

    def _answer(self, planes: Tensor) -> Tensor:
        """Run all layers on ``(B, in_channels, H, W)``, without the last bounding function."""
        height, width = planes.shape[-2:]
        seen = _pad(planes).contiguous(memory_format=torch.channels_last)
        answer: Tensor = self.decoder(self.middle(self.encoder(seen)))
        return answer.float()[..., :height, :width]


class EdgeGenerator(_Generator):
    """EdgeConnect's first generator: draws the edges that the hole hides.

    As a network of its own it answers with its drawing as a gray image.

    Args:
        width: channels of the first layer; 64 as published. The deepest have four times.
        blocks: residual blocks; 8 as published.

    Raises:
        ValueError: a width or blocks below 1.
    """

    guides = ("edges",)

    def __init__(self, width: int = 64, blocks: int = 8) -> None:
        super().__init__(3, 1, width, blocks, spectral=True)

    def forward(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Stages:
        """Draw the edges of the whole photo.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
            guides: ``edges``: float32 ``(B, 1, H, W)`` in [0, 1], 1 = edge; what lies under the
                hole is not read.

        Returns:
            Stages: the drawing, its one channel three times, float32 ``(B, 3, H, W)`` in [0, 1];
            and as extras ``drawn_edges``, the same as ``(B, 1, H, W)``, and ``edges``, the known
            ones with the drawn ones in the hole.

        Raises:
            ValueError: no edges, or of another shape.
        """
        hole = mask > 0.5
        known = torch.where(hole, 0.0, read_guide(guides, "edges", mask))
        gray = torch.where(hole, 1.0, to_gray(image))
        drawn = self._answer(torch.cat([gray, known, mask], dim=1)).sigmoid()
        return Stages(
            images=(drawn.expand(-1, 3, -1, -1),),
            extras={"edges": torch.where(hole, drawn, known), "drawn_edges": drawn},
        )


class EdgePainter(_Generator):
    """EdgeConnect's second generator: paints the photo whose edges it is shown.

    As a network of its own it goes by the photo's edges outside the hole, and in it by a sketch:
    the edges of the truth, as the published second phase trains it, or what a person draws.

    Args:
        width: channels of the first layer; 64 as published. The deepest have four times.
        blocks: residual blocks; 8 as published.
        start: in the hole, white as ``"published"``; a smooth ``"fill"``; or the fill as what it
            corrects (``"residual"``), then without the tanh: see `lab.fills.hole_start`.

    Raises:
        ValueError: a width or blocks below 1, or a start that there is not.
    """

    guides = ("edges", "sketch")

    def __init__(self, width: int = 64, blocks: int = 8, start: HoleStart = "published") -> None:
        check_hole_start(start)
        super().__init__(4, 3, width, blocks, spectral=False)
        self.start = start
        if start == "residual":
            start_at_zero(self.last_layer)

    def forward(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Stages:
        """Answer with a whole image, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
            guides: ``edges`` and ``sketch``: float32 ``(B, 1, H, W)`` in [0, 1], 1 = edge or
                stroke. Under the hole the sketch is read, elsewhere the edges.

        Returns:
            Stages: one image, float32 ``(B, 3, H, W)`` in [0, 1], or around it as a correction of a
            fill; and as an extra ``edges``, what it went by.

        Raises:
            ValueError: a guide is missing, or has another shape.
        """
        hole = mask > 0.5
        sketch, known = (read_guide(guides, name, mask) for name in ("sketch", "edges"))
        edges = torch.where(hole, sketch, known)
        shown = show_hole_start(image, hole, self.start, published=1.0)
        answer = self._answer(torch.cat([shown, edges], dim=1))
        if self.start == "residual":
            # Not bounded: from what a bound cuts off, nothing is learnt.
            answer = shown + mask * answer
        else:
            answer = (answer.tanh() + 1.0) / 2.0
        return Stages(images=(answer,), extras={"edges": edges})


class EdgeConnect(nn.Module):
    """Both generators, one after the other; ``edges`` and ``painting`` are its parts.

    Args:
        width: channels of both generators' first layers; 64 as published.
        blocks: residual blocks of each; 8 as published.
        start: what `EdgePainter` is shown in the hole. The edges are drawn from white in it always:
            a smooth fill has none to show.

    Raises:
        ValueError: a width or blocks below 1, or a start that there is not.
    """

    guides = ("edges",)

    def __init__(self, width: int = 64, blocks: int = 8, start: HoleStart = "published") -> None:
        super().__init__()
        self.width = width
        self.blocks = blocks
        self.start = start
        self.edges = EdgeGenerator(width, blocks)
        self.painting = EdgePainter(width, blocks, start)

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of the image reaches last."""
        return self.painting.last_layer

    def forward(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Stages:
        """Answer with a whole image, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
            guides: ``edges``: float32 ``(B, 1, H, W)`` in [0, 1], 1 = edge; what lies under the
                hole is not read.

        Returns:
            Stages: one image, float32 ``(B, 3, H, W)`` in [0, 1], or around it as a correction of a
            fill; and as extras ``edges``, the known edges with the drawn ones in the hole, and
            ``drawn_edges``, the drawn ones everywhere.

        Raises:
            ValueError: no edges, or of another shape.
        """
        drawing = self.edges(image, mask, guides)
        known = read_guide(guides, "edges", mask)
        painted = self.painting(
            image, mask, {"edges": known, "sketch": drawing.extras["drawn_edges"]}
        )
        return Stages(images=painted.images, extras=drawing.extras)


def to_gray(image: Tensor) -> Tensor:
    """Return the luminance ``(B, 1, H, W)`` of ``image (B, 3, H, W)``, as published."""
    weights = image.new_tensor(_LUMINANCE).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True)


def load_edge_connect(edge_file: Path | str, painting_file: Path | str) -> EdgeConnect:
    """Make the whole network of the files of its two generators, in eval mode.

    Args:
        edge_file: published as ``EdgeModel_gen.pth``, or a checkpoint of `EdgeGenerator`.
        painting_file: published as ``InpaintingModel_gen.pth``, or a checkpoint of `EdgePainter`.

    Raises:
        FileNotFoundError, UnreadableCheckpointError: as `load_network`.
        ValueError: a file holds another network, or the two are of different sizes.
    """
    edges, painting = load_network(edge_file), load_network(painting_file)
    if not isinstance(edges, EdgeGenerator):
        raise ValueError(f"{edge_file} holds {type(edges).__name__}, but must hold EdgeGenerator")
    if not isinstance(painting, EdgePainter):
        kind = type(painting).__name__
        raise ValueError(f"{painting_file} holds {kind}, but must hold EdgePainter")
    sizes = [(part.width, part.blocks) for part in (edges, painting)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"width and blocks are {sizes[0]} in {edge_file} and {sizes[1]} in {painting_file}, "
            "but must be equal: take two files of one training"
        )
    with torch.device("meta"):
        network = EdgeConnect(painting.width, painting.blocks, painting.start)
    network.edges, network.painting = edges, painting
    return network.eval()


def _initialize(convolution: nn.Module) -> None:
    assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d)
    nn.init.normal_(convolution.weight, 0.0, 0.02)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)


def _pad(planes: Tensor) -> Tensor:
    """Repeat the last row and column until both sides are multiples of 4, and at least 12."""
    height, width = (
        torch.sym_max(_SMALLEST, (side + _MULTIPLE - 1) // _MULTIPLE * _MULTIPLE)
        for side in planes.shape[-2:]
    )
    return extend(planes, height, width)


def is_published_edge_generator(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of EdgeConnect's published edge generators."""
    return "middle.0.conv_block.1.weight_orig" in _without_prefix(state)


def is_published_edge_painter(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of EdgeConnect's published inpainting generators."""
    return "middle.0.conv_block.1.weight" in _without_prefix(state)


def rename_published_edge_connect(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of either published generator into this module's own; a pure function."""
    renamed: dict[str, Tensor] = {}
    for published, tensor in _without_prefix(state).items():
        name = published.replace(".conv_block.", ".body.")
        name = name.replace("weight_orig", "parametrizations.weight.original")
        renamed[re.sub(r"weight_([uv])$", r"parametrizations.weight.0._\1", name)] = tensor
    return renamed


def published_edge_connect(
    state: Mapping[str, Tensor],
) -> tuple[Callable[[], EdgeGenerator | EdgePainter], dict[str, Tensor]]:
    """Return what builds the generator that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: a tensor that both generators have is missing.
    """
    kind = EdgeGenerator if is_published_edge_generator(state) else EdgePainter
    renamed = rename_published_edge_connect(state)
    blocks = {name.split(".")[1] for name in renamed if name.startswith("middle.")}
    return partial(kind, width=renamed["decoder.7.weight"].shape[1], blocks=len(blocks)), renamed


def _without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


_PAPER = (
    "Nazeri et al., EdgeConnect: Generative Image Inpainting with Adversarial Edge Learning, "
    "ICCV workshops 2019"
)
_CODE = "https://github.com/knazeri/edge-connect"
_LICENCE = "CC BY-NC 4.0"

register(EdgeConnect, paper=_PAPER, code=_CODE, licence=_LICENCE)
register(
    EdgeGenerator,
    paper=_PAPER,
    code=_CODE,
    licence=_LICENCE,
    published=(PublishedForm(is_published_edge_generator, published_edge_connect, _CODE),),
)
register(
    EdgePainter,
    paper=_PAPER,
    code=_CODE,
    licence=_LICENCE,
    published=(PublishedForm(is_published_edge_painter, published_edge_connect, _CODE),),
)
