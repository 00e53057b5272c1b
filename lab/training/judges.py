"""The judges of a training: which there are, what each is shown, and how it is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from kornia.color import rgb_to_grayscale
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput, Guides, JudgedPair, Stages
from lab.networks import MultiscaleDiscriminator, PatchDiscriminator
from lab.training.parts import has_batch_normalization

JudgeFactory = Callable[[int], nn.Module]
"""Makes a judge, ``(image, mask) -> DiscriminatorOutput``, for photos of a side in pixels."""


@dataclass(frozen=True)
class Judges:
    """The discriminators that terms of a loss may ask, each by its name in `lab.losses.JUDGES`.

    One is built only where a term with a weight asks it.

    Attributes:
        whole: judges whole images.
        local: judges what lies round the hole; it cuts the crop itself.
        pyramid: judges images at several sizes; it shrinks them itself.
        edges: judges ``(B, 2, H, W)``, gray photo and edges: a network's extra ``edges`` against
            the guide of that name.
    """

    whole: JudgeFactory = PatchDiscriminator
    local: JudgeFactory | None = None
    pyramid: JudgeFactory = MultiscaleDiscriminator
    edges: JudgeFactory | None = None

    def build(self, name: str, size: int) -> nn.Module:
        """Make a judge for photos of ``size`` pixels a side.

        Raises:
            ValueError: there is none of this name, or it does not fit the size.
        """
        make = getattr(self, name)
        if make is None:
            raise ValueError(
                f"a loss term with a weight asks the judge {name!r}, but there is none: set "
                f"model.judges.{name}"
            )
        built: nn.Module = make(size)
        # channels_last is what the convolutions of this processor and of GPUs read fastest.
        return built.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def judged_pairs(
    judges: Mapping[str, nn.Module],
    image: Tensor,
    completed: Tensor,
    mask: Tensor,
    stages: Stages,
    guides: Guides,
) -> dict[str, JudgedPair]:
    """What each judge is asked about in a batch.

    Raises:
        ValueError: edges are to be judged, and the network answers none or the batch has none.
    """
    pairs = {}
    for name, judge in judges.items():
        fake, real = completed, image
        if name == "edges":
            gray = rgb_to_grayscale(image)
            fake = torch.cat([gray, _named(stages.extras, "the network answers")], dim=1)
            real = torch.cat([gray, _named(guides, "the photos come with")], dim=1)
        pairs[name] = JudgedPair(_asked(judge, mask), fake, real)
    return pairs


def judge_both(judge: nn.Module, pair: JudgedPair, mask: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The logits of a judge for real and for fake, in this order, a pair a scale.

    Both at once, but for a judge whose answers depend on the rest of the batch.
    """
    fake = pair.fake.detach()
    if has_batch_normalization(judge):
        return list(zip(pair.judge(pair.real).logits, pair.judge(fake).logits, strict=True))
    both: DiscriminatorOutput = judge(torch.cat([pair.real, fake]), torch.cat([mask, mask]))
    return [(scale.chunk(2)[0], scale.chunk(2)[1]) for scale in both.logits]


def _asked(judge: nn.Module, mask: Tensor) -> Callable[[Tensor], DiscriminatorOutput]:
    def ask(image: Tensor) -> DiscriminatorOutput:
        answer: DiscriminatorOutput = judge(image, mask)
        return answer

    return ask


def _named(edges: Mapping[str, Tensor], who: str) -> Tensor:
    if "edges" not in edges:
        raise ValueError(
            f"a loss term with a weight judges edges, but {who} no edges: take a network that "
            "completes edges and set data.guides to [edges], or leave those terms out"
        )
    return edges["edges"]
