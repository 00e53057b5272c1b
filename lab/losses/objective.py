"""The objective: named terms, each with its weight, and the total that a network is trained on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import get_args

import torch
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.contracts import LossInputs, LossTerm
from lab.losses.adversarial import AdversarialKind, discriminator_loss
from lab.losses.balancing import Balancing, StatedWeights
from lab.losses.gradients import gradient_norm
from lab.losses.once import OncePerImage
from lab.losses.penalties import Judge, gradient_penalty, r1_penalty
from lab.losses.perceptual import PERCEPTUAL_LAYERS, PerceptualImages
from lab.losses.reconstruction import check_discount
from lab.losses.terms import TERMS, LossWeights, TermSettings
from lab.networks import VGGArchitecture, VGGFeatures

INPAINT_SANET_WEIGHTS = LossWeights()


@dataclass(frozen=True)
class ObjectiveValue:
    """One evaluation of an objective.

    Args:
        total: the weighted sum, a scalar with gradient.
        terms: every active term by name, before its weight; scalars with gradient.
        weights: what balanced terms weigh now, scalars without gradient; none where all weigh what
            was stated.
    """

    total: Tensor
    terms: dict[str, Tensor]
    weights: dict[str, Tensor] = field(default_factory=dict)


class Objective(nn.Module):
    """``LossInputs -> ObjectiveValue``: what a network is trained to make small.

    It has no parameters and saves nothing but its balancing's: VGG moves with it from device to
    device, but stays out of ``state_dict()``. However many terms ask a judge or VGG about an
    image, it is computed once. Everything but the judges runs in float32, under automatic
    mixed precision too.

    Args:
        weights: the weight of every term.
        adversarial_kind: the adversarial loss, of the generator and of its judges.
        gradient_penalty: what the judges' gradients between fake and real weigh
            (`lab.losses.gradient_penalty`): 10 with ``wasserstein``; 0 leaves it out.
        r1_penalty: what the judges' gradients at real images weigh (`lab.losses.r1_penalty`):
            0.001 in LaMa; 0 leaves it out.
        perceptual_network: the network behind the perceptual and style terms; ``vgg16`` as in PConv
            and RFR, ``vgg19`` as in EdgeConnect.
        perceptual_images: which images these two terms compare with the truth: the ``refined``
            stage, the ``completed`` image, or ``both``, added.
        spatial_discount: what pixels lose with each pixel of depth in the terms of the discounted
            hole (`lab.losses.Reconstruction`): 0.99 in DeepFillv1's paper, 0.9 in its code.
        balancing: what makes the terms' weights of the stated ones as training goes; each class of
            `lab.losses.balancing` says what it asks of the terms.

    Raises:
        ValueError: a name that is none of these, a penalty that is negative or not finite, a
            discount out of range, or terms that cannot be balanced so.
        MissingWeightsError: a perceptual term has a weight, but VGG's weights are not here and
            cannot be downloaded.
    """

    def __init__(
        self,
        weights: LossWeights = INPAINT_SANET_WEIGHTS,
        adversarial_kind: AdversarialKind = "hinge",
        gradient_penalty: float = 0.0,
        r1_penalty: float = 0.0,
        perceptual_network: VGGArchitecture = "vgg16",
        perceptual_images: PerceptualImages = "both",
        spatial_discount: float = 0.99,
        balancing: Callable[[Mapping[str, float]], Balancing] = StatedWeights,
    ) -> None:
        super().__init__()
        for what, name, known in (
            ("adversarial loss", adversarial_kind, get_args(AdversarialKind)),
            ("perceptual network", perceptual_network, get_args(VGGArchitecture)),
            ("choice of images", perceptual_images, get_args(PerceptualImages)),
        ):
            if name not in known:
                raise ValueError(unknown_name_message(what, name, known))
        for what, weight in (
            ("gradient_penalty", gradient_penalty),
            ("r1_penalty", r1_penalty),
        ):
            if not isfinite(weight) or weight < 0:
                raise ValueError(
                    f"{what} is {weight}, but must be finite and at least 0 (0 leaves it out)"
                )
        check_discount(spatial_discount)
        self.weights = weights
        self.adversarial_kind = adversarial_kind
        self.gradient_penalty = gradient_penalty
        self.r1_penalty = r1_penalty
        self.perceptual_images = perceptual_images
        self.spatial_discount = spatial_discount
        self._vgg = perceptual_network
        self._make_balancing = balancing
        active = weights.active()
        self.balancing = balancing(active)
        if adversarial_kind in ("hinge", "wasserstein"):
            _refuse_negative(self.balancing, adversarial_kind)
        self.judges = weights.judges()
        self.asked = {name: asked for name in active if (asked := TERMS[name].asks) is not None}
        self.taught = [name for name in active if TERMS[name].needs_teacher]
        self.perceptual_network: VGGFeatures | None = None
        self._features: OncePerImage[dict[str, Tensor]] | None = None
        if any(TERMS[name].needs_features for name in active):
            layers = PERCEPTUAL_LAYERS[perceptual_network]
            self.perceptual_network = VGGFeatures(perceptual_network, layers)
            self._features = OncePerImage(self.perceptual_network)
        settings = TermSettings(
            adversarial_kind, perceptual_images, self._features, spatial_discount
        )
        self._terms: dict[str, LossTerm] = {name: TERMS[name].build(settings) for name in active}

    def forward(self, inputs: LossInputs) -> ObjectiveValue:
        """Evaluate every active term.

        Args:
            inputs: one batch; stages of any floating-point type.

        Raises:
            ValueError: shapes that do not fit each other, or a judge that is needed and not there.
        """
        _check_shapes(inputs)
        judged = {
            name: replace(pair, judge=OncePerImage(pair.judge))
            for name, pair in inputs.judged.items()
        }
        inputs = replace(inputs, judged=judged)
        try:
            terms = {name: term(inputs) for name, term in self._terms.items()}
        finally:
            if self._features is not None:
                self._features.forget()
        balanced = self.balancing(terms, inputs.last_layer)
        return ObjectiveValue(balanced.total, terms, balanced.weights)

    def gradient_norms(
        self, value: ObjectiveValue, parameters: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """How hard each term pulls at parameters: the norm of its gradient, times its weight.

        Args:
            value: what `forward` returned, before it is descended.
            parameters: at least one, each with gradient.

        Returns:
            Scalars without gradient, by term; 0 for one whose gradient does not reach them.
        """
        stated = self.weights.active()
        norms = {}
        for name, term in value.terms.items():
            norm = gradient_norm(term, parameters)
            balanced = value.weights.get(name)
            weight = abs(stated[name]) if balanced is None else balanced.abs()
            norms[name] = term.new_zeros(()) if norm is None else norm * weight
        return norms

    def with_weights(self, changed: Mapping[str, float]) -> "Objective":
        """The same objective with other weights, and a balancing of its own.

        Args:
            changed: new weights by term; the others stay.

        Raises:
            ValueError: a name of no term, with the nearest; weights as for the constructor.
        """
        return Objective(
            self.weights.changed(changed),
            self.adversarial_kind,
            self.gradient_penalty,
            self.r1_penalty,
            self._vgg,
            self.perceptual_images,
            self.spatial_discount,
            self._make_balancing,
        )

    def discriminator_loss(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """Return the scalar that a judge minimizes, of the generator's kind, without penalties.

        Args:
            real: the judge's logits of the truth, a tensor a scale.
            fake: alike, of what the network made, without gradient.
        """
        losses = [
            discriminator_loss(self.adversarial_kind, *logits)
            for logits in zip(real, fake, strict=True)
        ]
        return torch.stack(losses).mean()

    def penalties(self, judge: Judge, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return what a judge pays beside its loss, weighted, by name; nothing where nothing is.

        Args:
            judge: scores images; the mask is already bound.
            real: what it is shown as real.
            fake: what it is shown as fake.
        """
        paid = {}
        if self.gradient_penalty:
            paid["gradient_penalty"] = self.gradient_penalty * gradient_penalty(judge, real, fake)
        if self.r1_penalty:
            paid["r1_penalty"] = self.r1_penalty * r1_penalty(judge, real)
        return paid


def _refuse_negative(balancing: Balancing, kind: AdversarialKind) -> None:
    adversarial = [name for name in balancing.terms if name.endswith("adversarial")]
    if balancing.needs_positive and adversarial:
        raise ValueError(
            f"{type(balancing).__name__} cannot balance the {adversarial[0]} term of kind {kind}, "
            "which goes below 0: leave it out of balancing.terms, so that it keeps its weight, or "
            "take adversarial_kind log or least_squares"
        )


def _check_shapes(inputs: LossInputs) -> None:
    # A wrong shape could otherwise be broadcast and train on nonsense.
    shape = inputs.truth.shape
    images = {f"stage {number}": image for number, image in enumerate(inputs.stages.images)}
    for name, image in (images | {"completed": inputs.completed}).items():
        if image.shape != shape:
            raise ValueError(
                f"{name} has shape {tuple(image.shape)}, but must have the truth's, {tuple(shape)}"
            )
    expected = (shape[0], 1, *shape[2:])
    if inputs.mask.shape != expected:
        raise ValueError(f"mask has shape {tuple(inputs.mask.shape)}, but must have {expected}")
