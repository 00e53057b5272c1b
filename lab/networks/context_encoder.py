"""Context Encoder: fills the middle of a photo through a bottleneck of one position.

Deepak Pathak, Philipp Krähenbühl, Jeff Donahue, Trevor Darrell, Alexei A. Efros, "Context
Encoders: Feature Learning by Inpainting" (CVPR 2016), in the form of the PyTorch code by Boyuan
Jiang. It is shown a square photo of 128 pixels a side whose middle is painted over, and answers
the middle 64. It is told nothing of the hole: that it lies in the middle is all it knows of it.

Differs from the published code in what it can be given. The published code takes one square hole
in one place; here any photo and any hole get a whole image:

- The network looks through a square window (`lab.layers.HoleView`) whose middle holds the box
  round the hole. As published, the box is at most 56 pixels a side there, and the answer reaches
  over 4 known pixels all round. The published hole of a photo of 128 pixels gives exactly the
  published answer.
- A smaller box is not enlarged. For a larger one the window is wider and shrunk to 128, and the
  answer is enlarged, so that it is blurred. Beyond the photo, its border is repeated.
- As published, all 56 pixels square are painted over: known pixels beside the hole too, so that a
  hole which winds through a photo hides most of it. Holes far apart are better given one by one,
  by a strategy that cuts the photo up. ``start="fill"`` and ``"residual"`` show the known pixels
  beside the hole: train these for holes that are no squares.
- Outside the middle half of the window, the answered image is the photo itself.

The paint is the published code's (117, 104, 123) for R, G and B: the mean colour of ImageNet,
(123, 117, 104), in another order.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import HoleView, draw_normal_weights
from lab.networks.registry import PublishedForm, register
from lab.ranks import ranks

_HOLE_COLOUR = (117.0 / 255.0, 104.0 / 255.0, 123.0 / 255.0)

CONTEXT_ENCODER_OVERLAP = 4
"""How many known pixels round the middle hole are answered too."""

_LEAST_VIEW, _LARGEST_VIEW = 32, 1024


def context_encoder_view(mask: Tensor, view_size: int) -> HoleView:
    """The window through which the network and its discriminator look at photos.

    Args:
        mask: ``(B, 1, H, W)``, 1 = hole.
        view_size: side of the window in its own pixels; its ``centre`` is what is answered.
    """
    return HoleView.around(mask, view_size, view_size // 2 - 2 * CONTEXT_ENCODER_OVERLAP)


class ContextEncoder(nn.Module):
    """The published network; ``(image, mask) -> Stages`` with one image.

    Args:
        width: channels of the first layer; 64 as published. The deepest have eight times.
        view_size: side of the window that it looks through, in pixels; 128 as published, a power
            of two from 32 to 1024. Half of it is answered. For photos smaller than it, take less.
        bottleneck: channels of the one position that everything passes through; None for 62.5 a
            channel of the width, the published 4000.
        start: in the hole, one colour, and over the known pixels of its square too, as
            ``"published"``; a smooth ``"fill"`` in the hole alone; or the fill as what the answer
            corrects, in the hole (``"residual"``): see `lab.fills.hole_start`.

    Raises:
        ValueError: a width or a bottleneck below 1, a view of another size, or a start that there
            is not.
    """

    def __init__(
        self,
        width: int = 64,
        view_size: int = 128,
        bottleneck: int | None = None,
        start: HoleStart = "published",
    ) -> None:
        super().__init__()
        check_hole_start(start)
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width} (64 as published)")
        if not _LEAST_VIEW <= view_size <= _LARGEST_VIEW or view_size & (view_size - 1):
            raise ValueError(
                f"view_size must be a power of two from {_LEAST_VIEW} to {_LARGEST_VIEW}, not "
                f"{view_size} (128 as published)"
            )
        if bottleneck is not None and bottleneck < 1:
            raise ValueError(f"bottleneck must be at least 1, not {bottleneck} (4000 as published)")
        self.width = width
        self.view_size = view_size
        self.bottleneck = bottleneck
        self.start = start
        # Down to 4 pixels a side; 64, 64, 128, 256, 512 channels as published.
        halvings = view_size.bit_length() - 3
        widths = [width * min(8, 2 ** max(0, number - 1)) for number in range(halvings)]
        deep = bottleneck or max(1, width * 125 // 2)
        self.encoder = nn.Sequential(
            _Layer(nn.Conv2d(3, width, 4, 2, 1, bias=False), nn.LeakyReLU(0.2), normalized=False),
            *(
                _Layer(nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.LeakyReLU(0.2))
                for before, after in pairwise(widths)
            ),
            _Layer(nn.Conv2d(widths[-1], deep, 4, bias=False), nn.LeakyReLU(0.2)),
        )
        back = widths[:0:-1]
        last = nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False)
        self.decoder = nn.Sequential(
            _Layer(nn.ConvTranspose2d(deep, back[0], 4, bias=False), nn.ReLU()),
            *(
                _Layer(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.ReLU())
                for before, after in pairwise(back)
            ),
            _Layer(last, nn.Tanh(), normalized=False),
        )
        draw_normal_weights(self)
        if start == "residual":
            start_at_zero(last)

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of an objective reaches last."""
        return self.decoder[-1]

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        """Answer with a whole image, not pasted onto the known pixels within the answered square.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.

        Returns:
            Stages: one image, float32 ``(B, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: one photo alone in training, whose bottleneck cannot be normalized.
        """
        deepest = self.encoder[-1].get_submodule("normalization")
        if deepest.training and ranks() * len(image) == 1:
            raise ValueError(
                "training needs at least 2 photos a batch, not 1: the bottleneck has one position, "
                "and is normalized over the batch. Raise the batch size, or call eval()"
            )
        height, width = image.shape[-2:]
        hole = mask > 0.5
        view = context_encoder_view(mask, self.view_size)
        known = show_hole_start(image, hole, "published", published=0.0).float()
        if self.start == "published":
            start = known
            shown = self._paint_middle(view.look(known), view.look(1.0 - mask))
        else:
            start = show_hole_start(image, hole, self.start, published=0.0).float()
            shown = view.look(start)
        answer = self.decoder(self.encoder(2.0 * shown - 1.0)).float()
        spread = view.centre.put_back(answer, height, width)
        if self.start == "residual":
            # Between black and white lie 2 of the network's units, and 1 of ours.
            whole = (start + mask * spread).clamp(0.0, 1.0)
        else:
            whole = torch.where(
                view.centre.covers(height, width), ((spread + 1.0) / 2.0).clamp(0.0, 1.0), known
            )
        return Stages(images=(whole,))

    def _paint_middle(self, shown: Tensor, certain: Tensor) -> Tensor:
        """Put the colour over the middle square, and over what is hole elsewhere.

        Args:
            shown: the view of the known pixels, 0 in the hole.
            certain: which share of each of its pixels is known.
        """
        colour = torch.tensor(_HOLE_COLOUR, device=shown.device)[:, None, None]
        # Beside the middle, only the repeated border of a photo can be hole.
        hidden = certain < 0.5
        edge = self.view_size // 4 + CONTEXT_ENCODER_OVERLAP
        hidden[..., edge:-edge, edge:-edge] = True
        return torch.where(hidden, colour, shown / certain.clamp(min=0.5))


class _Layer(nn.Module):
    """A convolution, normalization and activation, in this order."""

    def __init__(
        self,
        convolution: nn.Conv2d | nn.ConvTranspose2d,
        activation: nn.Module,
        normalized: bool = True,
    ) -> None:
        super().__init__()
        self.convolution = convolution
        self.normalization = nn.BatchNorm2d(convolution.out_channels) if normalized else None
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(x)
        if self.normalization is not None:
            x = self.normalization(x)
        activated: Tensor = self.activation(x)
        return activated


# The published numbers of the convolutions; the number after is the normalization's.
_PUBLISHED_CONVOLUTIONS = {
    **{(0, 2, 5, 8, 11, 14)[layer]: f"encoder.{layer}" for layer in range(6)},
    **{17 + 3 * layer: f"decoder.{layer}" for layer in range(5)},
}


def is_published_context_encoder(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published Context Encoder checkpoints."""
    names = {name.removeprefix("module.") for name in state}
    return {"main.0.weight", "main.14.weight", "main.17.weight", "main.29.weight"} <= names


def rename_published_context_encoder(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Checkpoints from before PyTorch 0.4.1 do not count batches; they are given a count of 0, which
    nothing reads.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        found = re.fullmatch(r"(?:module\.)?main\.(\d+)\.(\w+)", published)
        number, leaf = (int(found[1]), found[2]) if found else (-1, "")
        if number in _PUBLISHED_CONVOLUTIONS:
            ours = f"{_PUBLISHED_CONVOLUTIONS[number]}.convolution"
        elif number - 1 in _PUBLISHED_CONVOLUTIONS:
            ours = f"{_PUBLISHED_CONVOLUTIONS[number - 1]}.normalization"
        else:
            raise KeyError(f"{published!r} is no tensor of the published Context Encoder")
        renamed[f"{ours}.{leaf}"] = tensor
        if leaf == "running_mean":
            renamed.setdefault(f"{ours}.num_batches_tracked", torch.tensor(0))
    return renamed


def published_context_encoder(
    state: Mapping[str, Tensor],
) -> tuple[Callable[[], ContextEncoder], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: tensors that do not fit the published architecture.
    """
    renamed = rename_published_context_encoder(state)
    width = renamed["encoder.0.convolution.weight"].shape[0]
    bottleneck = renamed["encoder.5.convolution.weight"].shape[0]
    return partial(ContextEncoder, width=width, bottleneck=bottleneck), renamed


register(
    ContextEncoder,
    paper="Pathak et al., Context Encoders: Feature Learning by Inpainting, CVPR 2016",
    code="https://github.com/BoyuanJiang/context_encoder_pytorch",
    licence="MIT",
    published=(
        PublishedForm(
            is_published_context_encoder,
            published_context_encoder,
            "https://github.com/BoyuanJiang/context_encoder_pytorch",
        ),
    ),
)
