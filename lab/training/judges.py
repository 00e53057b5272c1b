"""The judges of a training: which there are, what each is shown, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput, JudgedPair, Stages
from lab.guides import find_edges
from lab.networks import (
    EdgeDiscriminator,
    LocalDiscriminator,
    MultiscaleDiscriminator,
    PatchDiscriminator,
)
from lab.training.parts import depends_on_batch

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
        edges: judges ``edges``, a guide that it takes third, beside the true photo: those that a
            network draws (its extra ``drawn_edges``, else ``edges``) against the photo's own.
    """

    whole: JudgeFactory = PatchDiscriminator
    local: JudgeFactory = LocalDiscriminator
    pyramid: JudgeFactory = MultiscaleDiscriminator
    edges: JudgeFactory = EdgeDiscriminator

    def build(self, name: str, size: int) -> nn.Module:
        """Make a judge for photos of ``size`` pixels a side.

        Raises:
            ValueError: it does not fit the size.
        """
        make: JudgeFactory = getattr(self, name)
        # channels_last is what the convolutions of this processor and of GPUs read fastest.
        return make(size).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def judged_pairs(
    judges: Mapping[str, nn.Module], image: Tensor, completed: Tensor, mask: Tensor, stages: Stages
) -> dict[str, JudgedPair]:
    """What each judge is asked about in a batch.

    Raises:
        ValueError: edges are to be judged, and the network draws none.
    """
    pairs = {}
    for name, judge in judges.items():
        if name != "edges":
            pairs[name] = JudgedPair(_of_images(judge, mask), completed, image)
            continue
        drawn = stages.extras.get("drawn_edges", stages.extras.get("edges"))
        if drawn is None:
            raise ValueError(
                "a loss term with a weight judges edges, but the network draws none: take one that "
                "completes edges, such as EdgeConnect, or leave the terms edges_… out"
            )
        edges = find_edges(image, torch.zeros_like(mask))
        pairs[name] = JudgedPair(_of_edges(judge, image, mask), drawn, edges)
    return pairs


def judge_both(judge: nn.Module, pair: JudgedPair) -> list[tuple[Tensor, Tensor]]:
    """The logits of a judge for real and for fake, in this order, a pair a scale.

    Both at once, but for a judge whose answers depend on the rest of the batch.
    """
    fake = pair.fake.detach()
    if depends_on_batch(judge):
        return list(zip(pair.judge(pair.real).logits, pair.judge(fake).logits, strict=True))
    both = pair.judge(torch.cat([pair.real, fake]))
    return [(scale.chunk(2)[0], scale.chunk(2)[1]) for scale in both.logits]


def _of_images(judge: nn.Module, mask: Tensor) -> Callable[[Tensor], DiscriminatorOutput]:
    def ask(image: Tensor) -> DiscriminatorOutput:
        answer: DiscriminatorOutput = judge(image, _as_many(mask, image))
        return answer

    return ask


def _of_edges(
    judge: nn.Module, image: Tensor, mask: Tensor
) -> Callable[[Tensor], DiscriminatorOutput]:
    def ask(edges: Tensor) -> DiscriminatorOutput:
        seen = _as_many(image, edges), _as_many(mask, edges)
        answer: DiscriminatorOutput = judge(*seen, {"edges": edges})
        return answer

    return ask


def _as_many(bound: Tensor, asked: Tensor) -> Tensor:
    """What is bound to a judge, once for each batch that it is asked about together."""
    return bound.repeat(len(asked) // len(bound), 1, 1, 1)
