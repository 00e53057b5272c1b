"""The one LightningModule: takes the parts that vary, and trains them.

A generator step and a discriminator step a batch, by manual optimization, as InpaintSANet
publishes them. Variants are settings of it (`lab.variants.VARIANTS`); nothing derives from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any, Literal, TypedDict

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from lab.contracts import DiscriminatorOutput, Guides, LossInputs, Network, Stages, Strategy
from lab.data import Batch
from lab.guides import ask_network
from lab.losses import Objective
from lab.metrics import measure, measure_answer
from lab.networks import InpaintSANet, PatchDiscriminator, load_network, read_checkpoint
from lab.parsing import ArgumentParser
from lab.strategies import Direct, answers_to
from lab.variants.staging import freeze_normalization, train_all, train_channel_gates

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


@dataclass(frozen=True)
class Optimization:
    """How the two networks are optimized. The defaults are InpaintSANet's.

    Attributes:
        generator_learning_rate: of Adam for the network.
        discriminator_learning_rate: of Adam for the discriminator.
        betas: Adam's two decay rates.
        gradient_clip: largest norm of each network's gradient; 0 leaves gradients alone.
        schedule: "constant", or "cosine" down to a hundredth over the planned epochs.
        warmup_steps: steps over which the learning rates rise linearly from near zero.
        channel_gate_epochs: the first epochs, in which only the parameters of gated channel
            transformations train (V3.1), and no normalization's statistics move.
        normalization_epochs: after these, batch normalization keeps its statistics and normalizes
            by them (RFR's fine-tuning); 0 never freezes them.
    """

    generator_learning_rate: float = 1e-4
    discriminator_learning_rate: float = 4e-4
    betas: tuple[float, float] = (0.9, 0.999)
    gradient_clip: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    channel_gate_epochs: int = 0
    normalization_epochs: int = 0

    def __post_init__(self) -> None:
        """Refuse values with which training cannot work.

        Raises:
            ValueError: naming the value and its rule.
        """
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        switches = ("gradient_clip", "warmup_steps", "channel_gate_epochs", "normalization_epochs")
        for name in switches:
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must not be negative, as {getattr(self, name)} is; 0 turns it off"
                )

    def factor(self, step: int, planned_steps: int) -> float:
        """The learning rates' factor at ``step`` of ``planned_steps``."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.schedule == "constant":
            return warm
        progress = min(1.0, step / max(1, planned_steps))
        return warm * (0.01 + 0.99 * (1.0 + cos(pi * progress)) / 2.0)


class InpaintingModule(lightning.LightningModule):
    """Trains a network against an objective, with a discriminator where the objective has one.

    Logged at steps: ``train/total``, ``train/<term>`` for every term with a weight (raw, not
    weighted), ``train/discriminator``, ``train/real_logit`` and ``train/fake_logit`` (their means:
    a discriminator that wins or dies shows there), and ``train/weight/<term>`` of terms that the
    objective balances. ``step_losses`` holds the last step's, by name
    without ``train/``. Logged at the end of an epoch's validation: ``val/<metric>``, the mean over
    the samples, for every metric, and ``epochs_trained``, counted from 1.

    Args:
        network: what is trained, ``(image, mask) -> Stages``.
        discriminator: makes the judge for photos of a size; called only when a term of the
            objective asks for it, by `prepare`.
        objective: the weighted terms.
        strategy: how the network completes a photo at validation.
        optimization: learning rates, clipping, schedule, and what trains when.
        warm_start: a checkpoint whose weights the network starts from; it may lack what only this
            network's options have.

    Raises:
        ValueError: weights that do not fit, channel gates to train in a network without them, or
            balancing by gradients at a last layer that the network does not name or train.
    """

    def __init__(
        self,
        network: Callable[[], nn.Module] = InpaintSANet,
        discriminator: Callable[[int], nn.Module] = PatchDiscriminator,
        objective: Callable[[], Objective] = Objective,
        strategy: Callable[[Network], Strategy] = Direct,
        optimization: Optimization = Optimization(),
        warm_start: Path | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        # channels_last is what the convolutions of this processor and of GPUs read fastest.
        self.network = network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if warm_start is not None:
            _warm_start(self.network, warm_start)
        if optimization.channel_gate_epochs:
            train_channel_gates(self.network)  # so that a network without any is refused now
            train_all(self.network)
        self.objective = objective()
        if self.objective.balancing.measures_gradients:
            _check_last_layer(self.network, self.objective, optimization)
        self._discriminator = discriminator
        self.discriminator: nn.Module | None = None
        self._strategy = strategy
        self.strategy = strategy(self.network)
        self.optimization = optimization
        self.step_losses: dict[str, Tensor] = {}
        self._planned_steps: int | None = None
        self._size: int | None = None

    def remember(self, settings: Mapping[str, Any]) -> None:
        """Keep the settings that the module was built from, for `load_from_checkpoint`."""
        self.save_hyperparameters({"settings": dict(settings)}, logger=False)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]
        cls,
        checkpoint_path: str | Path,
        map_location: torch.device | str | None = None,
        **options: Any,  # noqa: ANN401 (Lightning's own)
    ) -> "InpaintingModule":
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
        return module if map_location is None else module.to(map_location)

    def prepare(self, size: int) -> None:
        """Build what depends on the photos' size, once: the discriminator, where one is needed.

        Args:
            size: side of the training's crops, in pixels.

        Raises:
            ValueError: a discriminator that does not fit the size.
        """
        self._size = size
        if self.objective.needs_discriminator and self.discriminator is None:
            judge = self._discriminator(size)
            self.discriminator = judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def configure_model(self) -> None:
        """Prepare for the photos that the trainer brings, where nobody has.

        Raises:
            ValueError: the trainer brings loaders alone, which do not say the size.
        """
        if self.discriminator is not None or not self.objective.needs_discriminator:
            return
        data = getattr(self.trainer, "datamodule", None)
        if data is None:
            raise ValueError(
                "the discriminator depends on the photos' size, which loaders alone do not say: "
                "call module.prepare(SIZE) first, or give the trainer a PhotoDataModule"
            )
        self.prepare(data.size)

    def forward(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Stages:
        """The network's stages for ``image (B, 3, H, W)``, ``mask (B, 1, H, W)`` and guides."""
        return ask_network(self.network, image, mask, guides)

    def take_network(self, network: nn.Module) -> None:
        """Go on with ``network`` in place of the one that was built, under the same strategy."""
        self.network = network
        self.strategy = self._strategy(network)

    def on_train_epoch_start(self) -> None:
        """Choose what trains in this epoch."""
        epoch, settings = self.current_epoch, self.optimization
        if epoch < settings.channel_gate_epochs:
            train_channel_gates(self.network)
            return
        train_all(self.network)
        if settings.normalization_epochs and epoch >= settings.normalization_epochs:
            freeze_normalization(self.network)

    def complete(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """The completed image ``(B, 3, H, W)``, by the module's strategy."""
        return self.strategy(image, mask, guides)

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
        self._check_finite({"the network's answer": completed.mean()})
        scores = {
            **measure(completed, image, mask),
            **measure_answer(stages.refined, image, mask),
        }
        means = {f"val/{metric}": values.mean() for metric, values in scores.items()}
        self.log_dict(
            {**means, EPOCHS_TRAINED: float(self.current_epoch + 1)}, batch_size=len(image)
        )
        return Validated(scores=scores, stages=stages, completed=completed)

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """One step of the discriminator, if there is one, then one of the network."""
        image, mask = batch.image, batch.mask
        stages = self(image, mask, batch.guides)
        # Before the discriminator sees it: its loss would take the blame.
        self._check_finite({"the network's answer": stages.refined.mean()})
        completed = torch.where(mask > 0.5, stages.refined, image)
        optimizers = self.optimizers()
        if not isinstance(optimizers, list):
            optimizers = [optimizers]
        if self.discriminator is not None:
            self._discriminator_step(self.discriminator, image, completed, mask, optimizers[1])

        judge = None
        if self.discriminator is not None:
            self.discriminator.requires_grad_(False)
            judge = self._judge(self.discriminator, mask)
        last_layer = _last_layer(self.network)
        value = self.objective(
            LossInputs(stages, image, mask, completed, judge, last_layer, batch.guides)
        )
        self._check_finite({"total": value.total, **value.terms})
        self._descend(value.total, self.network, optimizers[0])
        if self.discriminator is not None:
            self.discriminator.requires_grad_(True)
        self._step_schedules()
        weights = {f"weight/{name}": weight for name, weight in value.weights.items()}
        self._log_training({"total": value.total, **value.terms, **weights})

    def configure_optimizers(self) -> tuple[list[Adam], list[LambdaLR]]:
        """Adam for the network, with what balancing learns, and for the discriminator, if any."""
        settings = self.optimization
        groups: list[dict[str, Any]] = [{"params": list(self.network.parameters())}]
        balancing = self.objective.balancing
        if learned := list(balancing.parameters()):
            groups.append({"params": learned, "lr": balancing.learning_rate})
        optimizers = [Adam(groups, settings.generator_learning_rate, settings.betas)]
        if self.discriminator is not None:
            optimizers.append(
                Adam(
                    self.discriminator.parameters(),
                    settings.discriminator_learning_rate,
                    settings.betas,
                )
            )
        if self._planned_steps is None:
            self._planned_steps = int(self.trainer.estimated_stepping_batches)
        planned = self._planned_steps
        return optimizers, [
            LambdaLR(optimizer, lambda step: settings.factor(step, planned))
            for optimizer in optimizers
        ]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random generators: a resumed run draws what an uninterrupted one would.

        And the planned steps: more epochs than were planned go on at the schedule's end.
        """
        checkpoint["planned_steps"] = self._planned_steps
        checkpoint["size"] = self._size
        checkpoint["random_state"] = {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the random generators and the schedule's plan back."""
        self._planned_steps = checkpoint["planned_steps"]
        state = checkpoint["random_state"]
        torch.set_rng_state(state["torch"])
        if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])

    def _discriminator_step(
        self,
        discriminator: nn.Module,
        image: Tensor,
        completed: Tensor,
        mask: Tensor,
        optimizer: Any,  # noqa: ANN401 (Lightning's wrapper has no common type)
    ) -> None:
        # One pass over both: without batch normalization in the judge the answers are the same.
        both = discriminator(torch.cat([image, completed.detach()]), torch.cat([mask, mask]))
        real, fake = zip(*(logits.chunk(2) for logits in both.logits), strict=True)
        loss = self.objective.discriminator_loss(real, fake)
        self._check_finite({"discriminator": loss})
        self._descend(loss, discriminator, optimizer)
        self._log_training(
            {"discriminator": loss, "real_logit": _mean(real), "fake_logit": _mean(fake)}
        )

    @staticmethod
    def _judge(discriminator: nn.Module, mask: Tensor) -> Callable[[Tensor], DiscriminatorOutput]:
        def judge(image: Tensor) -> DiscriminatorOutput:
            answer: DiscriminatorOutput = discriminator(image, mask)
            return answer

        return judge

    def _descend(
        self,
        loss: Tensor,
        network: nn.Module,
        optimizer: Any,  # noqa: ANN401 (Lightning's wrapper has no common type)
    ) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.optimization.gradient_clip:
            nn.utils.clip_grad_norm_(network.parameters(), self.optimization.gradient_clip)
        optimizer.step()

    def _step_schedules(self) -> None:
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()  # type: ignore[union-attr]

    def _check_finite(self, losses: dict[str, Tensor]) -> None:
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

    def _log_training(self, values: dict[str, Tensor]) -> None:
        detached = {name: value.detach() for name, value in values.items()}
        self.step_losses.update(detached)
        self.log_dict(
            {f"train/{name}": value for name, value in detached.items()}, on_step=True, batch_size=1
        )


def build_module(settings: Mapping[str, Any]) -> InpaintingModule:
    """Build a module from plain settings, as ``model`` in a run's ``config.yaml``."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(InpaintingModule, "model")
    module: InpaintingModule = parser.instantiate(parser.parse_object({"model": settings})).model
    module.remember(settings)
    return module


def _mean(logits: Sequence[Tensor]) -> Tensor:
    """The mean over the scales' means."""
    return torch.stack([scale.detach().mean() for scale in logits]).mean()


def _last_layer(network: nn.Module) -> tuple[Tensor, ...]:
    """The parameters of the layer that a network names as its ``last_layer``; none without one."""
    layer = getattr(network, "last_layer", None)
    return tuple(layer.parameters()) if isinstance(layer, nn.Module) else ()


def _check_last_layer(network: nn.Module, objective: Objective, settings: Optimization) -> None:
    name = type(objective.balancing).__name__
    if not _last_layer(network):
        raise ValueError(
            f"{name} measures gradients at the network's last layer, but {type(network).__name__} "
            "names none: give it a property last_layer, or take UncertaintyWeighting"
        )
    if settings.channel_gate_epochs:
        raise ValueError(
            f"{name} measures gradients at the network's last layer, which does not train in the "
            f"first {settings.channel_gate_epochs} epochs: set channel_gate_epochs to 0, or take "
            "UncertaintyWeighting"
        )


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
