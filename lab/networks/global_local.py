"""Global & Local: the first network that completes photos of any size, judged whole and close up.

Satoshi Iizuka, Edgar Simo-Serra, Hiroshi Ishikawa, "Globally and Locally Consistent Image
Completion" (ACM Transactions on Graphics, SIGGRAPH 2017), in the form of MMagic, whose published
weights it loads: the hole is shown as mid grey rather than the mean colour of the photos, and the
answer is clipped rather than the sigmoid's. `GlobalLocalDiscriminator` is its judge.

Differs from the published code in form: any image size is accepted (padded inside, cropped back),
and pixels under the hole are replaced rather than multiplied away. And in one gradient: where the
answer is clipped, it still leads back into the range (`lab.layers.clip`). The paper's blending
after the network is left to strategies.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import clip, pad_to_multiple
from lab.networks.registry import PublishedForm, register

# The encoder halves the image twice.
_MULTIPLE = 4


class GlobalLocal(nn.Module):
    """The published completion network; ``(image, mask) -> Stages`` with one image.

    Convolutions down to a quarter of the size, four dilated ones in between, and back up; batch
    normalization and ReLU throughout, no skip connections and no second stage.

    Args:
        width: channels of the first layer; 64 as published, a multiple of 2. The widest have four
            times.
        start: in the hole, grey as ``"published"``; a smooth ``"fill"``; or the fill as what the
            answer corrects (``"residual"``): see `lab.fills.hole_start`.

    Raises:
        ValueError: a width that is odd or below 2, or a start that there is not.
    """

    def __init__(self, width: int = 64, start: HoleStart = "published") -> None:
        super().__init__()
        check_hole_start(start)
        if width < 2 or width % 2:
            raise ValueError(f"width must be even and at least 2, not {width} (64 as published)")
        self.width = width
        self.start = start
        deep = 4 * width
        self.encoder = nn.Sequential(
            _normalized(nn.Conv2d(4, width, 5, padding=2, bias=False)),
            _normalized(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False)),
            _normalized(nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)),
            _normalized(nn.Conv2d(2 * width, deep, 3, stride=2, padding=1, bias=False)),
            _normalized(nn.Conv2d(deep, deep, 3, padding=1, bias=False)),
            _normalized(nn.Conv2d(deep, deep, 3, padding=1, bias=False)),
            *(
                _normalized(nn.Conv2d(deep, deep, 3, padding=spaced, dilation=spaced, bias=False))
                for spaced in (2, 4, 8, 16)
            ),
        )
        self.decoder = nn.Sequential(
            _normalized(nn.Conv2d(deep, deep, 3, padding=1, bias=False)),
            _normalized(nn.Conv2d(deep, deep, 3, padding=1, bias=False)),
            _normalized(nn.ConvTranspose2d(deep, 2 * width, 4, 2, 1, bias=False)),
            _normalized(nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)),
            _normalized(nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False)),
            _normalized(nn.Conv2d(width, width // 2, 3, padding=1, bias=False)),
        )
        self.output = nn.Conv2d(width // 2, 3, 3, padding=1)
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
            Stages: one image, float32 ``(B, 3, H, W)`` in [0, 1].
        """
        height, width = image.shape[-2:]
        shown = show_hole_start(2.0 * image - 1.0, mask > 0.5, self.start, published=0.0)
        shown, padded_mask = pad_to_multiple(shown, _MULTIPLE), pad_to_multiple(mask, _MULTIPLE)
        x = torch.cat([shown, padded_mask], dim=1).contiguous(memory_format=torch.channels_last)
        answer = self.output(self.decoder(self.encoder(x))).float()
        if self.start == "residual":
            answer = shown + padded_mask * answer
        answer = clip(answer, -1.0, 1.0)
        return Stages(images=((answer[..., :height, :width] + 1.0) / 2.0,))


def _normalized(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    # As the published code initializes it.
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    normalization = nn.BatchNorm2d(convolution.out_channels)
    return nn.Sequential(convolution, normalization, nn.ReLU(inplace=True))


# Files of whole models hold the discriminators beside the generator.
_PUBLISHED_NAME = re.compile(
    r"(?:module\.)?(?:generator\.)?"
    r"(?:encoder\.enc(?P<encoder>[1-6])|dilation_neck\.dilation_convs\.(?P<dilated>[0-3])"
    r"|decoder\.dec(?P<decoder>[1-7]))\.(?P<part>conv|bn)\.(?P<leaf>\w+)"
)
_PUBLISHED_JUDGES = re.compile(r"(module\.)?disc\.")


def is_published_global_local(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published Global & Local checkpoints."""
    names = {re.sub(r"^(module\.)?(generator\.)?", "", name) for name in state}
    return {"encoder.enc1.bn.weight", "dilation_neck.dilation_convs.0.bn.weight"} <= names


def rename_published_global_local(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    The discriminators' are left out: see `rename_published_global_local_discriminator`.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        if _PUBLISHED_JUDGES.match(published):
            continue
        found = _PUBLISHED_NAME.fullmatch(published)
        if found is None:
            raise KeyError(f"{published!r} is no tensor of the published Global & Local")
        part = {"conv": 0, "bn": 1}[found["part"]]
        if found["encoder"]:
            layer = f"encoder.{int(found['encoder']) - 1}.{part}"
        elif found["dilated"]:
            layer = f"encoder.{int(found['dilated']) + 6}.{part}"
        elif found["decoder"] == "7":
            layer = "output"
        else:
            layer = f"decoder.{int(found['decoder']) - 1}.{part}"
        renamed[f"{layer}.{found['leaf']}"] = tensor
    return renamed


def published_global_local(
    state: Mapping[str, Tensor],
) -> tuple[Callable[[], GlobalLocal], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: tensors that do not fit the published architecture.
    """
    renamed = rename_published_global_local(state)
    return partial(GlobalLocal, width=renamed["encoder.0.0.weight"].shape[0]), renamed


register(
    GlobalLocal,
    paper="Iizuka et al., Globally and Locally Consistent Image Completion, SIGGRAPH 2017",
    code="https://github.com/open-mmlab/mmagic",
    licence="Apache-2.0",
    published=(
        PublishedForm(
            is_published_global_local,
            published_global_local,
            "https://github.com/open-mmlab/mmagic/tree/main/configs/global_local",
        ),
    ),
)
