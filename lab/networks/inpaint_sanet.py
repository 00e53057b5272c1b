"""InpaintSANet: two-stage gated convolution with self-attention in the refinement.

The network that the background notes start from (the ``bgnet`` of Impersonator), after Jiahui Yu
et al., "Free-Form Image Inpainting with Gated Convolution" (ICCV 2019), with the self-attention of
Han Zhang et al. (ICML 2019) in place of contextual attention, and batch normalization throughout.

Differs from the published code in form only: feature and gate convolution of a layer are fused,
any image size is accepted (padded inside, cropped back), and pixels under the hole are replaced
rather than multiplied away, so that not even a NaN gets through. The changes that the background
notes tried (V3.1 to V3.5) are options, off by default.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, cast

import torch
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import (
    AttentionScale,
    CoordinateAttention,
    CoordinatePlace,
    Gate,
    GatedChannelTransformation,
    GatedConvolution,
    GCTNorm,
    Initialization,
    SelfAttention,
    pad_to_multiple,
)
from lab.networks.registry import Preset, PublishedForm, register

# Both stages halve the image twice.
_MULTIPLE = 4


class InpaintSANet(nn.Module):
    """The published generator; ``(image, mask) -> Stages`` with a coarse and a refined image.

    Args:
        width: channels of the first layer; 32 as published, 8 or more. The widest have four times.
        input_channels: 4 (RGB and mask; the Impersonator form) or 5 (a channel of ones more; the
            original form).
        gate: of every convolution: ``"sigmoid"`` as published, ``"gct"`` (V3.1.1) or ``"both"``
            (V3.1.2); see :class:`~lab.layers.GatedConvolution`.
        gct_norm: of the channel gates of ``"gct"`` and ``"both"``: ``"l1"``, the notes' choice, or
            ``"l2"``, the paper's.
        attention_scale: of the attention's energies: ``"none"`` as published, ``"sqrt_d"``, or
            ``"as_documented"`` (V3.3), which is wrong: the answer depends on the batch size; see
            :class:`~lab.layers.SelfAttention`.
        coordinate_attention: ``"off"`` as published; added to the attention's ``"output"`` (V3.4)
            or to its ``"keys"`` (V3.5).
        initialization: ``"kaiming"`` as published; or ``"identity"``, with which short training
            gets further: see :class:`~lab.layers.GatedConvolution`.
        start: in the hole, white as ``"published"``; a smooth ``"fill"``; or the fill as what both
            stages correct (``"residual"``): see `lab.fills.hole_start`.
        separable: whether the gated convolutions are, all but the first and the last of each
            stage, of few channels.

    Raises:
        ValueError: a width below 8 or odd, another number of input channels, or an option that
            there is not.
    """

    def __init__(
        self,
        width: int = 32,
        input_channels: Literal[4, 5] = 5,
        gate: Gate = "sigmoid",
        gct_norm: GCTNorm = "l1",
        attention_scale: AttentionScale = "none",
        coordinate_attention: CoordinatePlace = "off",
        initialization: Initialization = "kaiming",
        start: HoleStart = "published",
        separable: bool = False,
    ) -> None:
        super().__init__()
        check_hole_start(start)
        if width < 8 or width % 2:
            raise ValueError(f"width must be even and at least 8, not {width} (32 as published)")
        if input_channels not in (4, 5):
            raise ValueError(
                f"input_channels must be 4 (RGB, mask) or 5 (RGB, mask, ones), not {input_channels}"
            )
        self.width = width
        self.input_channels = input_channels
        self.gate = gate
        self.gct_norm = gct_norm
        self.attention_scale = attention_scale
        self.coordinate_attention = coordinate_attention
        self.initialization = initialization
        self.start = start
        self.separable = separable
        deep = 4 * width
        gated = partial(
            GatedConvolution,
            gate=gate,
            gct_norm=gct_norm,
            initialization=initialization,
            separable=separable,
        )
        self.coarse_network = nn.Sequential(
            gated(input_channels, width, 5, separable=False),
            gated(width, 2 * width, 4, stride=2),
            gated(2 * width, 2 * width, 3),
            gated(2 * width, deep, 4, stride=2),
            gated(deep, deep, 3),
            gated(deep, deep, 3),
            *(gated(deep, deep, 3, dilation=dilation) for dilation in (2, 4, 8, 16)),
            *_decoder(deep, width, gated),
        )
        self.refine_encoder = nn.Sequential(
            gated(input_channels, width, 5, separable=False),
            gated(width, width, 4, stride=2),
            gated(width, 2 * width, 3),
            gated(2 * width, 2 * width, 4, stride=2),
            gated(2 * width, deep, 3),
            gated(deep, deep, 3),
            gated(deep, deep, 3),
            *(gated(deep, deep, 3, dilation=dilation) for dilation in (2, 4, 8, 16)),
        )
        self.refine_attention = SelfAttention(deep, attention_scale, coordinate_attention)
        self.refine_decoder = nn.Sequential(*_decoder(deep, width, gated))
        if start == "residual":
            start_at_zero(self.coarse_network[-1])
            start_at_zero(self.refine_decoder[-1])

    feature_layers = ("coarse_network.0", "coarse_network.2", "coarse_network.5")
    """Layers of the whole, the half and a quarter of the size, which show what an image is like."""

    @property
    def last_layer(self) -> nn.Module:
        """The layer that every term of the refined stage reaches last."""
        return self.refine_decoder[-1]

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        """Answer with whole images, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.

        Returns:
            Stages: the coarse and the refined image, float32 ``(B, 3, H, W)`` in [0, 1]; what
            attention made is the extra ``attended``, at a quarter of the size.
        """
        height, width = image.shape[-2:]
        known = 2.0 * image - 1.0
        hole = mask > 0.5
        painted = pad_to_multiple(
            show_hole_start(known, hole, self.start, published=1.0), _MULTIPLE
        )
        padded_mask = pad_to_multiple(mask, _MULTIPLE)
        coarse = self.coarse_network(self._with_mask(painted, padded_mask)).float()
        if self.start == "residual":
            coarse = painted + padded_mask * coarse
        coarse = coarse.clamp(-1.0, 1.0)
        composite = torch.where(padded_mask > 0.5, coarse, painted)
        features = self.refine_attention(
            self.refine_encoder(self._with_mask(composite, padded_mask))
        )
        refined = self.refine_decoder(features).float()
        if self.start == "residual":
            refined = composite + padded_mask * refined
        refined = refined.clamp(-1.0, 1.0)
        return Stages(
            images=tuple((stage[..., :height, :width] + 1.0) / 2.0 for stage in (coarse, refined)),
            extras={"attended": features},
        )

    def warm_start(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of an InpaintSANet that may lack this one's options.

        What only the options have (GCT, coordinate attention) stays as it started; all else must
        be there. With ``gate="both"`` and no other option, the answers stay the same too.

        Args:
            state: the state dict of an InpaintSANet of the same width and input channels.

        Raises:
            RuntimeError: tensors that are missing, left over, or of another shape.
        """
        own = self.state_dict()
        optional = {
            f"{layer}.{tensor}"
            for layer, module in self.named_modules()
            if isinstance(module, GatedChannelTransformation | CoordinateAttention)
            for tensor in module.state_dict()
        }
        started = {name: own[name] for name in optional if name not in state}
        self.load_state_dict({**state, **started}, strict=True)

    def _with_mask(self, image: Tensor, mask: Tensor) -> Tensor:
        planes = [image, mask]
        if self.input_channels == 5:
            planes.append(torch.ones_like(mask))
        stacked = torch.cat(planes, dim=1)
        return stacked.contiguous(memory_format=torch.channels_last)


def _decoder(
    deep: int, width: int, gated: Callable[..., GatedConvolution]
) -> tuple[GatedConvolution, ...]:
    """The layers from a quarter of the size back to an image."""
    return (
        gated(deep, deep, 3),
        gated(deep, deep, 3),
        gated(deep, 2 * width, 3, upsample=True),
        gated(2 * width, 2 * width, 3),
        gated(2 * width, width, 3, upsample=True),
        gated(width, width // 2, 3),
        gated(width // 2, 3, 3, activation="none", separable=False),
    )


_PUBLISHED_PARTS = {
    "coarse_net": "coarse_network",
    "refine_conv_net": "refine_encoder",
    "refine_attn": "refine_attention",
    "refine_upsample_net": "refine_decoder",
}


def is_published_inpaint_sanet(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published InpaintSANet checkpoints."""
    return any(name.removeprefix("module.").startswith("refine_conv_net.") for name in state)


def rename_published_inpaint_sanet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        part, _, rest = published.removeprefix("module.").partition(".")
        if part not in _PUBLISHED_PARTS:
            raise KeyError(f"{published!r} is no tensor of the published InpaintSANet")
        if ".mask_conv2d." in f".{rest}":
            continue  # taken together with its feature convolution
        ours = f"{_PUBLISHED_PARTS[part]}.{rest}"
        ours = ours.replace("query_conv", "query").replace("key_conv", "key")
        ours = ours.replace("value_conv", "value").replace("batch_norm2d", "normalization")
        # A published "deconvolution" nests its convolution once more.
        ours = ours.replace("conv2d.normalization", "normalization")
        if re.search(r"(^|\.)conv2d\.(weight|bias)$", published):
            gate = re.sub(r"conv2d\.(weight|bias)$", r"mask_conv2d.\1", published)
            tensor = torch.cat([tensor, state[gate]])
            ours = re.sub(r"(conv2d\.)+(weight|bias)$", r"convolution.\2", ours)
        renamed[ours] = tensor
    return renamed


def published_inpaint_sanet(
    state: Mapping[str, Tensor],
) -> tuple[Callable[[], InpaintSANet], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError, RuntimeError: tensors that do not fit the published architecture.
    """
    renamed = rename_published_inpaint_sanet(state)
    first = renamed["coarse_network.0.convolution.weight"]
    channels = first.shape[1]
    if channels not in (4, 5):
        raise RuntimeError(f"the first layer reads {channels} channels, but published ones 4 or 5")
    width, inputs = first.shape[0] // 2, cast(Literal[4, 5], channels)
    return partial(InpaintSANet, width=width, input_channels=inputs), renamed


register(
    InpaintSANet,
    paper="Yu et al., Free-Form Image Inpainting with Gated Convolution, ICCV 2019, with the "
    "self-attention of Zhang et al., ICML 2019",
    code="https://github.com/avalonstrel/GatedConvolution_pytorch, and the bgnet of "
    "https://github.com/svip-lab/impersonator",
    licence="none stated",
    published=(
        PublishedForm(
            is_published_inpaint_sanet,
            published_inpaint_sanet,
            "https://github.com/svip-lab/impersonator",
        ),
    ),
    # The deployment notes compressed DeepFillv2: these widths cost what theirs cost there.
    presets={
        "full": Preset({}, 256, 39.5e9),
        "4g": Preset({"separable": True, "width": 26}, 256, 4e9),
        "1g": Preset({"separable": True, "width": 26}, 128, 1e9),
        "600m": Preset({"separable": True, "width": 20}, 128, 600e6),
        "300m": Preset({"separable": True, "width": 12}, 128, 300e6),
    },
)
