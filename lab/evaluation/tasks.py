"""The batches that are filled and scored: photos or a set, their holes, and what is right there."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from lab.contracts import Guides
from lab.data import (
    EvaluationBatch,
    EvaluationSet,
    PhotoDataModule,
    read_evaluation_set,
    read_photo_folders,
)
from lab.evaluation.settings import Evaluation
from lab.formats.manifests import TRIPLETS
from lab.guides import draw_guides, noise_of_sample
from lab.imaging import dilate, read_instances
from lab.mask_sources import MASK_SOURCES, MaskSource, NoPersonError
from lab.masks import BoundaryAttack, Degraded
from lab.metrics import PERCEPTUAL, PerceptualMeasures
from lab.metrics.distributions import DISTRIBUTIONS, Distributions

# GrabCut's box is the person's, this much larger on each side, as somebody would draw it.
_BOX_MARGIN = 0.1


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
        asked = [name for name in evaluation.also if name in PERCEPTUAL]
        self._perceptual = PerceptualMeasures(asked) if asked else None
        asked = [name for name in evaluation.also if name in DISTRIBUTIONS]
        self.distributions = Distributions(asked, len(self.sizes())) if asked else None

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
