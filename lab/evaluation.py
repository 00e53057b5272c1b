"""Scoring: on validation photos, on an evaluation set, on people really removed, on any folder.

What is scored is a strategy, or the pictures that another program made of the same holes.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lab.checks import UserError, unknown_name_message
from lab.contracts import Guides, Strategy
from lab.data import (
    Entrant,
    EvaluationBatch,
    EvaluationSet,
    MaskPolarity,
    PhotoDataModule,
    read_evaluation_set,
    read_photo_folders,
)
from lab.formats.manifests import TRIPLETS
from lab.guides import draw_guides, noise_of_sample
from lab.imaging import dilate, read_instances, region_mean
from lab.mask_sources import MASK_SOURCES, MaskSource, NoPersonError
from lab.masks import BoundaryAttack, Degraded, check_probability
from lab.metrics import (
    METRICS,
    PERCEPTUAL,
    PerceptualMeasures,
    hole_ratio,
    measure,
    measure_answer,
    measure_removal,
)
from lab.metrics.distributions import DISTRIBUTIONS, Distributions
from lab.tracking import SampleScore

# GrabCut's box is the person's, this much larger on each side, as somebody would draw it.
_BOX_MARGIN = 0.1


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


@dataclass(frozen=True)
class Task:
    """One batch to be filled and scored.

    Attributes:
        sample: the name of each.
        photo: what each was cut from; a clip's people share one background, and one name.
        image: what the strategy is given, ``(B, 3, H, W)``.
        mask: where it fills, ``(B, 1, H, W)``.
        truth: what is right, ``(B, 3, H, W)``.
        scored: where it is scored, ``(B, 1, H, W)``.
        guides: what networks may be shown besides, ``(B, C, H, W)`` by name.
        has_truth: whether ``truth`` is right in the hole; else only what needs none is measured.
        perceptual: what is measured besides by a network's features.
    """

    sample: list[str]
    photo: list[str]
    image: Tensor
    mask: Tensor
    truth: Tensor
    scored: Tensor
    guides: Guides = field(default_factory=dict)
    has_truth: bool = True
    perceptual: PerceptualMeasures | None = None

    def only(self, indices: list[int]) -> "Task":
        """Some of its samples, in this order."""
        return replace(
            self,
            sample=[self.sample[index] for index in indices],
            photo=[self.photo[index] for index in indices],
            image=self.image[indices],
            mask=self.mask[indices],
            truth=self.truth[indices],
            scored=self.scored[indices],
            guides={name: planes[indices] for name, planes in self.guides.items()},
        )

    def to(self, device: torch.device | None) -> "Task":
        """The same task on a device; None leaves it where it is."""
        tensors = (self.image, self.mask, self.truth, self.scored)
        image, mask, truth, scored = (tensor.to(device) for tensor in tensors)
        guides = {name: planes.to(device) for name, planes in self.guides.items()}
        return replace(self, image=image, mask=mask, truth=truth, scored=scored, guides=guides)

    def guides_of_answer(self, number: int) -> Guides:
        """The guides of answer ``number``, from 1: another noise, all else the same."""
        if "noise" not in self.guides:
            return self.guides
        return {**self.guides, "noise": noise_of_sample(self.guides["noise"], number)}


@dataclass(frozen=True)
class Judged:
    """A batch that was filled, with each sample's scores.

    ``further`` are the second answer and those after it, where several were asked for.
    """

    task: Task
    completed: Tensor
    scores: list[SampleScore]
    further: tuple[Tensor, ...] = ()


class Tasks:
    """The batches of an evaluation, in an order that never changes.

    Attributes:
        evaluation: what was asked for.
        not_found: samples in which the mask source saw nobody, so far; nothing is filled in them.
        distributions: gathers what is measured of all photos together; None where nothing is.

    Raises:
        ValueError: no such set, or an altered one; a person to be found in a set that has none.
        ValueError: too few photos for a measure of all of them.
        MissingWeightsError: weights of U²-Net, or of a measure, are not here and cannot be
            downloaded.
    """

    def __init__(self, evaluation: Evaluation, data: PhotoDataModule) -> None:
        self.evaluation = evaluation
        self._data = data
        self._set: EvaluationSet | None = None
        self._segmentation: MaskSource | None = None
        self.not_found: list[str] = []
        self._open_set()
        asked = [name for name in evaluation.also if name in DISTRIBUTIONS]
        self.distributions = Distributions(asked, len(self.sizes())) if asked else None
        asked = [name for name in evaluation.also if name in PERCEPTUAL]
        self._perceptual = PerceptualMeasures(asked) if asked else None

    def _open_set(self) -> None:
        evaluation = self.evaluation
        if evaluation.photos is not None and evaluation.masks is not None:
            self._set = read_photo_folders(
                evaluation.photos, evaluation.masks, evaluation.mask_polarity
            )
            return
        if evaluation.set is None:
            return
        self._set = read_evaluation_set(evaluation.set)
        if self._set.kind != TRIPLETS and (evaluation.person != "marked" or evaluation.dilation):
            raise ValueError(
                f"{evaluation.set} holds photos under drawn holes, but evaluation.person and "
                "evaluation.dilation need triplets, as data_prep.clean_plate writes"
            )
        if evaluation.person.startswith("u2net"):
            source = MASK_SOURCES[evaluation.person]
            self._segmentation = source(threshold=evaluation.threshold)

    @property
    def digest(self) -> str:
        """Tells what is scored from anything else."""
        return self._data.source.digest if self._set is None else self._set.digest

    def summary(self) -> str:
        """Say in one line what is scored."""
        return self._data.source.summary() if self._set is None else self._set.summary()

    def sizes(self) -> dict[str, tuple[int, int]]:
        """The (height, width) of every sample, by its name."""
        if self._set is not None:
            return {record.name: record.size for record in self._set.records}
        return {
            sample: (task.image.shape[2], task.image.shape[3])
            for task in self
            for sample in task.sample
        }

    @property
    def side(self) -> int:
        """The longer side of the samples, in pixels."""
        return self._data.size if self._set is None else max(self._set.size)

    def __iter__(self) -> Iterator[Task]:
        if self._set is None:
            self._data.setup("validate")
            for batch in self._attacked_data().val_dataloader():
                names = list(batch.sample), list(batch.photo)
                images = batch.image, batch.mask, batch.image, batch.mask
                yield Task(*names, *images, batch.guides, perceptual=self._perceptual)
            return
        self.not_found = []
        height, width = self._set.size
        for batch in self._set.batches(min(16, max(1, 2**20 // (height * width)))):
            yield self._task(batch, is_triplet=self._set.kind == TRIPLETS)

    def _attacked_data(self) -> PhotoDataModule:
        """The photos, their holes attacked as they are drawn: guides go by what is left to see."""
        share = self.evaluation.boundary_attack
        if not share:
            return self._data
        attacked = copy(self._data)
        attacked.validation_masks = Degraded(self._data.validation_masks, [BoundaryAttack(share)])
        return attacked

    def _attack(self, mask: Tensor, content: int) -> Tensor:
        seed = (self._data.validation_seed, content)
        return BoundaryAttack(self.evaluation.boundary_attack)(mask, np.random.default_rng(seed))

    def _task(self, batch: EvaluationBatch, is_triplet: bool) -> Task:
        mask, scored = batch.mask, batch.mask
        if is_triplet:
            asked = self.evaluation
            scored = dilate(mask, asked.scored_dilation)
            if asked.person != "marked":
                found = [
                    self._find(*one) for one in zip(batch.image, mask, batch.name, strict=True)
                ]
                mask = torch.stack(found)
            mask = dilate(mask, asked.dilation)
        if self.evaluation.boundary_attack:
            holes = zip(mask, batch.content, strict=True)
            mask = torch.stack([self._attack(*hole) for hole in holes])
            scored = torch.maximum(scored, mask) if is_triplet else mask
        names = list(batch.name), list(batch.photo)
        guides = self._guides(batch, mask)
        has_truth = not self.evaluation.removal
        images = batch.image, mask, batch.truth, scored
        return Task(*names, *images, guides, has_truth, self._perceptual)

    def _guides(self, batch: EvaluationBatch, mask: Tensor) -> Guides:
        """Drawn from what is known around the very mask that is filled."""
        data, drawn = self._data, []
        if not data.guides:
            return {}
        for index, content in enumerate(batch.content):
            hole = mask[index]
            right = torch.where(hole > 0, batch.truth[index], batch.image[index])
            ids = None
            if data.instance_maps is not None:
                its_map = data.instance_maps.file_of(batch.name[index])
                ids = read_instances(its_map, (hole.shape[1], hole.shape[2]))
            key = (data.validation_seed, content)
            drawn.append(draw_guides(data.guides, right, hole, key, ids))
        return {name: torch.stack([guides[name] for guides in drawn]) for name in data.guides}

    def _find(self, image: Tensor, marked: Tensor, name: str) -> Tensor:
        """The mask ``(1, H, W)`` that the source gives; empty where it sees nobody."""
        source = self._segmentation or MASK_SOURCES["grabcut"](box=_box_around(marked))
        try:
            return source(image[None])[0]
        except NoPersonError:
            self.not_found.append(name)
            return torch.zeros_like(marked)


def judge(
    strategy: Strategy, tasks: Iterable[Task], samples: int = 1, best_by: str = "hole_ssim"
) -> Iterator[Judged]:
    """Fill and score batch after batch.

    Args:
        strategy: fills.
        tasks: what is filled.
        samples: answers to each hole, each with a noise of its own.
        best_by: the metric that chooses the best of several.

    Raises:
        UserError: several answers without noise, which would all be the same.
        ValueError: a hole that is empty or covers its whole photo; names the sample.
    """
    for task in tasks:
        if samples > 1 and "noise" not in task.guides:
            raise UserError(
                f"evaluation.samples is {samples}, but without noise all answers are the same: "
                "set data.guides+=noise for a network that reads it, or evaluation.samples=1"
            )
        answers = [
            strategy(task.image, task.mask, task.guides_of_answer(number))
            for number in range(1, samples + 1)
        ]
        metrics = _over_answers([_measure(answer, task) for answer in answers], best_by)
        yield Judged(task, answers[0], _scores(task, metrics), tuple(answers[1:]))


@dataclass
class KnownPixels:
    """What an entrant did to pixels that it was to keep, photo by photo.

    Attributes:
        means: levels of 255 by which the known pixels of a photo differ, in the mean.
        most: the farthest of each.
    """

    means: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)

    def add(self, delivered: Tensor, task: Task) -> None:
        """Compare a batch as it was delivered with the photos that it was made of."""
        known = 1.0 - task.mask
        difference = 255.0 * (delivered - task.image).abs() * known
        self.means += region_mean(difference, known).tolist()
        self.most += difference.flatten(1).amax(1).tolist()

    def sentence(self, name: str, pastes: bool) -> str:
        """Say what was changed, and how it is scored."""
        changed = [mean for mean, most in zip(self.means, self.most, strict=True) if most > 0.5]
        if not changed:
            return f"{name} left the known pixels of all {len(self.means)} photos as they were"
        scored = (
            "scored with the photos' own pixels in their place (--paste-known)"
            if pastes
            else "scored as delivered (--paste-known puts the photos' own pixels in their place)"
        )
        return (
            f"{name} changed known pixels in {len(changed)} of {len(self.means)} photos, by "
            f"{sum(changed) / len(changed):.2g} levels of 255 in their mean, {max(self.most):.0f} "
            f"at most: {scored}"
        )


def judge_entrant(
    entrant: Entrant, tasks: Iterable[Task], known: KnownPixels, pastes: bool = False
) -> Iterator[Judged]:
    """Score what another program made, batch after batch; samples that it lacks are left out.

    Pictures are scored as they were delivered: what a program does to pixels that it was to keep is
    what its user gets. ``answer_known_l1`` says it photo by photo, whether it is pasted or not.

    Args:
        entrant: whose pictures.
        tasks: of which they were made.
        known: is told what was done to known pixels.
        pastes: put the photos' own pixels outside the hole first, as for networks of ours.

    Raises:
        UnreadablePhotoError: a picture.
        ValueError: a hole that is empty or covers its whole photo; names the sample.
    """
    for every in tasks:
        there = [index for index, sample in enumerate(every.sample) if sample in entrant.files]
        if not there:
            continue
        task = every.only(there)
        delivered = torch.stack([entrant.image(sample) for sample in task.sample])
        known.add(delivered, task)
        completed = torch.where(task.mask > 0, delivered, task.image) if pastes else delivered
        metrics = _measure(completed, task) | measure_answer(delivered, task.image, task.mask)
        yield Judged(task, completed, _scores(task, metrics))


def _measure(completed: Tensor, task: Task) -> dict[str, Tensor]:
    if not task.has_truth:
        return measure_removal(completed, task.scored, task.sample)
    measured = measure(completed, task.truth, task.scored, task.sample)
    if task.perceptual is not None:
        measured |= task.perceptual(completed, task.truth)
    return measured


def _scores(task: Task, metrics: dict[str, Tensor]) -> list[SampleScore]:
    ratios = hole_ratio(task.scored)
    return [
        SampleScore(
            sample,
            task.photo[index],
            float(ratios[index]),
            {metric: float(values[index]) for metric, values in metrics.items()},
        )
        for index, sample in enumerate(task.sample)
    ]


def best_of(metric: str, samples: int) -> str:
    """The column of what the best of several answers scored: never to be taken for a mean."""
    return f"{metric}_best_of_{samples}"


def _over_answers(scored: list[dict[str, Tensor]], best_by: str) -> dict[str, Tensor]:
    """Every metric's mean over the answers, then that of the answer that is best by one metric."""
    if len(scored) == 1:
        return scored[0]
    columns = {metric: torch.stack([one[metric] for one in scored]) for metric in scored[0]}
    sign = 1.0 if METRICS[best_by].higher_is_better else -1.0
    best = (sign * columns[best_by]).argmax(0, keepdim=True)
    means = {metric: values.mean(0) for metric, values in columns.items()}
    return means | {
        best_of(metric, len(scored)): values.gather(0, best)[0]
        for metric, values in columns.items()
    }


def _box_around(mask: Tensor) -> tuple[int, int, int, int]:
    """``x, y, width, height`` of what is marked in ``(1, H, W)``, with a margin, in the photo."""
    spans = []
    for axis, length in ((1, mask.shape[1]), (2, mask.shape[2])):
        marked = mask[0].any(dim=2 - axis).nonzero().flatten()
        first, last = int(marked[0]), int(marked[-1])
        margin = max(2, round(_BOX_MARGIN * (last - first + 1)))
        # One row or column of background must stay outside.
        start, stop = max(1, first - margin), min(length - 1, last + 1 + margin)
        spans.append((start, max(1, stop - start)))
    (top, height), (left, width) = spans
    return left, top, width, height
