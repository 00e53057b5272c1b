"""The conventions that every part of the workbench keeps, and the few shapes that parts share.

One convention for tensors:

- ``image``: float32 RGB, ``(B, 3, H, W)``, values in [0, 1];
- ``mask``: float32, ``(B, 1, H, W)``, exactly 0 or 1, **1 = hole**.

A network converts to its own range, polarity and channel order inside ``forward`` and never sees
the pixels under the hole. ``lab.checks`` guards these rules at the public entries.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

Guides = Mapping[str, Tensor]
"""What a network may be shown beside image and mask, by name: ``edges``, ``sketch``, ``instances``
or ``noise``, each float32 ``(B, C, H, W)`` of the image's size. `lab.guides` says what each is."""


@dataclass(frozen=True)
class Stages:
    """What a network answers: whole images from coarse to fine, and named extras.

    ``images`` holds one or more float32 tensors ``(B, 3, H, W)`` around [0, 1], *before* they are
    pasted onto the known pixels; the last is the network's answer. ``extras`` holds whatever else a
    loss or a picture may want, by name (attention maps, edges).
    """

    images: tuple[Tensor, ...]
    extras: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def coarse(self) -> Tensor:
        """The first stage; for a network of one stage the same as ``refined``."""
        return self.images[0]

    @property
    def refined(self) -> Tensor:
        """The last stage: the network's answer."""
        return self.images[-1]


class Network(Protocol):
    """``(image, mask) -> stages``; an ``nn.Module`` in practice.

    A network that reads guides names them in a class attribute ``guides``, such as ``("edges",)``,
    and takes them as a third argument; any other is called with two.
    """

    def __call__(self, image: Tensor, mask: Tensor) -> Stages:
        """Answer for ``image (B, 3, H, W)`` in [0, 1] and ``mask (B, 1, H, W)``, 1 = hole."""
        ...


@runtime_checkable
class Strategy(Protocol):
    """``(image, mask, guides) -> image``: what completes photos, by a network or without one."""

    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Return the completed image, ``(B, 3, H, W)`` in [0, 1]; an empty mask is the identity.

        ``guides`` go to the networks that read them; what reads none ignores them.
        """
        ...


@runtime_checkable
class MaskGenerator(Protocol):
    """Draws one training or validation mask; all randomness comes from ``generator``."""

    def __call__(self, height: int, width: int, generator: np.random.Generator) -> Tensor:
        """Return a float32 mask ``(1, height, width)`` of 0 and 1, with 1 = hole."""
        ...


@dataclass(frozen=True)
class DiscriminatorOutput:
    """A discriminator's answer.

    ``logits`` holds a tensor ``(B, N)`` for each scale that it judges at, with one logit a patch;
    most judge at one. Losses are means over a scale, then over the scales. ``features`` are its
    layers', of all scales.
    """

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...]


@dataclass(frozen=True)
class JudgedPair:
    """What one judge is asked about.

    ``judge`` (the mask is already bound) scores ``fake``, which the network made, and ``real``,
    which it should pass for; both are of one shape.
    """

    judge: Callable[[Tensor], DiscriminatorOutput]
    fake: Tensor
    real: Tensor


@dataclass(frozen=True)
class Lesson:
    """What a teacher shows its student of one batch.

    ``stages`` is its answer, without gradient, in images of the student's size, and ``completed``
    its refined stage inside the hole and the truth elsewhere. ``features`` answers what the
    teacher's own layers make of a whole image ``(B, 3, H, W)``, by layer, with gradient to the
    image. ``project`` maps the student's attended features to the teacher's, and is learned.
    """

    stages: Stages
    completed: Tensor
    features: Callable[[Tensor], Mapping[str, Tensor]]
    project: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LossInputs:
    """Everything a loss term may look at, for one batch.

    ``truth`` and ``mask`` follow the conventions above; ``completed`` is the refined stage inside
    the hole and the truth elsewhere. ``judged`` holds, by the judge's name, what each judge that a
    term asks for is asked about. ``last_layer`` holds the parameters of the network's last layer,
    where balancing measures what each term pulls. ``guides`` are what the network was shown.
    ``guidance_features`` is the network's function of that name, where it has one: features of the
    truth under the mask, which a term compares with the extras of the answer. ``lesson`` is what a
    teacher shows, where there is one.
    """

    stages: Stages
    truth: Tensor
    mask: Tensor
    completed: Tensor
    judged: Mapping[str, JudgedPair] = field(default_factory=dict)
    last_layer: tuple[Tensor, ...] = ()
    guides: Guides = field(default_factory=dict)
    guidance_features: Callable[[Tensor, Tensor], Tensor] | None = None
    lesson: Lesson | None = None


class LossTerm(Protocol):
    """One small objective: ``LossInputs -> scalar``, 0 or its minimum at perfection."""

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the raw (unweighted) scalar, with gradient."""
        ...
