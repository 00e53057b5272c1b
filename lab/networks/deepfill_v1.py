"""DeepFillv1: coarse to fine, with patches copied from the known surroundings.

Jiahui Yu, Zhe Lin, Jimei Yang, Xiaohui Shen, Xin Lu, Thomas S. Huang, "Generative Image Inpainting
with Contextual Attention" (CVPR 2018). The authors' code is TensorFlow; this is equal to either of
two published PyTorch networks, whose weights it loads: MMagic's, and generative-inpainting-pytorch,
which others converted the authors' weights for. `DeepFillv1Critics` are its judges.

Differs from the published code in form: any image size is accepted (padded inside, cropped
back; where reflection would need a larger map, it goes on reflecting), pixels under the hole are
replaced rather than multiplied away, and every photo of a batch has its own hole, where
generative-inpainting-pytorch takes the first one's for all. And in one gradient: where the answer
is clipped, it still leads back into the range (`lab.layers.clip`), since without normalization a
step too large would end the training.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import PatchAttention, PatchAttentionForm, clip, pad_to_multiple, reflect
from lab.networks.registry import PublishedForm, register

# Both stages halve the image twice, and the attention once more.
_MULTIPLE = 8


class DeepFillv1(nn.Module):
    """The published generator; ``(image, mask) -> Stages`` with a coarse and a refined image.

    The first weights are drawn as the authors' code draws them (Glorot and Bengio, AISTATS 2010):
    without normalization, PyTorch's own would leave nothing of the image after seventeen layers.

    Args:
        width: channels of the first layer; 32 as published, a multiple of 2. The widest have four
            times.
        form: ``"generative_inpainting"`` (generative-inpainting-pytorch), the default: its weights
            are the authors' own, and with zeros beyond the border it trains at rates at which
            the other form fails (3e-3 on small photos; up to 1e-3 they are equal). Or
            ``"mmagic"``: it reflects at the border, has ELU in place of ReLU before the attention,
            and an attention that loses no weight at holes and borders, see
            :class:`~lab.layers.PatchAttention`.
        start: in the hole, grey as ``"published"``; a smooth ``"fill"``; or the fill as what both
            stages correct (``"residual"``): see `lab.fills.hole_start`.

    Raises:
        ValueError: a width that is odd or below 2, or a form or a start that there is not.
    """

    def __init__(
        self,
        width: int = 32,
        form: PatchAttentionForm = "generative_inpainting",
        start: HoleStart = "published",
    ) -> None:
        super().__init__()
        check_hole_start(start)
        if form not in get_args(PatchAttentionForm):
            known = get_args(PatchAttentionForm)
            raise ValueError(unknown_name_message("form of DeepFillv1", form, known))
        if width < 2 or width % 2:
            raise ValueError(f"width must be even and at least 2, not {width} (32 as published)")
        self.width = width
        self.form = form
        self.start = start
        deep = 4 * width
        layer = partial(_Convolution, reflected=form == "mmagic")
        dilated = (2, 4, 8, 16)
        self.coarse_network = nn.Sequential(
            layer(5, width, 5),
            layer(width, 2 * width, stride=2),
            layer(2 * width, 2 * width),
            layer(2 * width, deep, stride=2),
            layer(deep, deep),
            layer(deep, deep),
            *(layer(deep, deep, dilation=spaced) for spaced in dilated),
            *_decoder(deep, width, layer),
        )
        self.refine_encoder = nn.Sequential(
            layer(5, width, 5),
            layer(width, width, stride=2),
            layer(width, 2 * width),
            layer(2 * width, 2 * width, stride=2),
            layer(2 * width, deep),
            layer(deep, deep),
            *(layer(deep, deep, dilation=spaced) for spaced in dilated),
        )
        self.attention_encoder = nn.Sequential(
            layer(5, width, 5),
            layer(width, width, stride=2),
            layer(width, 2 * width),
            layer(2 * width, deep, stride=2),
            layer(deep, deep),
            layer(deep, deep, activation="elu" if form == "mmagic" else "relu"),
        )
        self.attention = PatchAttention(form)
        self.attention_decoder = nn.Sequential(layer(deep, deep), layer(deep, deep))
        self.refine_decoder = nn.Sequential(*_decoder(2 * deep, width, layer))
        if start == "residual":
            start_at_zero(self.coarse_network[-1])
            start_at_zero(self.refine_decoder[-1])

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
        shown = show_hole_start(2.0 * image - 1.0, mask > 0.5, self.start, published=0.0)
        shown, padded_mask = pad_to_multiple(shown, _MULTIPLE), pad_to_multiple(mask, _MULTIPLE)
        coarse = self.coarse_network(_with_mask(shown, padded_mask)).float()
        if self.start == "residual":
            coarse = shown + padded_mask * coarse
        coarse = clip(coarse, -1.0, 1.0)
        composite = torch.where(padded_mask > 0.5, coarse, shown)
        seen = _with_mask(composite, padded_mask)
        copied = self.attention(self.attention_encoder(seen), padded_mask[..., ::8, ::8])
        features = torch.cat([self.refine_encoder(seen), self.attention_decoder(copied)], dim=1)
        refined = self.refine_decoder(features).float()
        if self.start == "residual":
            refined = composite + padded_mask * refined
        refined = clip(refined, -1.0, 1.0)
        return Stages(
            images=tuple((stage[..., :height, :width] + 1.0) / 2.0 for stage in (coarse, refined)),
            extras={"attended": copied},
        )


class _Convolution(nn.Conv2d):
    """A convolution that keeps the size or halves it, and its activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: Literal["elu", "relu", "none"] = "elu",
        upsample: bool = False,
        reflected: bool = False,
    ) -> None:
        margin = dilation * (kernel_size - 1) // 2
        zeros = 0 if reflected else margin
        super().__init__(in_channels, out_channels, kernel_size, stride, zeros, dilation)
        self.reflected = margin - zeros
        self.upsample = upsample
        self.activation = activation
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.upsample:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        x = super().forward(reflect(x, self.reflected))
        if self.activation == "none":
            return x
        return F.elu(x) if self.activation == "elu" else F.relu(x)


def _decoder(
    channels: int, width: int, layer: Callable[..., _Convolution]
) -> tuple[_Convolution, ...]:
    """The layers from a quarter of the size back to an image."""
    deep = 4 * width
    return (
        layer(channels, deep),
        layer(deep, deep),
        layer(deep, 2 * width, upsample=True),
        layer(2 * width, 2 * width),
        layer(2 * width, width, upsample=True),
        layer(width, width // 2),
        layer(width // 2, 3, activation="none"),
    )


def _with_mask(image: Tensor, mask: Tensor) -> Tensor:
    stacked = torch.cat([image, torch.ones_like(mask), mask], dim=1)
    return stacked.contiguous(memory_format=torch.channels_last)


def _numbered(published: str, ours: str, layers: int, first: int = 0) -> dict[str, str]:
    """Names of published layers, ``published.format(1)`` on, and of ours from ``first`` on."""
    return {published.format(1 + i): f"{ours}.{first + i}" for i in range(layers)}


_GENERATIVE_INPAINTING_LAYERS = {
    **_numbered("coarse_generator.conv{}", "coarse_network", 17),
    **_numbered("fine_generator.conv{}", "refine_encoder", 10),
    **_numbered("fine_generator.pmconv{}", "attention_encoder", 6),
    "fine_generator.pmconv9": "attention_decoder.0",
    "fine_generator.pmconv10": "attention_decoder.1",
    **{f"fine_generator.allconv{11 + i}": f"refine_decoder.{i}" for i in range(7)},
}

_DILATED = "dilation_neck.dilation_convs"
_MMAGIC_LAYERS = {
    **_numbered("stage1.encoder.enc{}", "coarse_network", 6),
    **{f"stage1.{_DILATED}.{i}": f"coarse_network.{6 + i}" for i in range(4)},
    **_numbered("stage1.decoder.dec{}", "coarse_network", 7, first=10),
    **_numbered("stage2.encoder_conv.enc{}", "refine_encoder", 6),
    **{f"stage2.{_DILATED}.{i}": f"refine_encoder.{6 + i}" for i in range(4)},
    **_numbered("stage2.encoder_attention.enc{}", "attention_encoder", 6),
    **_numbered("stage2.contextual_attention_neck.conv{}", "attention_decoder", 2),
    **_numbered("stage2.decoder.dec{}", "refine_decoder", 7),
}

# The propagation's kernel, a constant that some files carry.
_MMAGIC_CONSTANT = "stage2.contextual_attention_neck.contextual_attention.fuse_kernel"


def is_generative_inpainting_deepfill_v1(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of generative-inpainting-pytorch."""
    return any(name.removeprefix("module.").startswith("fine_generator.pmconv1.") for name in state)


def rename_generative_inpainting_deepfill_v1(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of generative-inpainting-pytorch into this module's own; a pure function.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        layer, _, leaf = published.removeprefix("module.").rpartition(".conv.")
        layer = re.sub(r"_(downsample|atrous)$", "", layer)
        if layer not in _GENERATIVE_INPAINTING_LAYERS:
            raise KeyError(f"{published!r} is no tensor of the published DeepFillv1")
        renamed[f"{_GENERATIVE_INPAINTING_LAYERS[layer]}.{leaf}"] = tensor
    return renamed


def _of_mmagics_generator(state: Mapping[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """By its name within the generator, each tensor and the name that the file has for it.

    A file of the whole model has the critics' beside it, which are left out.
    """
    bare = {name: name.removeprefix("module.") for name in state}
    return {
        bare[name].removeprefix("generator."): (name, tensor)
        for name, tensor in state.items()
        if not bare[name].startswith("disc.")
    }


def is_mmagic_deepfill_v1(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names and shapes of MMagic's DeepFillv1 checkpoints."""
    names = _of_mmagics_generator(state)
    layers = ("stage1.encoder.enc1.conv.weight", "stage1.encoder.enc2.conv.weight")
    if "stage2.contextual_attention_neck.conv1.conv.weight" not in names:
        return False
    first, second = (names[layer][1] if layer in names else torch.empty(0) for layer in layers)
    # A gated convolution's, as DeepFillv2 has there, are twice as many as the next layer reads.
    return first.ndim == second.ndim == 4 and first.shape[0] == second.shape[1]


def rename_mmagic_deepfill_v1(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of MMagic's checkpoint into this module's own; a pure function.

    Raises:
        KeyError: a tensor name that the published network does not have.
        ValueError: another kernel of the attention's propagation than the published constant.
    """
    renamed: dict[str, Tensor] = {}
    for name, (published, tensor) in _of_mmagics_generator(state).items():
        if name == _MMAGIC_CONSTANT:
            if not torch.equal(tensor.flatten().float(), torch.eye(3).flatten()):
                raise ValueError(f"{published!r} is not the published constant, a 3x3 identity")
            continue
        layer, _, leaf = name.rpartition(".conv.")
        if layer not in _MMAGIC_LAYERS:
            raise KeyError(f"{published!r} is no tensor of the published DeepFillv1")
        renamed[f"{_MMAGIC_LAYERS[layer]}.{leaf}"] = tensor
    return renamed


def _planned(
    renamed: dict[str, Tensor], form: PatchAttentionForm
) -> tuple[Callable[[], DeepFillv1], dict[str, Tensor]]:
    width = renamed["coarse_network.0.weight"].shape[0]
    return partial(DeepFillv1, width=width, form=form), renamed


def generative_inpainting_deepfill_v1(
    state: Mapping[str, Tensor],
) -> tuple[Callable[[], DeepFillv1], dict[str, Tensor]]:
    """Return what builds the network of generative-inpainting-pytorch, and its tensors.

    Raises:
        KeyError: tensors that do not fit the published architecture.
    """
    return _planned(rename_generative_inpainting_deepfill_v1(state), "generative_inpainting")


def mmagic_deepfill_v1(
    state: Mapping[str, Tensor],
) -> tuple[Callable[[], DeepFillv1], dict[str, Tensor]]:
    """Return what builds the network of MMagic, and its tensors.

    Raises:
        KeyError, ValueError: tensors that do not fit the published architecture.
    """
    return _planned(rename_mmagic_deepfill_v1(state), "mmagic")


register(
    DeepFillv1,
    paper="Yu et al., Generative Image Inpainting with Contextual Attention, CVPR 2018",
    code="https://github.com/open-mmlab/mmagic and "
    "https://github.com/daa233/generative-inpainting-pytorch",
    licence="Apache-2.0 (MMagic), MIT (generative-inpainting-pytorch)",
    published=(
        PublishedForm(
            is_mmagic_deepfill_v1,
            mmagic_deepfill_v1,
            "https://github.com/open-mmlab/mmagic/tree/main/configs/deepfillv1",
        ),
        PublishedForm(
            is_generative_inpainting_deepfill_v1,
            generative_inpainting_deepfill_v1,
            "https://github.com/daa233/generative-inpainting-pytorch",
        ),
    ),
)
