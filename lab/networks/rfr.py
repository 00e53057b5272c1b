"""RFR: recurrent feature reasoning, which closes a hole from its rim inwards, round by round.

Jingyuan Li, Ning Wang, Lefei Zhang, Bo Du, Dacheng Tao, "Recurrent Feature Reasoning for Image
Inpainting" (CVPR 2020): the network that the background notes chose (V6), since it is made for
large holes. One stage, no discriminator; the losses are in the variant's card.

Differs from the published code in form only. Any image size is accepted (padded inside, cropped
back). The three channels of its mask are always equal, so that one is kept. Of large photos the
attention of earlier rounds is computed anew where it is needed rather than held: memory grows with
the number of positions, not with its square. And nothing is left in the module from one call to
the next.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.contracts import Stages
from lab.fills import HoleStart, check_hole_start, show_hole_start, start_at_zero
from lab.layers import PartialConvolution, pad_to_multiple, window_sums
from lab.networks.registry import PublishedForm, register

# The first convolution and the encoder's first three halve the image.
_MULTIPLE = 16

# Scores of all pairs that are held from round to round: 64 MB, of a 512x512 photo; while training,
# which keeps several of each round for the gradient, 16 MB.
_MOST_SCORES = 2**24
_MOST_TRAINED_SCORES = 2**22


class KnowledgeConsistentAttention(nn.Module):
    """Attention over all positions that remembers the rounds before (section 3.2).

    A position's energies are the sums, over its 3x3 surroundings, of the products with every
    position's feature of length 1. Where a position was known before this round, its scores are
    mixed with the round before's at 1 : ratio, and so in turn with all earlier ones.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ratio = nn.Parameter(torch.ones(1))
        self.combiner = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, features: Tensor, valid: Tensor, past: list[tuple[Tensor, ...]]) -> Tensor:
        """Attend within ``features (B, C, H, W)``; the shape stays.

        Args:
            features: of this round.
            valid: ``(B, 1, h, w)`` of any size, 1 = known in this round.
            past: what is needed of the earlier rounds of this call: empty for the first one. This
                round is put in.
        """
        # b = batch, N = H * W positions, c = channels; s[t] = softmax(query[t] key[t]), [b, N, N].
        # (The fused kernel wants each position's channels side by side.)
        positions = features.flatten(2).transpose(1, 2).contiguous()  # [b, N, c]
        key = F.normalize(positions + 1e-7, dim=-1, eps=0.0)  # [b, N, c]
        # The sum over the surroundings is linear, so it is taken of the queries.
        surroundings = window_sums(features, 3, stride=1, padding=1)
        query = surroundings.flatten(2).transpose(1, 2).contiguous()  # [b, N, c]
        known = F.interpolate(valid, features.shape[2:]).flatten(2).transpose(1, 2)  # [b, N, 1]
        attend = self._attend_held if _may_hold_scores(query) else self._attend_anew
        attended = attend(query, key, known, past)
        image = attended.transpose(1, 2).reshape(features.shape)
        return self.combiner(torch.cat([image, features], dim=1))

    def _attend_held(
        self, query: Tensor, key: Tensor, known: Tensor, past: list[tuple[Tensor, ...]]
    ) -> Tensor:
        """The paper's arithmetic: ``past`` holds the round before's scores."""
        # Half precision would round energies of tens before they pass a softmax.
        with torch.autocast(query.device.type, enabled=False):
            exact = torch.promote_types(query.dtype, torch.float32)
            query, key, known = query.to(exact), key.to(exact), known.to(exact)
            scores = torch.softmax(query @ key.transpose(1, 2), dim=-1)
            if past:
                before, known_before = past.pop()
                ratio = self.ratio.abs() + 1e-7
                scores = torch.lerp(before, scores, ratio / (known_before + ratio))
            past.append((scores, known))
            return scores @ key

    def _attend_anew(
        self, query: Tensor, key: Tensor, known: Tensor, past: list[tuple[Tensor, ...]]
    ) -> Tensor:
        """The same without the scores: ``past`` holds all earlier rounds, oldest first.

        The paper's scores are S[t] = (S[t - 1] valid[t - 1] + s[t] ratio) / (valid[t - 1] + ratio),
        that is, a weighted sum of s[0] ... s[t] whose weights depend on the query alone. So
        S[t] key[t], the answer, is the sum of weight[k] * (s[k] key[t]), each by a fused kernel.
        """
        past.append((query, key, known))
        ratio = self.ratio.abs() + 1e-7
        weight, attended = torch.ones_like(known), torch.zeros_like(key)
        for round_, (earlier_query, earlier_key, _) in reversed(list(enumerate(past))):
            scored = F.scaled_dot_product_attention(
                earlier_query[:, None], earlier_key[:, None], key[:, None], scale=1.0
            )[:, 0]  # [b, N, c]
            if round_ == 0:
                attended = attended + weight * scored
                break
            known_before = past[round_ - 1][2]
            attended = attended + weight * ratio / (known_before + ratio) * scored
            weight = weight * known_before / (known_before + ratio)
        return attended


def _may_hold_scores(query: Tensor) -> bool:
    """Whether there are few enough between all pairs of ``query (B, N, C)``."""
    if torch.compiler.is_exporting():
        # It would depend on the size of the photo.
        return False
    most = _MOST_TRAINED_SCORES if torch.is_grad_enabled() else _MOST_SCORES
    return query.shape[0] * query.shape[1] ** 2 <= most


class FeatureReasoning(nn.Module):
    """The U-shaped module that reasons about the features of one round (section 3.1).

    Args:
        width: channels of the input and the output; the deepest have eight times.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        deep = 8 * width
        self.encoder = nn.ModuleList(
            [
                *(
                    nn.Sequential(
                        nn.Conv2d(width << level, width << (level + 1), 3, 2, 1, bias=False),
                        nn.BatchNorm2d(width << (level + 1)),
                        nn.ReLU(inplace=True),
                    )
                    for level in range(3)
                ),
                *(
                    nn.Sequential(
                        nn.Conv2d(deep, deep, 3, padding=2, dilation=2, bias=False),
                        nn.BatchNorm2d(deep),
                        nn.ReLU(inplace=True),
                    )
                    for _ in range(3)
                ),
            ]
        )
        self.decoder = nn.ModuleList(
            [
                _decoding(nn.Conv2d(2 * deep, deep, 3, padding=2, dilation=2, bias=False)),
                _decoding(nn.Conv2d(2 * deep, deep, 3, padding=2, dilation=2, bias=False)),
                _decoding(nn.ConvTranspose2d(2 * deep, deep, 4, 2, 1, bias=False)),
                _decoding(nn.ConvTranspose2d(deep + 4 * width, 4 * width, 4, 2, 1, bias=False)),
                _decoding(nn.ConvTranspose2d(6 * width, width, 4, 2, 1, bias=False)),
            ]
        )
        self.attention = KnowledgeConsistentAttention(deep)

    def forward(self, x: Tensor, valid: Tensor, past: list[tuple[Tensor, ...]]) -> Tensor:
        """Map ``(B, width, H, W)``, both sides multiples of 8, to the same shape.

        ``valid`` and ``past`` are those of :class:`KnowledgeConsistentAttention`.
        """
        skips = []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        skips.pop()  # the deepest is not its own skip
        for number, decode in enumerate(self.decoder):
            x = decode(torch.cat([x, skips.pop()], dim=1))
            if number == 2:  # at a quarter of the input's size, an eighth of the image's
                x = self.attention(x, valid, past)
        return x


class RFR(nn.Module):
    """The published network; ``(image, mask) -> Stages`` with one image.

    Each of the recurrences shrinks the hole of the feature map by two partial convolutions, fills
    the rim with :class:`FeatureReasoning`, and goes on from there; the rounds' features are merged
    by the mean over those that knew the position.

    Args:
        width: channels of the feature maps; 64 as published, a multiple of 8. The deepest have
            eight times.
        recurrences: rounds of reasoning; 6 as published.
        freeze_normalization: keep batch normalization in evaluation mode while training, as the
            published fine-tuning does (after the main training, at a quarter of its rate).
        start: in the hole, nothing as ``"published"``; or a smooth fill, which the last layers are
            shown besides what the rounds made (``"fill"``), and correct (``"residual"``): see
            `lab.fills.hole_start`. The rounds close the hole from its rim in every case.

    Raises:
        ValueError: a width that is no multiple of 8, fewer than one recurrence, or a start that
            there is not.
    """

    def __init__(
        self,
        width: int = 64,
        recurrences: int = 6,
        freeze_normalization: bool = False,
        start: HoleStart = "published",
    ) -> None:
        super().__init__()
        check_hole_start(start)
        if width < 8 or width % 8:
            raise ValueError(f"width must be a multiple of 8, not {width} (64 as published)")
        if recurrences < 1:
            raise ValueError(f"recurrences must be at least 1, not {recurrences} (6 as published)")
        self.width = width
        self.recurrences = recurrences
        self.freeze_normalization = freeze_normalization
        self.start = start
        self.entry = nn.ModuleList(
            [
                PartialConvolution(3, width, 7, stride=2, padding=3, bias=False),
                PartialConvolution(width, width, 7, padding=3, bias=False),
            ]
        )
        self.entry_normalization = nn.ModuleList([nn.BatchNorm2d(width), nn.BatchNorm2d(width)])
        self.shrinking = nn.ModuleList(
            [PartialConvolution(width, width, 7, padding=3, bias=False) for _ in range(2)]
        )
        self.shrinking_normalization = nn.BatchNorm2d(width)
        self.reasoning = FeatureReasoning(width)
        self.enlarging = nn.ConvTranspose2d(width, width, 4, 2, 1, bias=False)
        self.enlarging_normalization = nn.BatchNorm2d(width)
        self.tail = PartialConvolution(
            width + 3, width // 2, 3, padding=1, bias=False, multi_channel=True
        )
        self.tail_residual = nn.Sequential(
            nn.Conv2d(width // 2, width // 8, 1, bias=False),
            nn.BatchNorm2d(width // 8),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 8, width // 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(width // 8),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 8, width // 2, 1, bias=False),
            nn.BatchNorm2d(width // 2),
        )
        self.output = nn.Conv2d(width, 3, 3, padding=1, bias=False)
        if start == "residual":
            start_at_zero(self.output)

    def train(self, mode: bool = True) -> "RFR":
        """Switch to training or evaluation, as every module; see ``freeze_normalization``."""
        super().train(mode)
        if self.freeze_normalization:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

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
            Stages: one image, float32 ``(B, 3, H, W)`` around [0, 1]: the output is linear.
        """
        height, width = image.shape[-2:]
        hole = mask > 0.5
        known = pad_to_multiple(show_hole_start(image, hole, "published", published=0.0), _MULTIPLE)
        valid = pad_to_multiple(1.0 - mask, _MULTIPLE)
        x, x_valid = known, valid
        for convolve, normalize in zip(self.entry, self.entry_normalization, strict=True):
            x, x_valid = convolve(x, x_valid)
            x = F.relu(normalize(x))
        merged, knowing = x * x_valid, x_valid
        past: list[tuple[Tensor, ...]] = []
        for _ in range(self.recurrences):
            for convolve in self.shrinking:
                x, x_valid = convolve(x, x_valid)
            x = F.leaky_relu(self.shrinking_normalization(x))
            x = self.reasoning(x, x_valid, past) * x_valid
            merged, knowing = merged + x, knowing + x_valid
        # The published means, of features and of masks, are over all rounds and the entry.
        rounds = self.recurrences + 1
        x = (merged / rounds) / (knowing / rounds + 1e-7)
        x = F.leaky_relu(self.enlarging_normalization(self.enlarging(x)))
        x_valid = F.interpolate(x_valid, scale_factor=2.0)
        shown, shown_valid = known, valid
        if self.start != "published":
            shown = pad_to_multiple(
                show_hole_start(image, hole, self.start, published=0.0), _MULTIPLE
            )
            shown_valid = torch.ones_like(valid)
        x, _ = self.tail(
            torch.cat([shown, x], dim=1),
            torch.cat(
                [shown_valid.expand(-1, 3, -1, -1), x_valid.expand(-1, self.width, -1, -1)], dim=1
            ),
        )
        x = F.leaky_relu(x)
        x = torch.cat([x, F.relu(x + self.tail_residual(x))], dim=1)
        answer = self.output(x).float()
        if self.start == "residual":
            answer = shown + (1.0 - valid) * answer
        return Stages(images=(answer[..., :height, :width],))


def _decoding(convolution: nn.Conv2d | nn.ConvTranspose2d) -> nn.Sequential:
    normalization = nn.BatchNorm2d(convolution.out_channels)
    return nn.Sequential(convolution, normalization, nn.LeakyReLU(0.2, inplace=True))


_PUBLISHED_LAYERS = {
    "Pconv1": "entry.0",
    "bn1": "entry_normalization.0",
    "Pconv2": "entry.1",
    "bn20": "entry_normalization.1",
    "Pconv21": "shrinking.0",
    "Pconv22": "shrinking.1",
    "bn2": "shrinking_normalization",
    "RFRModule.att.att": "reasoning.attention",
    "RFRModule.att.combiner": "reasoning.attention.combiner",
    "Tconv": "enlarging",
    "bn3": "enlarging_normalization",
    "tail1": "tail",
    "tail2.conv1": "tail_residual.0",
    "tail2.bn1": "tail_residual.1",
    "tail2.conv2": "tail_residual.3",
    "tail2.bn2": "tail_residual.4",
    "tail2.conv3": "tail_residual.6",
    "tail2.bn3": "tail_residual.7",
    "out": "output",
    **{
        f"RFRModule.enc_{level + 1}.{part}": f"reasoning.encoder.{level}.{part}"
        for level in range(6)
        for part in (0, 1)
    },
    **{
        f"RFRModule.dec_{5 - level}.{part}": f"reasoning.decoder.{level}.{part}"
        for level in range(5)
        for part in (0, 1)
    },
}


def is_published_rfr(state: Mapping[str, Tensor]) -> bool:
    """Whether ``state`` has the tensor names of the published RFR checkpoints."""
    return any(name.removeprefix("module.").startswith("RFRModule.att.") for name in state)


def rename_published_rfr(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn the tensors of a published checkpoint into this module's own; a pure function.

    Raises:
        KeyError: a tensor name that the published network does not have.
    """
    renamed: dict[str, Tensor] = {}
    for published, tensor in state.items():
        layer, _, leaf = published.removeprefix("module.").rpartition(".")
        if layer not in _PUBLISHED_LAYERS:
            raise KeyError(f"{published!r} is no tensor of the published RFR")
        renamed[f"{_PUBLISHED_LAYERS[layer]}.{leaf}"] = tensor
    return renamed


def published_rfr(state: Mapping[str, Tensor]) -> tuple[Callable[[], RFR], dict[str, Tensor]]:
    """Return what builds the network that a published checkpoint describes, and its tensors.

    Raises:
        KeyError: tensors that do not fit the published architecture.
    """
    renamed = rename_published_rfr(state)
    return partial(RFR, width=renamed["output.weight"].shape[1]), renamed


register(
    RFR,
    paper="Li et al., Recurrent Feature Reasoning for Image Inpainting, CVPR 2020",
    code="https://github.com/jingyuanli001/RFR-Inpainting",
    licence="MIT",
    published=(
        PublishedForm(
            is_published_rfr,
            published_rfr,
            "https://github.com/jingyuanli001/RFR-Inpainting",
        ),
    ),
)
