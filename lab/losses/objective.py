"""The objective: named terms, each with its weight, and the total that a network is trained on."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import get_args

import torch
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.contracts import LossInputs, LossTerm
from lab.losses.adversarial import AdversarialKind, discriminator_loss
from lab.losses.balancing import Balancing, StatedWeights
from lab.losses.once import OncePerImage
from lab.losses.perceptual import PERCEPTUAL_LAYERS, PerceptualImages
from lab.losses.terms import DISCRIMINATOR_TERMS, FEATURE_TERMS, TERMS, TermSettings
from lab.networks import VGGArchitecture, VGGFeatures


@dataclass(frozen=True)
class LossWeights:
    """The weight of every term; a term of weight 0 is not computed.

    The defaults are InpaintSANet's, for images in [0, 1]: its 1.2 for L1 is stated for images in
    [-1, 1], whose differences are twice as large. Of a network of one stage, the coarse stage is
    the refined one, so that the weights of both act on the same image.

    Args:
        hole_l1: mean absolute difference inside the hole, refined stage.
        known_l1: mean absolute difference over the known pixels, refined stage.
        whole_l1: mean absolute difference over the whole image, refined stage.
        coarse_hole_l1: mean absolute difference inside the hole, coarse stage.
        coarse_known_l1: mean absolute difference over the known pixels, coarse stage.
        coarse_whole_l1: mean absolute difference over the whole image, coarse stage.
        hole_l2: mean squared difference inside the hole, refined stage.
        known_l2: mean squared difference over the known pixels, refined stage.
        whole_l2: mean squared difference over the whole image, refined stage.
        coarse_hole_l2: mean squared difference inside the hole, coarse stage.
        coarse_known_l2: mean squared difference over the known pixels, coarse stage.
        coarse_whole_l2: mean squared difference over the whole image, coarse stage.
        hole_charbonnier: mean Charbonnier distance inside the hole, refined stage.
        known_charbonnier: mean Charbonnier distance over the known pixels, refined stage.
        whole_charbonnier: mean Charbonnier distance over the whole image, refined stage.
        coarse_hole_charbonnier: mean Charbonnier distance inside the hole, coarse stage.
        coarse_known_charbonnier: mean Charbonnier distance over the known pixels, coarse stage.
        coarse_whole_charbonnier: mean Charbonnier distance over the whole image, coarse stage.
        ms_ssim: 1 - MS-SSIM of the completed image.
        hole_ssim: 1 - SSIM inside the hole, of the completed image.
        rim_total_variation: total variation over the hole and its rim; 0.1 in PConv.
        adversarial: what the discriminator says about the completed image.
        feature_matching: L1 between the discriminator's features; 10 in EdgeConnect's first stage.
        perceptual: L1 between VGG features; 0.05 in PConv, 0.1 in EdgeConnect.
        style: L1 between Gram matrices of VGG features; 120 in PConv, 250 in EdgeConnect.

    Raises:
        ValueError: a weight that is negative, NaN or infinite; or all of them 0.
    """

    hole_l1: float = 2.4
    known_l1: float = 2.4
    whole_l1: float = 0.0
    coarse_hole_l1: float = 2.4
    coarse_known_l1: float = 2.4
    coarse_whole_l1: float = 0.0
    hole_l2: float = 0.0
    known_l2: float = 0.0
    whole_l2: float = 0.0
    coarse_hole_l2: float = 0.0
    coarse_known_l2: float = 0.0
    coarse_whole_l2: float = 0.0
    hole_charbonnier: float = 0.0
    known_charbonnier: float = 0.0
    whole_charbonnier: float = 0.0
    coarse_hole_charbonnier: float = 0.0
    coarse_known_charbonnier: float = 0.0
    coarse_whole_charbonnier: float = 0.0
    ms_ssim: float = 0.0
    hole_ssim: float = 0.0
    rim_total_variation: float = 0.0
    adversarial: float = 0.005
    feature_matching: float = 0.0
    perceptual: float = 0.0
    style: float = 0.0

    def __post_init__(self) -> None:
        for name, weight in asdict(self).items():
            if not math.isfinite(weight) or weight < 0:
                raise ValueError(
                    f"the weight of {name} is {weight}, but must be finite and at least 0 "
                    "(0 leaves the term out)"
                )
        if not self.active():
            raise ValueError("every weight is 0, so there is nothing to train on: set one")

    def active(self) -> dict[str, float]:
        """Return the weights that are not 0, by name."""
        return {name: weight for name, weight in asdict(self).items() if weight != 0}


INPAINT_SANET_WEIGHTS = LossWeights()


@dataclass(frozen=True)
class ObjectiveValue:
    """One evaluation of an objective.

    Args:
        total: the weighted sum, a scalar with gradient.
        terms: every active term by name, before its weight; scalars without gradient, to be logged.
        weights: what balanced terms weigh now, alike; none where all weigh what was stated.
    """

    total: Tensor
    terms: dict[str, Tensor]
    weights: dict[str, Tensor] = field(default_factory=dict)


class Objective(nn.Module):
    """``LossInputs -> ObjectiveValue``: what a network is trained to make small.

    It has no parameters and saves nothing but its balancing's: VGG moves with it from device to
    device, but stays out of ``state_dict()``. However many terms ask the discriminator or VGG about
    an image, it is computed once. Everything but the discriminator runs in float32, under automatic
    mixed precision too.

    Args:
        weights: the weight of every term.
        adversarial_kind: the adversarial loss, of the generator and of the discriminator.
        perceptual_network: the network behind the perceptual and style terms; ``vgg16`` as in PConv
            and RFR, ``vgg19`` as in EdgeConnect.
        perceptual_images: which images these two terms compare with the truth: the ``refined``
            stage, the ``completed`` image, or ``both``, added.
        balancing: what makes the terms' weights of the stated ones as training goes; each class of
            `lab.losses.balancing` says what it asks of the terms.

    Raises:
        ValueError: a name that is none of these, or terms that cannot be balanced so.
        MissingWeightsError: a perceptual term has a weight, but VGG's weights are not here and
            cannot be downloaded.
    """

    def __init__(
        self,
        weights: LossWeights = INPAINT_SANET_WEIGHTS,
        adversarial_kind: AdversarialKind = "hinge",
        perceptual_network: VGGArchitecture = "vgg16",
        perceptual_images: PerceptualImages = "both",
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
        self.weights = weights
        self.adversarial_kind = adversarial_kind
        active = weights.active()
        self.balancing = balancing(active)
        if adversarial_kind == "hinge":
            _refuse_hinge(self.balancing)
        self.needs_discriminator = not DISCRIMINATOR_TERMS.isdisjoint(active)

        self.perceptual_network: VGGFeatures | None = None
        self._features: OncePerImage[dict[str, Tensor]] | None = None
        if not FEATURE_TERMS.isdisjoint(active):
            layers = PERCEPTUAL_LAYERS[perceptual_network]
            self.perceptual_network = VGGFeatures(perceptual_network, layers)
            self._features = OncePerImage(self.perceptual_network)
        settings = TermSettings(adversarial_kind, perceptual_images, self._features)
        self._terms: dict[str, LossTerm] = {name: TERMS[name](settings) for name in active}

    def forward(self, inputs: LossInputs) -> ObjectiveValue:
        """Evaluate every active term.

        Args:
            inputs: one batch; stages of any floating-point type.

        Raises:
            ValueError: shapes that do not fit each other, or no judge where one is needed.
        """
        _check_shapes(inputs)
        if inputs.judge is not None:
            inputs = replace(inputs, judge=OncePerImage(inputs.judge))
        try:
            terms = {name: term(inputs) for name, term in self._terms.items()}
        finally:
            if self._features is not None:
                self._features.forget()
        balanced = self.balancing(terms, inputs.last_layer)
        raw = {name: value.detach() for name, value in terms.items()}
        return ObjectiveValue(balanced.total, raw, balanced.weights)

    def discriminator_loss(self, real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
        """Return the scalar that the discriminator minimizes, of the generator's kind.

        Args:
            real: the discriminator's logits of the truth, a tensor a scale.
            fake: alike, of completed images without gradient.
        """
        losses = [
            discriminator_loss(self.adversarial_kind, *logits)
            for logits in zip(real, fake, strict=True)
        ]
        return torch.stack(losses).mean()


def _refuse_hinge(balancing: Balancing) -> None:
    if balancing.needs_positive and "adversarial" in balancing.terms:
        raise ValueError(
            f"{type(balancing).__name__} cannot balance the adversarial term of kind hinge, which "
            "goes below 0: leave it out of balancing.terms, so that it keeps its weight, or take "
            "adversarial_kind log or least_squares"
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
