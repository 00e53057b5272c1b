"""DeepFillv2: two stages of gated convolution; the second looks for patches to copy.

Jiahui Yu, Zhe Lin, Jimei Yang, Xiaohui Shen, Xin Lu, Thomas Huang, "Free-Form Image Inpainting with
Gated Convolution" (ICCV 2019). Equal to a PyTorch port of the authors' code, and, by
``convention="tensorflow"``, to that code itself, whose converted weights the port offers too.

Differs from the published code in form only. Any image size is accepted (padded inside, cropped
back). Pixels under the hole are replaced rather than multiplied away, so that not even a NaN gets
through. Each photo's attention goes by its own hole, where the port takes the first one's of the
batch. And the attention's scores are not all held at once.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.contracts import Guides, Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import ContextualAttention, GatedConvolution, Initialization, pad_to_multiple
from lab.networks.guide_reading import read_guide
from lab.networks.registry import Preset, PublishedForm, register

# Both stages halve the image twice, and the attention thins out once more.
_MULTIPLE = 8

Convention = Literal["pytorch", "tensorflow"]


class DeepFillv2(nn.Module):
    """The published generator; ``(image, mask) -> Stages`` with a coarse and a refined image.

    Args:
        width: twice the channels of the first layer, half of whose maps are gates; 48 as
            published, a multiple of 4. The deepest layers have twice the width.
        sketch: whether it reads the guide ``sketch``, whose strokes in the hole are one channel
            more of the first stage's input, as the paper's user-guided form has it.
        fuse: whether the attention's scores count their neighbours', as published.
        convention: how maps are halved: ``"pytorch"``, with zeros on all sides and by the upper
            left pixel; or ``"tensorflow"``, as the authors' weights were trained.
        initialization: ``"kaiming"`` as published; or ``"identity"``, which short training needs:
            as published, what is seen fades by half in each of thirty gated layers.
        start: in the hole, mid-gray as ``"published"``; a smooth ``"fill"``; or the fill as what
            both stages correct (``"residual"``), then without the tanh: see
            `lab.fills.hole_start`.
        separable: whether the gated convolutions are, all but the first of each stage, of few
            channels, as MobileNet leaves its first one plain.

    Raises:
        ValueError: a width that is no multiple of 4, or an option that there is not.
    """

    guides: tuple[str, ...] = ()

    def __init__(
        self,
        width: int = 48,
        sketch: bool = False,
        fuse: bool = True,
        convention: Convention = "pytorch",
        initialization: Initialization = "kaiming",
        start: HoleStart = "published",
        separable: bool = False,
    ) -> None:
        super().__init__()
        check_hole_start(start)
        if width < 4 or width % 4:
            raise ValueError(f"width must be a multiple of 4, not {width} (48 as published)")
        if convention not in get_args(Convention):
            raise ValueError(unknown_name_message("convention", convention, get_args(Convention)))
        self.width = width
        self.sketch = sketch
        self.fuse = fuse
        self.convention = convention
        self.initialization = initialization
        self.start = start
        self.separable = separable
        if sketch:
            self.guides = ("sketch",)
        half, deep = width // 2, 2 * width
        in_tensorflow = convention == "tensorflow"
        gated = partial(
            GatedConvolution,
            activation="elu",
            normalization=False,
            odd_padding="end" if in_tensorflow else "both",
            initialization=initialization,
            separable=separable,
        )
        first = partial(gated, separable=False)
        # RGB, sketch, ones, mask
        self.coarse_network = nn.Sequential(
            first(6 if sketch else 5, half, 5),
            gated(half, width, 3, stride=2),
            gated(width, width, 3),
            gated(width, deep, 3, stride=2),
            gated(deep, deep, 3),
            gated(deep, deep, 3),
            *(gated(deep, deep, 3, dilation=dilation) for dilation in (2, 4, 8, 16)),
            gated(deep, deep, 3),
            *_decoder(width, gated),
        )
        self.refine_encoder = nn.Sequential(
            first(3, half, 5),
            gated(half, half, 3, stride=2),
            gated(half, width, 3),
            gated(width, width, 3, stride=2),
            gated(width, deep, 3),
            gated(deep, deep, 3),
            *(gated(deep, deep, 3, dilation=dilation) for dilation in (2, 4, 8, 16)),
        )
        self.attention_encoder = nn.Sequential(
            first(3, half, 5),
            gated(half, half, 3, stride=2),
            gated(half, width, 3),
            gated(width, deep, 3, stride=2),
            gated(deep, deep, 3),
            gated(deep, deep, 3, activation="relu"),
        )
        self.attention = ContextualAttention(fuse=fuse, align_corners=in_tensorflow)
        self.attention_decoder = nn.Sequential(gated(deep, deep, 3), gated(deep, deep, 3))
        self.refine_decoder = nn.Sequential(gated(2 * deep, deep, 3), *_decoder(width, gated))
        if initialization == "kaiming":
            self._initialize_as_published()
        if start == "residual":
            start_at_zero(self.coarse_network[-1])
            start_at_zero(self.refine_decoder[-1])

    def _initialize_as_published(self) -> None:
        for module in self.modules():
            if isinstance(module, GatedConvolution):
                weight = module.convolution.weight
                nn.init.kaiming_uniform_(weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.zeros_(module.bias)

    feature_layers = ("coarse_network.0", "coarse_network.2", "coarse_network.5")
    """Layers of the whole, the half and a quarter of the size, which show what an image is like."""

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of the refined stage reaches last."""
        return self.refine_decoder[-1]

    def forward(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Stages:
        """Answer with whole images, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
            guides: with ``sketch=True``, ``sketch``: float32 ``(B, 1, H, W)`` in [0, 1],
                1 = stroke; what lies outside the hole is not read. Others are not read.

        Returns:
            Stages: the coarse and the refined image, float32 ``(B, 3, H, W)`` in [0, 1], or around
            it as corrections of a fill; what attention made is the extra ``attended``, at a quarter
            of the size.

        Raises:
            ValueError: no sketch where one is read, or one of another shape.
        """
        height, width = image.shape[-2:]
        hole = mask > 0.5
        shown = pad_to_multiple(
            show_hole_start(2.0 * image - 1.0, hole, self.start, published=0.0), _MULTIPLE
        )
        padded_mask = pad_to_multiple(mask, _MULTIPLE)
        planes = [shown, torch.ones_like(padded_mask), padded_mask]
        if self.sketch:
            strokes = torch.where(hole, read_guide(guides, "sketch", mask), 0.0)
            planes.insert(1, pad_to_multiple(strokes, _MULTIPLE))
        seen = torch.cat(planes, dim=1).contiguous(memory_format=torch.channels_last)
        coarse = self._stage(self.coarse_network(seen), shown, padded_mask)
        composite = torch.where(padded_mask > 0.5, coarse, shown)
        seen = composite.contiguous(memory_format=torch.channels_last)
        attended = self.attention(self.attention_encoder(seen), padded_mask > 0.5)
        features = torch.cat([self.refine_encoder(seen), self.attention_decoder(attended)], dim=1)
        refined = self._stage(self.refine_decoder(features), composite, padded_mask)
        return Stages(
            images=tuple((stage[..., :height, :width] + 1.0) / 2.0 for stage in (coarse, refined)),
            extras={"attended": attended},
        )

    def _stage(self, answer: Tensor, shown: Tensor, mask: Tensor) -> Tensor:
        if self.start == "residual":
            # Not bounded: from what a bound cuts off, nothing is learnt.
            return shown + mask * answer.float()
        return answer.float().tanh()


def _decoder(width: int, gated: Callable[..., GatedConvolution]) -> tuple[nn.Module, ...]:
    """The layers from a quarter of the size back to an image."""
    return (
        gated(2 * width, 2 * width, 3),
        gated(2 * width, width, 3, upsample=True),
        gated(width, width, 3),
        gated(width, width // 2, 3, upsample=True),
        gated(width // 2, width // 4, 3),
        nn.Conv2d(width // 4, 3, 3, padding=1),
    )


_UP = (
    *("up_block1.conv1_upsample.conv", "up_block1.conv2"),
    *("up_block2.conv1_upsample.conv", "up_block2.conv2", "conv_to_rgb"),
)
_DOWN = tuple(f"down_block{i}.{layer}" for i in (1, 2) for layer in ("conv1_downsample", "conv2"))
_PORT = {
    "coarse_network": [
        f"stage1.{layer}"
        for layer in ("conv1", *_DOWN, *(f"conv_bn{number}" for number in range(1, 8)), *_UP)
    ],
    "refine_encoder": [
        f"stage2.conv_{layer}"
        for layer in ("conv1", *_DOWN, *(f"conv_bn{number}" for number in range(1, 6)))
    ],
    "attention_encoder": [f"stage2.ca_{layer}" for layer in ("conv1", *_DOWN, "conv_bn1")],
    "attention_decoder": ["stage2.ca_conv_bn4", "stage2.ca_conv_bn5"],
    "refine_decoder": [f"stage2.{layer}" for layer in ("conv_bn6", "conv_bn7", *_UP)],
}


def _in_tensorflow(prefix: str, first: int, last: int) -> list[str]:
    kinds = {2: "_downsample", 4: "_downsample", 13: "_upsample.conv", 15: "_upsample.conv"}
    kinds |= dict.fromkeys(range(7, 11), "_atrous")
    if prefix == "pm":
        del kinds[9], kinds[10]  # no dilation beside the attention
    return [f"{prefix}conv{number}{kinds.get(number, '')}" for number in range(first, last + 1)]


_CONVERTED = {
    "coarse_network": _in_tensorflow("", 1, 17),
    "refine_encoder": _in_tensorflow("x", 1, 10),
    "attention_encoder": _in_tensorflow("pm", 1, 6),
    "attention_decoder": _in_tensorflow("pm", 9, 10),
    "refine_decoder": _in_tensorflow("all", 11, 17),
}


def is_published_deepfill_v2(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the port's own checkpoints."""
    return any(name.removeprefix("module.").startswith("stage2.ca_conv") for name in state)


def is_converted_deepfill_v2(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the authors' weights, as the port converted them.

    They go by the TensorFlow layers' names.
    """
    return any(name.removeprefix("module.").startswith("pmconv") for name in state)


def rename_published_deepfill_v2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint, of either form, into this module's own; pure.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    layers = {}
    for part, names in (_CONVERTED if is_converted_deepfill_v2(state) else _PORT).items():
        for index, layer in enumerate(names):
            last = layer.endswith(("conv_to_rgb", "conv17"))
            layers[f"{layer}.conv"] = f"{part}.{index}" + ("" if last else ".convolution")
    # Files without it mean the identity, as everyone trained with.
    renamed = {"attention.fusion": torch.eye(3)[None, None]}
    for published, tensor in state.items():
        layer, _, leaf = published.removeprefix("module.").rpartition(".")
        if leaf == "fuse_weight":
            renamed["attention.fusion"] = tensor
        elif layer in layers:
            renamed[f"{layers[layer]}.{leaf}"] = tensor
        else:
            raise KeyError(f"{published!r} is no tensor of the published DeepFillv2")
    return renamed


def published_deepfill_v2(
    state: Mapping[str, Tensor],
) -> tuple[Callable[[], DeepFillv2], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError, RuntimeError: tensors that do not fit the published architecture.
    """
    renamed = rename_published_deepfill_v2(state)
    first = renamed["coarse_network.0.convolution.weight"]
    channels = first.shape[1]
    if channels not in (5, 6):
        raise RuntimeError(
            f"the first layer reads {channels} channels, but published ones 5, or 6 with a sketch"
        )
    convention: Convention = "tensorflow" if is_converted_deepfill_v2(state) else "pytorch"
    build = partial(DeepFillv2, width=first.shape[0], sketch=channels == 6, convention=convention)
    return build, renamed


_PAGE = "https://github.com/nipponjo/deepfillv2-pytorch"

register(
    DeepFillv2,
    paper="Yu et al., Free-Form Image Inpainting with Gated Convolution, ICCV 2019",
    code=f"{_PAGE}, and https://github.com/JiahuiYu/generative_inpainting",
    licence="none stated for the port; the authors' code and weights: CC BY-NC 4.0",
    published=(
        PublishedForm(is_published_deepfill_v2, published_deepfill_v2, _PAGE),
        PublishedForm(is_converted_deepfill_v2, published_deepfill_v2, _PAGE),
    ),
    # As the deployment notes compressed it; they count its convolutions.
    presets={
        "full": Preset({}, 256, 25e9),
        "4g": Preset({"separable": True}, 256, 4e9),
        "1g": Preset({"separable": True}, 128, 1e9),
        "600m": Preset({"separable": True, "width": 36}, 128, 600e6),
        "300m": Preset({"separable": True, "width": 24}, 128, 300e6),
    },
)
