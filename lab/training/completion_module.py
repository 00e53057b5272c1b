"""What every training of a network that completes photos shares: the shell of a LightningModule.

It holds the network that is deployed, completes and scores the validation, keeps the random state,
refuses losses that are not finite and logs. How a batch trains is said one level below it, a file
each procedure (`AdversarialCompletion`), and nothing derives from those.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from copy import deepcopy
from operator import attrgetter
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pytorch_lightning as lightning
import torch
from torch import Tensor, nn

from lab.compiling import compile_call
from lab.contracts import Guides, Network, Stages, Strategy
from lab.data import Batch, PhotoDataModule
from lab.devices import sum_precision
from lab.guides import ask_network
from lab.metrics import measure, measure_answer
from lab.networks import InpaintSANet, load_network, read_checkpoint
from lab.networks.building import first_not_finite
from lab.parsing import ArgumentParser
from lab.ranks import gather_at_first, mean_over_ranks, rank
from lab.strategies import Direct, answers_to

EPOCHS_TRAINED = "epochs_trained"
"""What validation is logged over: the trainer's own ``epoch`` counts from 0."""


class Validated(TypedDict):
    """What validation made of a batch.

    Attributes:
        scores: every metric of every sample, ``(B,)`` by name.
        stages: the network's answer.
        completed: what the strategy made of it, ``(B, 3, H, W)``.
    """

    scores: dict[str, Tensor]
    stages: Stages
    completed: Tensor


class NonFiniteLossError(RuntimeError):
    """Training met a loss that is NaN or infinite; names the term and the step."""


class CompletionModule(lightning.LightningModule):
    """A network in training, whatever the procedure.

    Logged at steps: ``train/<name>`` for what the procedure gives to `log_step`; ``step_losses``
    holds the last step's, by name without ``train/``. Logged at the end of an epoch's validation:
    ``val/<metric>``, the mean over the samples, for every metric, and ``epochs_trained``, counted
    from 1.

    Attributes:
        expected_data: settings of the photos that a variant asks for, by name; a data module with
            others is refused.

    Args:
        network: what is trained, ``(image, mask) -> Stages``.
        strategy: how the network completes a photo at validation.
        warm_start: a checkpoint whose weights the network starts from; it may lack what only this
            network's options have.

    Raises:
        ValueError: weights that do not fit.
    """

    def __init__(
        self,
        network: Callable[[], nn.Module] = InpaintSANet,
        strategy: Callable[[Network], Strategy] = Direct,
        warm_start: Path | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        # channels_last is what the convolutions of this processor and of GPUs read fastest.
        self.network = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if warm_start is not None:
            _warm_start(self.network, warm_start)
        self._strategy = strategy
        self.strategy = strategy(self.network)
        self.step_losses: dict[str, Tensor] = {}
        self._score_sums: dict[str, Tensor] = {}
        self._scored = 0
        self.expected_data: dict[str, Any] = {}
        self._planned_steps: int | None = None
        self._size: int | None = None
        self._ask_in_training = ask_network

    def compile_training(self) -> None:
        """Compile what training steps ask of the network; what it answers elsewhere is as before.

        Its parts, their names and its hooks stay as they are, and so do judges: the gradient of a
        gradient, which penalties take, compiled code does not have. Validation completes photos
        uncompiled, as whoever scores the checkpoint later.
        """
        self._ask_in_training = compile_call(ask_network)

    def remember(self, settings: Mapping[str, Any]) -> None:
        """Keep the settings that the module was built from, for `load_from_checkpoint`."""
        self.save_hyperparameters({"settings": dict(settings)}, logger=False)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: torch.device | str | None = None,
        **options: Any,  # noqa: ANN401 (Lightning's own)
    ) -> "CompletionModule":
        """Build the module of a trainer's checkpoint again, with its weights.

        Args:
            checkpoint_path: what `ModelCheckpoint` wrote, or a run's ``last.ckpt``.
            map_location: where the weights go.
            options: none; settings are the checkpoint's.

        Raises:
            FileNotFoundError, UnreadableCheckpointError: as `lab.networks.read_checkpoint`.
            ValueError: options; or the module was not built from settings, by `lab.variant` or a
                run.
        """
        if options:
            raise ValueError(f"{', '.join(options)}: a checkpoint is loaded with its own settings")
        checkpoint = read_checkpoint(checkpoint_path)
        settings = checkpoint.get("hyper_parameters", {}).get("settings")
        if settings is None:
            raise ValueError(
                f"{checkpoint_path} does not say how its module was built: build it as it was, and "
                "give it the checkpoint's state_dict"
            )
        module = build_module(settings)
        if checkpoint["size"] is not None:
            module.prepare(checkpoint["size"])
        module.load_state_dict(checkpoint["state_dict"])
        # Checkpoints that were written before say nothing of it.
        module.expected_data = dict(checkpoint.get("expected_data", {}))
        return module if map_location is None else module.to(map_location)

    def prepare(self, size: int) -> None:
        """Build what depends on the photos' size, once.

        Args:
            size: side of the training's crops, in pixels.

        Raises:
            ValueError: something that does not fit the size.
        """
        self._size = size

    def configure_model(self) -> None:
        """Prepare for the photos that the trainer brings, where nobody has.

        They learn which guides the network reads.

        Raises:
            ValueError: they are not those that the module's variant trains on, or lack a guide that
                its network reads.
        """
        data = getattr(self.trainer, "datamodule", None)
        if data is None:
            return
        if isinstance(data, PhotoDataModule):
            data.draw_for(self.network)
        for name, expected in self.expected_data.items():
            found = attrgetter(name)(data)
            shown = type(found).__name__ if isinstance(expected, str) else found
            if not _is_as_expected(shown, expected):
                raise ValueError(
                    f"the module's variant trains on photos with {name}={expected}, but these have "
                    f"{shown}: give lab.photos the variant's name, too"
                )
        if self._size is None:
            self.prepare(data.size)

    def forward(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Stages:
        """The network's stages for ``image (B, 3, H, W)``, ``mask (B, 1, H, W)`` and guides."""
        ask = self._ask_in_training if self.training else ask_network
        return ask(self.network, image, mask, guides)

    def take_network(self, network: nn.Module) -> None:
        """Go on with ``network`` in place of the one that was built, under the same strategy."""
        self.network = network
        self.strategy = self._strategy(network)

    def complete(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """The completed image ``(B, 3, H, W)``, by the module's strategy."""
        return self.strategy(image, mask, guides)

    @abstractmethod
    def training_step(self, batch: Batch, batch_index: int) -> None:
        """Train on a batch, by manual optimization."""

    def on_validation_start(self) -> None:
        """Forget the last epoch's scores."""
        self._score_sums, self._scored = {}, 0

    def validation_step(self, batch: Batch, batch_index: int) -> Validated:
        """Complete and score the samples of a batch, in float32 whatever the training's precision.

        Raises:
            NonFiniteLossError: the last training step of the epoch broke the network.
        """
        image, mask = batch.image, batch.mask
        # As every checkpoint is scored later: bfloat16 moves hole SSIM by up to 0.005.
        with torch.autocast(self.device.type, enabled=False):
            with answers_to(self.network, image) as answers:
                completed = self.complete(image, mask, batch.guides)
            # A strategy may have asked about tiles or other sizes only.
            stages = answers[-1] if answers else self(image, mask, batch.guides)
        # Without the other ranks, which may have fewer samples.
        self._refuse_not_finite({"the network's answer": completed.mean()})
        scores = {
            **measure(completed, image, mask, batch.sample),
            **measure_answer(stages.refined, image, mask),
        }
        for metric, values in scores.items():
            total = values.to(sum_precision(values.device)).sum()
            self._score_sums[metric] = self._score_sums.get(metric, 0.0) + total
        self._scored += len(image)
        return Validated(scores=scores, stages=stages, completed=completed)

    def on_validation_epoch_end(self) -> None:
        """Log the means over all samples, whichever rank scored them.

        Raises:
            NonFiniteLossError: a weight, or a sample's score, is NaN or infinite.
        """
        # Behind a gate, an infinite weight leaves answers finite; no checkpoint may hold one.
        state = self.network.state_dict()
        broken = first_not_finite(state)
        if broken is not None:
            self._refuse_not_finite({f"the network's {broken}": state[broken].abs().amax()})
        if not self._score_sums:
            return
        # What is not pasted over is measured, too, and a table of scores holds finite ones.
        sums_by_name = {f"the metric {name}": sum_ for name, sum_ in self._score_sums.items()}
        broken_metric = first_not_finite(sums_by_name)
        if broken_metric is not None:
            self._refuse_not_finite({broken_metric: sums_by_name[broken_metric]})
        sums = torch.stack(list(self._score_sums.values()))
        *totals, count = mean_over_ranks(torch.cat([sums, sums.new_tensor([self._scored])]))
        means = {
            f"val/{metric}": (total / count).float()
            for metric, total in zip(self._score_sums, totals, strict=True)
        }
        self.log_dict({**means, EPOCHS_TRAINED: float(self.current_epoch + 1)})

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the ranks' random generators: a resumed run draws what an uninterrupted one would.

        And the planned steps: more epochs than were planned go on at the schedule's end. And what a
        variant asks of the photos.
        """
        checkpoint["expected_data"] = dict(self.expected_data)
        checkpoint["planned_steps"] = self._planned_steps
        checkpoint["size"] = self._size
        device = self.trainer.strategy.root_device
        on_gpu = device.type == "cuda"
        own = {
            "torch": torch.get_rng_state(),
            "cuda": [torch.cuda.get_rng_state(device)] if on_gpu else [],
        }
        checkpoint["random_state"] = gather_at_first(own)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the random generators and the schedule's plan back.

        A rank that was not there begins with draws of its own.
        """
        self._planned_steps = checkpoint["planned_steps"]
        states = checkpoint["random_state"]
        if isinstance(states, dict):  # of a run that was begun before there were ranks
            states = [states]
        if rank() >= len(states):
            seed_rank(torch.initial_seed(), rank(), checkpoint["epoch"] + 1)
            return
        own, device = states[rank()], self.trainer.strategy.root_device
        torch.set_rng_state(own["torch"])
        if device.type == "cuda" and len(own["cuda"]) == 1:
            torch.cuda.set_rng_state(own["cuda"][0], device)

    def planned_steps(self, updates: float = 1) -> int:
        """How many batches the training was planned for when it began.

        Args:
            updates: How often a batch moves an optimizer; ``Trainer(max_steps=...)`` counts these.

        Raises:
            ValueError: The trainer has no end, so that no schedule can be planned over it.
        """
        trainer = self.trainer
        # Without epochs, Lightning would count the batches of one only after the optimizers.
        trainer.fit_loop.setup_data()
        if trainer.max_epochs == trainer.max_steps == -1:
            raise ValueError(
                "Trainer(max_epochs=-1) never ends, and the learning rates are planned over the "
                "whole training: say max_epochs or max_steps (beside max_time, too)"
            )
        ends = []
        if trainer.max_epochs not in (None, -1):
            ends.append(int(trainer.max_epochs * trainer.num_training_batches))
        if trainer.max_steps != -1:
            ends.append(math.ceil(trainer.max_steps / updates))
        if self._planned_steps is None:
            self._planned_steps = min(ends)
        return self._planned_steps

    def check_finite(self, losses: Mapping[str, Tensor]) -> None:
        """Raise ``NonFiniteLossError`` where one of the scalars is NaN or infinite, in any rank."""
        # What is not finite in one rank is not in the mean either: all of them stop, and alike.
        means = mean_over_ranks(torch.stack([loss.detach().float() for loss in losses.values()]))
        self._refuse_not_finite(dict(zip(losses, means, strict=True)))

    def _refuse_not_finite(self, losses: Mapping[str, Tensor]) -> None:
        values = torch.stack([loss.detach() for loss in losses.values()])
        if bool(torch.isfinite(values).all()):
            return
        found = ", ".join(
            f"{name} = {value:g}" for name, value in zip(losses, values.tolist(), strict=True)
        )
        raise NonFiniteLossError(
            f"training is not finite in epoch {self.current_epoch + 1}, after {self.global_step} "
            f"optimizer steps: {found}. Lower the learning rate or the weight of that term, "
            "or set model.optimization.gradient_clip"
        )

    def log_step(self, values: Mapping[str, Tensor]) -> None:
        """Log scalars of a step, by name without ``train/``: their means over the ranks."""
        means = mean_over_ranks(torch.stack([value.detach().float() for value in values.values()]))
        detached = dict(zip(values, means, strict=True))
        self.step_losses.update(detached)
        self.log_dict(
            {f"train/{name}": value for name, value in detached.items()}, on_step=True, batch_size=1
        )


def build_module(settings: Mapping[str, Any]) -> CompletionModule:
    """Build a module from plain settings, as ``model`` in a run's ``config.yaml``."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(CompletionModule, "model")
    # The parser turns mappings within lists into its own kind, in place.
    parsed = parser.parse_object({"model": deepcopy(dict(settings))})
    module: CompletionModule = parser.instantiate(parsed).model
    module.remember(settings)
    return module


def seed_rank(seed: int, rank: int, epoch: int = 0) -> None:
    """Seed what a rank draws for itself, such as dropout; no other rank or seed draws the same."""
    torch.manual_seed(int(np.random.SeedSequence([seed, rank, epoch]).generate_state(1)[0]))


def _is_as_expected(found: object, expected: object) -> bool:
    if isinstance(expected, str):
        return found == expected.rpartition(".")[2]
    return (list(found) if isinstance(found, tuple) else found) == expected


def _warm_start(network: nn.Module, path: Path) -> None:
    state = load_network(path).state_dict()
    try:
        if isinstance(network, InpaintSANet):
            network.warm_start(state)
        else:
            network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise ValueError(
            f"the weights of {path} do not fit model.network ({type(network).__name__}): {error}"
        ) from error
