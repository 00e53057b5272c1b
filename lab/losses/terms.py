"""The registry of loss terms: each declared once, with what it means, weighs and needs.

Terms that differ in a distance, a region, a stage or a judge alone are generated. `LossWeights` is
made of the registry, so that a term is one row here and nothing elsewhere.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, make_dataclass
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lab.checks import unknown_name_message
from lab.contracts import LossTerm
from lab.losses.adversarial import Adversarial, AdversarialKind
from lab.losses.distillation import TeacherAttention, TeacherPerceptual
from lab.losses.feature_matching import FeatureMatching
from lab.losses.perceptual import ImageFeatures, Perceptual, PerceptualImages, Style
from lab.losses.reconstruction import Distance, Reconstruction, Region, Stage
from lab.losses.rim import RimTotalVariation
from lab.losses.shift_guidance import ShiftGuidance
from lab.losses.structure import MSSSIM, HoleSSIM
from lab.losses.texture import HoleTexture


@dataclass(frozen=True)
class TermSettings:
    """What the terms are built from.

    Args:
        adversarial_kind: the adversarial loss.
        perceptual_images: which images the perceptual terms compare with the truth.
        features: the network behind the perceptual terms, which share it; None where neither is
            wanted.
        spatial_discount: what the discounted hole's pixels lose with each pixel of depth.
    """

    adversarial_kind: AdversarialKind = "hinge"
    perceptual_images: PerceptualImages = "both"
    features: ImageFeatures | None = None
    spatial_discount: float = 0.99


@dataclass(frozen=True)
class Term:
    """A term that an objective can weight.

    Attributes:
        build: makes it.
        meaning: what it measures, with weights that papers give it.
        published: its weight in InpaintSANet, for images in [0, 1]; 0 where that has no such term.
        judge: the name of the judge that it asks, a key of `JUDGES`; None asks none.
        needs_features: whether it needs `TermSettings.features`.
        asks: the function of the network that it asks beside the answer, by name; None asks none.
        needs_teacher: whether it asks a teacher, as `lab.training.Distillation` has one.
    """

    build: Callable[[TermSettings], LossTerm]
    meaning: str
    published: float = 0.0
    judge: str | None = None
    needs_features: bool = False
    asks: str | None = None
    needs_teacher: bool = False


JUDGES: Mapping[str, str] = MappingProxyType(
    {
        "whole": "the whole image",
        "local": "a crop round the hole",
        "pyramid": "the image at several sizes",
        "edges": "the completed edges (a network's extra of that name, and the guide)",
    }
)
"""Every judge that a term can ask, by name, and what it is shown."""

_DISTANCES: Mapping[Distance, str] = {
    "l1": "mean absolute difference",
    "l2": "mean squared difference",
    "charbonnier": "mean Charbonnier distance",
}
_REGIONS: Mapping[Region, str] = {
    "hole": "inside the hole",
    "known": "over the known pixels",
    "whole": "over the image",
    "discounted_hole": "inside the hole, less the deeper in it",
}
# InpaintSANet's 1.2 is stated for images in [-1, 1], whose differences are twice as large.
_PUBLISHED_L1 = 2.4


def _reconstruction() -> Iterator[tuple[str, Term]]:
    stages: tuple[Stage, ...] = ("refined", "coarse")
    for distance, stage, region in product(_DISTANCES, stages, _REGIONS):
        if region == "discounted_hole" and distance != "l1":
            continue  # Published for L1 alone.
        published = _PUBLISHED_L1 if distance == "l1" and region in ("hole", "known") else 0.0
        yield (
            f"{'coarse_' if stage == 'coarse' else ''}{region}_{distance}",
            Term(
                _reconstructs(distance, region, stage),
                f"{_DISTANCES[distance]} {_REGIONS[region]}, {stage} stage",
                published,
            ),
        )


def _taught() -> Iterator[tuple[str, Term]]:
    """Distances to a teacher's stages."""
    stages: tuple[Stage, ...] = ("refined", "coarse")
    regions: tuple[Region, ...] = ("hole", "known", "whole")
    for stage, region in product(stages, regions):
        yield (
            f"{'coarse_' if stage == 'coarse' else ''}teacher_{region}_l1",
            Term(
                _same(Reconstruction("l1", region, stage, target="teacher")),
                f"{_DISTANCES['l1']} {_REGIONS[region]}, {stage} stage, from the teacher's",
                needs_teacher=True,
            ),
        )


def judged_name(judge: str, name: str) -> str:
    """What ``name`` of a judge is called in settings and logs: ``local_real_logit``.

    The judge of whole images, which most have alone, adds nothing: ``real_logit``.
    """
    return name if judge == "whole" else f"{judge}_{name}"


def _reconstructs(
    distance: Distance, region: Region, stage: Stage
) -> Callable[[TermSettings], LossTerm]:
    return lambda settings: Reconstruction(distance, region, stage, settings.spatial_discount)


def _judged(judge: str) -> Iterator[tuple[str, Term]]:
    yield (
        judged_name(judge, "adversarial"),
        Term(
            lambda settings: Adversarial(settings.adversarial_kind, judge),
            f"what the judge of {JUDGES[judge]} says",
            0.005 if judge == "whole" else 0.0,
            judge,
        ),
    )
    yield (
        judged_name(judge, "feature_matching"),
        Term(
            _same(FeatureMatching(judge)),
            f"L1 between the features of the judge of {JUDGES[judge]}"
            f"{'; 10 in EdgeConnect' if judge == 'edges' else ''}",
            judge=judge,
        ),
    )


def _same(term: LossTerm) -> Callable[[TermSettings], LossTerm]:
    return lambda settings: term


def _features(settings: TermSettings) -> ImageFeatures:
    if settings.features is None:
        raise ValueError("the perceptual and style terms need TermSettings.features")
    return settings.features


TERMS: Mapping[str, Term] = MappingProxyType(
    {
        **dict(_reconstruction()),
        "ms_ssim": Term(_same(MSSSIM()), "1 - MS-SSIM of the completed image"),
        "hole_ssim": Term(_same(HoleSSIM()), "1 - SSIM inside the hole, of the completed image"),
        "hole_texture": Term(
            _same(HoleTexture()),
            "distance between the distributions of patches in the hole, without weights",
        ),
        "rim_total_variation": Term(
            _same(RimTotalVariation()), "total variation over the hole and its rim; 0.1 in PConv"
        ),
        **dict(_judged("whole")),
        "perceptual": Term(
            lambda settings: Perceptual(_features(settings), settings.perceptual_images),
            "L1 between VGG features; 0.05 in PConv, 0.1 in EdgeConnect",
            needs_features=True,
        ),
        "style": Term(
            lambda settings: Style(_features(settings), settings.perceptual_images),
            "L1 between Gram matrices of VGG features; 120 in PConv, 250 in EdgeConnect",
            needs_features=True,
        ),
        "shift_guidance": Term(
            _same(ShiftGuidance()),
            "mean square between decoder features and the truth's in the hole; 1 in Shift-Net",
            asks="guidance_features",
        ),
        **dict(_taught()),
        "teacher_attention": Term(
            _same(TeacherAttention()),
            "how far what attention makes points away from the teacher's, by a learned projection",
            needs_teacher=True,
        ),
        "teacher_perceptual": Term(
            _same(TeacherPerceptual()),
            "distance from the teacher's completed image in the teacher's own layers",
            needs_teacher=True,
        ),
        **{name: term for judge in JUDGES if judge != "whole" for name, term in _judged(judge)},
    }
)
"""Every term by the name that weights, settings and logs call it."""


def check_terms(names: Mapping[str, Any]) -> None:
    """Refuse names of no term.

    Raises:
        ValueError: naming the nearest.
    """
    for name in names:
        if name not in TERMS:
            raise ValueError(unknown_name_message("loss term", name, TERMS))


@dataclass(frozen=True)
class _Weights:
    """What is the same for weights of whatever terms."""

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
        weights: dict[str, float] = asdict(self)
        return {name: weight for name, weight in weights.items() if weight != 0}

    def changed(self, weights: Mapping[str, float]) -> "LossWeights":
        """Return the same weights but for those that are given by name.

        Raises:
            ValueError: a name of no term, with the nearest.
        """
        check_terms(weights)
        everything: dict[str, float] = asdict(self)
        return LossWeights(**(everything | dict(weights)))

    def judges(self) -> list[str]:
        """The names of the judges that terms with a weight ask, in the order of `JUDGES`."""
        asked = {TERMS[name].judge for name in self.active()}
        return [judge for judge in JUDGES if judge in asked]


if TYPE_CHECKING:

    class LossWeights(_Weights):
        """As made below, for type checkers: any term is an attribute."""

        def __init__(self, **weights: float) -> None: ...

        def __getattr__(self, term: str) -> float: ...

else:
    LossWeights = make_dataclass(
        "LossWeights",
        [(name, float, field(default=term.published)) for name, term in TERMS.items()],
        bases=(_Weights,),
        frozen=True,
        namespace={"__module__": __name__},
    )
    LossWeights.__doc__ = "\n".join(
        (
            "The weight of every term; a term of weight 0 is not computed.",
            "",
            "The defaults are InpaintSANet's, for images in [0, 1]. Of a network of one stage, the",
            "coarse stage is the refined one, so that the weights of both act on the same image.",
            "",
            "Args:",
            *(f"    {name}: {term.meaning}." for name, term in TERMS.items()),
            "",
            "Raises:",
            "    ValueError: a weight that is negative, NaN or infinite; or all of them 0.",
        )
    )
