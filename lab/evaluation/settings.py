"""What is scored, and where the holes come from, as settings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lab.checks import unknown_name_message
from lab.data import MaskPolarity
from lab.masks import check_probability
from lab.metrics import METRICS, PERCEPTUAL
from lab.metrics.distributions import DISTRIBUTIONS


@dataclass(frozen=True)
class Evaluation:
    """What is scored, and where the holes come from.

    Attributes:
        set: a folder written by ``data_prep.evaluation_sets`` or ``data_prep.clean_plate``, or one
            that holds several of them; None takes the validation photos of ``data``.
        person: who marks the person in triplets: the set itself (``"marked"``), or a mask source,
            as for a photo of one's own. GrabCut gets a box round the marked person.
        threshold: of U²-Net's answer, in (0, 1).
        dilation: pixels by which the mask is dilated before anything is filled.
        scored_dilation: triplets are scored within the marked person dilated by this, whatever the
            mask: what a tight mask leaves of the person counts, and sizes can be compared.
        boundary_attack: share of the samples, in [0, 1], whose hole gets very small rectangles
            along its border (`lab.masks.BoundaryAttack`), as imperfect segmentation would cut it;
            0.3 in the deployment notes. Filled and scored is the attacked hole. What is drawn
            depends on the sample alone: with a larger share, those that were attacked are attacked
            alike.
        samples: answers to each hole, of a network that reads noise. Every metric is then the mean
            over them; what the best of them scored stands in columns of its own, such as
            ``hole_ssim_best_of_3``.
        best_by: the metric by which the best of several answers is chosen.
        photos: in place of a set, a plain folder of photos, of any sizes.
        masks: the folder of their masks, called like the photos.
        mask_polarity: which colour marks the hole in those masks.
        also: measures that take longer: ``lpips``, ``dists`` and ``vsi`` of each photo, ``fid``,
            ``kid`` and ``inception_score`` of all together. All but ``vsi`` need weights.
        removal: what the masks mark is really in the photos and is to go, so that nobody knows what
            is right there: only what needs no truth is measured.
    """

    set: Path | None = None
    person: Literal["marked", "u2net", "u2net-small", "grabcut"] = "marked"
    threshold: float = 0.1
    dilation: int = 0
    scored_dilation: int = 16
    boundary_attack: float = 0.0
    samples: int = 1
    best_by: str = "hole_ssim"
    photos: Path | None = None
    masks: Path | None = None
    mask_polarity: MaskPolarity = "white-is-hole"
    removal: bool = False
    also: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            ValueError: naming the value and its rule.
        """
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"evaluation.threshold must lie in (0, 1), not {self.threshold}")
        for name in ("dilation", "scored_dilation"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"evaluation.{name} must not be negative, but is {getattr(self, name)}"
                )
        check_probability("evaluation.boundary_attack", self.boundary_attack)
        if self.samples < 1:
            raise ValueError(f"evaluation.samples must be at least 1, not {self.samples}")
        if self.best_by not in METRICS:
            raise ValueError(unknown_name_message("metric", self.best_by, METRICS))
        if (self.photos is None) != (self.masks is None):
            raise ValueError(
                "evaluation.photos and evaluation.masks go together: give both folders"
            )
        if self.photos is not None and self.set is not None:
            raise ValueError(
                "evaluation.set and evaluation.photos are two things to score: give one"
            )
        for name in self.also:
            if name not in (*PERCEPTUAL, *DISTRIBUTIONS):
                known = (*PERCEPTUAL, *DISTRIBUTIONS)
                raise ValueError(unknown_name_message("measure", name, known))
        if self.also and self.removal:
            raise ValueError(
                "evaluation.also compares with the truth, which evaluation.removal has none of"
            )
        if self.removal and self.photos is None:
            raise ValueError("evaluation.removal goes with evaluation.photos and evaluation.masks")
        if self.removal and self.samples > 1:
            raise ValueError(
                "evaluation.removal knows no truth to choose the best of several answers by: leave "
                "evaluation.samples at 1"
            )
        if self.set is None and (self.person != "marked" or self.dilation):
            raise ValueError(
                "evaluation.person and evaluation.dilation need triplets, in which there is a "
                "person: give evaluation.set a folder written by data_prep.clean_plate"
            )
