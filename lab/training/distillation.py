"""A large network trains a small one: the procedure of the deployment notes.

Geoffrey Hinton, Oriol Vinyals, Jeff Dean, "Distilling the Knowledge in a Neural Network" (2015);
with hints from within, Adriana Romero et al., "FitNets" (ICLR 2015). Everything else is as in
`AdversarialCompletion`: judges, phases, what the student is told of the truth.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.contracts import JudgedPair, Lesson, LossInputs, Stages
from lab.data import Batch
from lab.guides import ask_network, blank_guides, guides_of
from lab.losses import ATTENDED
from lab.networks import load_network, tensors_sha256
from lab.parsing import SettingsError
from lab.training.adversarial_completion import AdversarialCompletion

_PROBED = 64


class Distillation(AdversarialCompletion):
    """Trains a network, the student, by the truth and by what a frozen teacher answers.

    The teacher sees the same photos under the same holes. What the student learns of it are terms
    of the objective, whose names begin with ``teacher`` or ``coarse_teacher``; without a weight on
    one of them this is `AdversarialCompletion`, and no teacher is looked for.

    No checkpoint holds the teacher: ``last.ckpt`` keeps the digest of its weights, and the file
    that ``teacher`` names is read again. A run goes on only with the teacher that it began with.

    Logged: as `AdversarialCompletion`.

    Args:
        teacher: a checkpoint of a network: a run's ``epoch-NNN.pt``, or a published one.
        teacher_layers: layers of the teacher, by their paths within it, whose features
            ``teacher_perceptual`` compares; None takes those that the network itself names
            (``feature_layers``).
        teacher_size: side of the photos that the teacher sees, in pixels, such as 256 for a student
            that is trained at 128; None shows it what the student sees.
        settings: of `AdversarialCompletion`.

    Raises:
        ValueError: as `AdversarialCompletion`, or a size that is not positive.
    """

    def __init__(
        self,
        teacher: Path | None = None,
        teacher_layers: Sequence[str] | None = None,
        teacher_size: int | None = None,
        **settings: Any,  # noqa: ANN401 (those of AdversarialCompletion)
    ) -> None:
        super().__init__(**settings)
        if teacher_size is not None and teacher_size < 1:
            raise ValueError(f"teacher_size must be at least 1, not {teacher_size}")
        self.projection: nn.Module = nn.Identity()
        self._path = teacher
        self._layers = teacher_layers
        self._teacher_size = teacher_size
        self._teacher: _Teacher | None = None

    def take_teacher(self, network: nn.Module) -> None:
        """Learn from a network that is built already, in place of a file's.

        Args:
            network: ``(image, mask) -> Stages``; it is frozen, in eval mode, from now on.

        Raises:
            ValueError: it reads guides that the student does not, or lacks the layers.
        """
        further = [name for name in guides_of(network) if name not in guides_of(self.network)]
        if further:
            raise ValueError(
                f"the teacher ({type(network).__name__}) reads the guide {further[0]}, which the "
                f"student ({type(self.network).__name__}) does not: take another teacher"
            )
        if self._teacher_size is not None and guides_of(network):
            raise ValueError("a teacher that reads guides sees photos of the student's size alone")
        self._teacher = _Teacher(network, self._layers, self._teacher_size)

    def find_teacher(self, terms: Sequence[str]) -> None:
        """Read the teacher, and build the projection where attended features are compared.

        Raises:
            ValueError: no teacher was given; it does not fit the terms.
            FileNotFoundError, UnreadableCheckpointError: as `lab.networks.load_network`.
        """
        if self._teacher is None:
            if self._path is None:
                raise ValueError(
                    f"the term {terms[0]} asks a teacher, but model.teacher is empty: give it the "
                    "checkpoint of a network, such as a run's checkpoints/epoch-008.pt"
                )
            if not self._path.is_file():
                raise ValueError(
                    f"the teacher {self._path} is not there: put the file back as it was, or begin "
                    "a run with another by model.teacher"
                )
            with torch.random.fork_rng(devices=()):
                network = load_network(self._path)
            self.take_teacher(network)
        assert self._teacher is not None
        if "teacher_perceptual" in terms:
            self._teacher.check_layers()
        if "teacher_attention" in terms and isinstance(self.projection, nn.Identity):
            ours = _attended_channels(self.network, "student")
            theirs = _attended_channels(self._teacher.network, "teacher")
            self.projection = nn.Conv2d(ours, theirs, 1)

    def loss_inputs(
        self,
        batch: Batch,
        stages: Stages,
        completed: Tensor,
        judged: Mapping[str, JudgedPair],
    ) -> LossInputs:
        """As `AdversarialCompletion.loss_inputs`, with the lesson where a term asks it."""
        inputs = super().loss_inputs(batch, stages, completed, judged)
        if not self.objective.taught:
            return inputs
        assert self._teacher is not None, "prepared"
        self._teacher.move(batch.image.device)
        answer = self._teacher.answer(batch)
        right = torch.where(batch.mask > 0.5, answer.refined, batch.image)
        lesson = Lesson(answer, right, self._teacher.features, self.projection)
        return replace(inputs, lesson=lesson)

    def learned_beside(self) -> list[nn.Parameter]:
        """The projection's parameters."""
        return list(self.projection.parameters())

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As `CompletionModule`, and the digest of the teacher's weights in the teacher's place."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["teacher"] = None if self._teacher is None else self._teacher.digest

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As `CompletionModule`, if the teacher is the one that the training began with.

        Raises:
            SettingsError: it is another.
        """
        super().on_load_checkpoint(checkpoint)
        before, now = checkpoint.get("teacher"), self._teacher
        if before is not None and now is not None and before != now.digest:
            raise SettingsError(
                f"the teacher {self._path or type(now.network).__name__} is not the one that this "
                f"run began with (SHA-256 of its weights {before[:12]} then, {now.digest[:12]} "
                "now): put the file back as it was, or give the run another --name"
            )


class _SeenEnough(Exception):  # noqa: N818 (no error: what lies behind the last layer is not asked)
    pass


class _Teacher:
    """A frozen network, in nobody's state dict and no optimizer's parameters."""

    def __init__(self, network: nn.Module, layers: Sequence[str] | None, size: int | None) -> None:
        self.network = network.eval().requires_grad_(False)
        self._layers = tuple(getattr(network, "feature_layers", ()) if layers is None else layers)
        self._size = size
        self._device: torch.device | None = None
        parts = dict(network.named_modules())
        for layer in self._layers:
            if layer not in parts:
                raise ValueError(unknown_name_message("layer of the teacher", layer, parts))
        self.digest = tensors_sha256(network.state_dict())

    def move(self, device: torch.device) -> None:
        if self._device != device:
            # channels_last is what the convolutions of this processor and of GPUs read fastest.
            self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._device = device

    def check_layers(self) -> None:
        if not self._layers:
            raise ValueError(
                f"the term teacher_perceptual compares features, but {type(self.network).__name__} "
                "names none of its layers: give their paths by model.teacher_layers"
            )

    @torch.no_grad()
    def answer(self, batch: Batch) -> Stages:
        """Its answer for a batch, in images of the batch's size."""
        image, mask = batch.image, batch.mask
        if self._size is not None:
            image = _resized(image, self._size)
            # A pixel that any of the hole went into is not known.
            mask = (_resized(mask, self._size) > 0).float()
        stages = ask_network(self.network, image, mask, batch.guides)
        if self._size is None:
            return stages
        images = tuple(_resized(stage, batch.image.shape[-1]) for stage in stages.images)
        return replace(stages, images=images)

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """What its layers make of a whole image: it is shown without a hole."""
        if self._size is not None:
            image = _resized(image, self._size)
        found: dict[str, Tensor] = {}

        def note(layer: str, module: nn.Module, inputs: object, answer: Tensor) -> None:
            found[layer] = answer.float()
            if len(found) == len(self._layers):
                raise _SeenEnough

        parts = dict(self.network.named_modules())
        whole = torch.zeros_like(image[:, :1])
        guides = blank_guides(guides_of(self.network), image)
        with ExitStack() as hooks:
            for layer in self._layers:
                handle = parts[layer].register_forward_hook(partial(note, layer))
                hooks.callback(handle.remove)
            try:
                ask_network(self.network, image, whole, guides)
            except _SeenEnough:
                pass
        return found


def _resized(planes: Tensor, side: int) -> Tensor:
    return F.interpolate(planes, (side, side), mode="bilinear", antialias=True)


@torch.no_grad()
def _attended_channels(network: nn.Module, who: str) -> int:
    """The channels of what a network's attention answers; nothing of the network changes.

    Raises:
        ValueError: it has no attention.
    """
    image, mask = torch.full((1, 3, _PROBED, _PROBED), 0.5), torch.zeros(1, 1, _PROBED, _PROBED)
    mask[..., _PROBED // 4 : _PROBED // 2, _PROBED // 4 : _PROBED // 2] = 1.0
    training = {module: module.training for module in network.modules()}
    with torch.random.fork_rng(devices=()):
        extras = ask_network(network.eval(), image, mask, blank_guides(guides_of(network), image))
    for module, was in training.items():
        module.training = was
    attended = extras.extras.get(ATTENDED)
    if attended is None:
        raise ValueError(
            f"the term teacher_attention compares what attention makes, but the {who} "
            f"({type(network).__name__}) answers without the extra {ATTENDED!r}: take networks "
            "with one attention, such as DeepFillv2 and InpaintSANet, or set "
            "model.objective.weights.teacher_attention to 0"
        )
    return attended.shape[1]
