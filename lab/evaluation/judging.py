"""Filling and scoring batch after batch: a strategy, or the pictures that another program made."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lab.checks import UserError
from lab.contracts import Strategy
from lab.data import Entrant
from lab.evaluation.tasks import Task
from lab.imaging import region_mean
from lab.metrics import METRICS, hole_ratio, measure, measure_answer, measure_removal
from lab.tracking import SampleScore


@dataclass(frozen=True)
class Judged:
    """A batch that was filled, with each sample's scores.

    ``further`` are the second answer and those after it, where several were asked for.
    """

    task: Task
    completed: Tensor
    scores: list[SampleScore]
    further: tuple[Tensor, ...] = ()


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
    for metric, values in metrics.items():
        if not bool(values.isfinite().all()):
            sample = task.sample[int((~values.isfinite()).nonzero()[0])]
            raise UserError(
                f"{metric} of {sample} is not finite: what completes it answers with numbers that "
                "are none. Leave it out, or score another checkpoint"
            )
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
