"""What a teacher says of a batch, as terms: a large network trains a small one.

The deployment notes: the uncompressed network teaches the small one by its coarse image, its
refined image and its "attention map"; later by "the teacher's perceptual loss" too. The two images
are terms of `lab.losses.Reconstruction` with the teacher's answer in the truth's place; the two
other terms are here. The notes say neither which map nor whose features:

- **Attention map.** The published DeepFillv2 answers with three things: the two images and the
  places that each patch is copied from. Those come of a choice, through which no gradient flows.
  Here it is what attention makes of them, the features that it answers with; a learned 1x1
  convolution maps the student's to the teacher's, whose channels are others even where they are as
  many, as in Adriana Romero et al.,
  "FitNets: Hints for Thin Deep Nets" (ICLR 2015), section 2.2.
- **The teacher's perceptual loss.** Distances between features of the *teacher's own layers*, in
  which both completed images are shown whole; the target is the *teacher's* image, as in every
  other term of distillation, for what it makes can be learnt, and the truth often cannot. The loss
  on VGG's features against the truth is the term ``perceptual``.

Features of layers have any scale. Here they are compared by direction, or relative to the
teacher's, so that a weight means the same of every teacher.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.contracts import Lesson, LossInputs

ATTENDED = "attended"
"""The extra of a network's answer that holds what its attention made."""

_LEAST = 1e-6


class TeacherAttention:
    """How far the student's attended features point away from the teacher's.

    At each position both are brought to length 1, and the squared length of their difference is
    taken: 0 where they point alike, 2 at a right angle, 4 at most; the mean over the positions.
    Maps of another size are resized to the student's.
    """

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar.

        Raises:
            ValueError: there is no teacher, or one of the two networks has no attention.
        """
        lesson = lesson_of(inputs, "teacher_attention")
        ours = inputs.stages.extras.get(ATTENDED)
        theirs = lesson.stages.extras.get(ATTENDED)
        if ours is None or theirs is None:
            who = "the student" if ours is None else "the teacher"
            raise ValueError(
                f"the term teacher_attention compares what attention makes, but {who} answers "
                f"without the extra {ATTENDED!r}: take networks with one attention, such as "
                "DeepFillv2 and InpaintSANet, or leave the term out"
            )
        with torch.autocast(ours.device.type, enabled=False):
            found, target = lesson.project(ours.float()), theirs.detach().float()
            if target.shape[-2:] != found.shape[-2:]:
                target = F.interpolate(target, found.shape[-2:], mode="bilinear", antialias=True)
            difference = F.normalize(found, dim=1) - F.normalize(target, dim=1)
            return difference.square().sum(dim=1).mean()


class TeacherPerceptual:
    """Absolute distance of the completed images' features in the teacher's layers.

    Of each layer and sample the mean over the elements, divided by the mean absolute value of the
    target's; the mean over the samples, summed over the layers.
    """

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where the student completes as the teacher does.

        Raises:
            ValueError: there is no teacher.
        """
        lesson = lesson_of(inputs, "teacher_perceptual")
        with torch.autocast(inputs.completed.device.type, enabled=False):
            with torch.no_grad():
                target = lesson.features(lesson.completed.float())
            found = lesson.features(inputs.completed.float())
            differences = [_relative(found[layer], theirs) for layer, theirs in target.items()]
        return torch.stack(differences).sum()


def _relative(found: Tensor, target: Tensor) -> Tensor:
    distance, size = (each.abs().mean((1, 2, 3)) for each in (found - target, target))
    # Sample by sample: what several devices share out is the mean over all of them.
    return (distance / size.clamp_min(_LEAST)).mean()


def lesson_of(inputs: LossInputs, term: str) -> Lesson:
    """What the teacher says, which ``term`` cannot do without.

    Raises:
        ValueError: there is no teacher.
    """
    if inputs.lesson is None:
        raise ValueError(
            f"the term {term} asks a teacher, and there is none: train by lab.training.Distillation"
        )
    return inputs.lesson
