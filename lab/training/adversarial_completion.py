"""The procedure that most papers train by: a network against named judges, phase by phase.

A step of the judges and a step of the network a batch, by manual optimization, as InpaintSANet
publishes them.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from lab.contracts import JudgedPair, LossInputs, Network, Stages, Strategy
from lab.data import Batch
from lab.losses import Objective, judged_name
from lab.networks import InpaintSANet
from lab.ranks import average_gradients
from lab.strategies import Direct
from lab.training.completion_module import CompletionModule
from lab.training.judges import Judges, judge_both, judged_pairs
from lab.training.parts import find_part, let_move
from lab.training.phases import Phase, Schedule
from lab.training.pulls import Pulls
from lab.training.term_needs import check_needs, last_layer
from lab.training.updates import LONG_STEP, Updates


@dataclass(frozen=True)
class Optimization:
    """How network and judges are optimized. The defaults are InpaintSANet's.

    Attributes:
        generator_learning_rate: of Adam for the network.
        discriminator_learning_rate: of Adam for the judges.
        betas: Adam's two decay rates.
        gradient_clip: largest norm of the network's gradient, and of the judges'; 0 leaves
            gradients alone.
        schedule: "constant", or "cosine" down to a hundredth over each phase's planned epochs.
        warmup_steps: steps over which the learning rates rise linearly from near zero.
        judge_steps: batches that the judges train on for each that the network does; 5 with
            Wasserstein losses.
    """

    generator_learning_rate: float = 1e-4
    discriminator_learning_rate: float = 4e-4
    betas: tuple[float, float] = (0.9, 0.999)
    gradient_clip: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup_steps: int = 0
    judge_steps: int = 1

    def __post_init__(self) -> None:
        """Refuse values with which training cannot work.

        Raises:
            ValueError: naming the value and its rule.
        """
        for name in ("generator_learning_rate", "discriminator_learning_rate"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        for name in ("gradient_clip", "warmup_steps"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must not be negative, as {getattr(self, name)} is; 0 turns it off"
                )
        if self.judge_steps < 1:
            raise ValueError(f"judge_steps must be at least 1, not {self.judge_steps}")

    def factor(self, step: int, progress: float) -> float:
        """The learning rates' factor at ``step``, with ``progress`` of the phase behind, 0 to 1."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        if self.schedule == "constant":
            return warm
        return warm * (0.01 + 0.99 * (1.0 + cos(pi * progress)) / 2.0)


_EVERY_JUDGE = Judges()


class AdversarialCompletion(CompletionModule):
    """Trains a network against an objective, with judges where the objective asks them.

    Logged at steps, beside what `CompletionModule` logs: ``train/total``, ``train/<term>`` for
    every term that has a weight in the phase (raw, not weighted), ``train/weight/<term>`` of terms
    that the objective balances, at the network's first step of an epoch
    ``train/gradient/<term>`` (how hard each pulls: the norm of its weighted gradient at what trains
    of the network), ``train/update/network`` and ``train/update/judges`` (how far a step moves
    their weights: its norm over theirs), and for the judge of whole images
    ``train/discriminator``, ``train/real_logit`` and ``train/fake_logit`` (their means: a judge
    that wins or dies shows there); other judges put their name before these, as in
    ``train/local_real_logit``.

    Args:
        network: what is trained, ``(image, mask) -> Stages``.
        judges: make the discriminators for photos of a size; each is built only where a term with
            a weight asks it, by `prepare`.
        objective: the weighted terms.
        strategy: how the network completes a photo at validation.
        optimization: learning rates, clipping, schedule.
        phases: what trains when, one after the other; None trains everything all the time.
        warm_start: a checkpoint whose weights the network starts from; it may lack what only this
            network's options have.

    Raises:
        ValueError: weights that do not fit, phases that cannot follow each other, a part to train
            that the network does not have, a term that asks what the network does not have, or
            balancing by gradients at a last layer that the network does not name or train.
    """

    def __init__(
        self,
        network: Callable[[], nn.Module] = InpaintSANet,
        judges: Judges = _EVERY_JUDGE,
        objective: Callable[[], Objective] = Objective,
        strategy: Callable[[Network], Strategy] = Direct,
        optimization: Optimization = Optimization(),
        phases: Sequence[Phase] | None = None,
        warm_start: Path | None = None,
    ) -> None:
        super().__init__(network, strategy, warm_start)
        phases = (Phase(),) if phases is None else phases
        self.schedule = Schedule(phases)
        stated = objective()
        self.objectives = nn.ModuleList(
            stated.with_weights(phase.weights) if phase.weights else stated for phase in phases
        )
        self.optimization = optimization
        self.judges = nn.ModuleDict()
        self._judges = judges
        self._phase = 0
        self._pulls = Pulls()
        self._warned_of_long_step = False
        for phase in phases:
            self._refuse_unknown_parts(phase)
        for each, phase in zip(self.objectives, phases, strict=True):
            check_needs(_objective(each), self.network, phase)

    @property
    def phase(self) -> Phase:
        """The phase that trains now."""
        return self.schedule.phases[self._phase]

    @property
    def objective(self) -> Objective:
        """The objective of the phase that trains now."""
        objective = self.objectives[self._phase]
        assert isinstance(objective, Objective)
        return objective

    def prepare(self, size: int) -> None:
        """Build the judges that terms with a weight ask in any phase, once.

        Args:
            size: side of the training's crops, in pixels.

        Raises:
            ValueError: a judge that does not fit the size; a term that asks a teacher.
        """
        super().prepare(size)
        for name in self._asked():
            if name not in self.judges:
                self.judges[name] = self._judges.build(name, size)
        taught = [name for each in self.objectives for name in _objective(each).taught]
        if taught:
            self.find_teacher(list(dict.fromkeys(taught)))

    def find_teacher(self, terms: Sequence[str]) -> None:
        """Make the teacher ready that terms ask; this procedure has none.

        Args:
            terms: those with a weight in any phase.

        Raises:
            ValueError: there is none.
        """
        raise ValueError(
            f"the term {terms[0]} asks a teacher, which {type(self).__name__} has not: train by "
            "--model=lab.training.Distillation --model.teacher=FILE, or set "
            f"model.objective.weights.{terms[0]} to 0"
        )

    def configure_model(self) -> None:
        """Prepare for the photos that the trainer brings, where nobody has.

        Raises:
            ValueError: the trainer brings loaders alone, which do not say the size, and a judge
                depends on it.
        """
        super().configure_model()
        missing = [name for name in self._asked() if name not in self.judges]
        if missing:
            raise ValueError(
                "judges depend on the photos' size, which loaders alone do not say: "
                "call module.prepare(SIZE) first, or give the trainer a PhotoDataModule"
            )

    def on_train_start(self) -> None:
        """Say so where the training ends before its last phase begins; enter the present one."""
        planned, begins = self.trainer.max_epochs, self.schedule.first_epochs[-1]
        if planned is not None and 0 <= planned <= begins:
            warnings.warn(
                f"training ends after {planned} epochs, but the last of its "
                f"{len(self.schedule.phases)} phases begins after {begins}: raise fit.epochs, or "
                "shorten model.phases",
                stacklevel=2,
            )
        # Lightning goes on within an epoch without beginning it.
        self.on_train_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Let the parts of this epoch's phase move, and no others."""
        self._phase = self.schedule.index(self.current_epoch)
        trained, kept = (
            [part for name in names for part in self._parts(name)]
            for names in (self.phase.trains, self.phase.keeps_statistics)
        )
        let_move(trained, kept, self.network, self._judges_by_name())

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """One step of the judges, if there are any, then one of the network."""
        self.step_losses = {}
        image, mask = batch.image, batch.mask
        network_trains = _moves(self.network) and self._is_networks_turn(batch_index)
        with torch.set_grad_enabled(network_trains):
            stages = self(image, mask, batch.guides)
        # Before a judge sees it: its loss would take the blame.
        self.check_finite({"the network's answer": stages.refined.mean()})
        completed = torch.where(mask > 0.5, stages.refined, image)
        judges = {name: self.judges[name] for name in self.objective.judges}
        judged = judged_pairs(judges, image, completed, mask, stages)
        optimizers = self.optimizers()
        if not isinstance(optimizers, list):
            optimizers = [optimizers]
        if any(_moves(judge) for judge in judges.values()):
            self._judges_step(judged, optimizers[1])
        if network_trains:
            inputs = self.loss_inputs(batch, stages, completed, judged)
            is_first = batch_index < self._batches_a_turn()
            self._network_step(inputs, optimizers[0], is_first)
        self._step_schedules()

    def loss_inputs(
        self,
        batch: Batch,
        stages: Stages,
        completed: Tensor,
        judged: Mapping[str, JudgedPair],
    ) -> LossInputs:
        """What the objective is told of a batch, its network's answer and its judges."""
        return LossInputs(
            stages,
            batch.image,
            batch.mask,
            completed,
            judged,
            last_layer(self.network),
            batch.guides,
            getattr(self.network, "guidance_features", None),
        )

    def learned_beside(self) -> list[nn.Parameter]:
        """What is learned along with the network, and is not deployed."""
        return []

    def configure_optimizers(self) -> tuple[list[Adam], list[LambdaLR]]:
        """Adam for the network, with what balancing learns, and for the judges, if any.

        Parts that a phase does not train have no gradient, and Adam leaves them alone.
        """
        settings = self.optimization
        groups: list[dict[str, Any]] = [{"params": list(self.network.parameters())}]
        if beside := self.learned_beside():
            groups.append({"params": beside})
        for balancing in dict.fromkeys(_objective(each).balancing for each in self.objectives):
            if learned := list(balancing.parameters()):
                groups.append({"params": learned, "lr": balancing.learning_rate})
        optimizers = [Adam(groups, settings.generator_learning_rate, settings.betas)]
        if self.judges:
            parameters = list(self.judges.parameters())
            optimizers.append(
                Adam(parameters, settings.discriminator_learning_rate, settings.betas)
            )
        rates = ("generator_learning_rate", "discriminator_learning_rate")
        judged = bool(self.judges)
        planned = self.planned_steps(judged + 1 / (settings.judge_steps if judged else 1))
        each_epoch = max(1, int(self.trainer.num_training_batches))
        return optimizers, [
            LambdaLR(optimizer, self._factor(rate, each_epoch, planned / each_epoch))
            for optimizer, rate in zip(optimizers, rates, strict=False)
        ]

    def _factor(self, rate: str, each_epoch: int, planned_epochs: float) -> Callable[[int], float]:
        stated: float = getattr(self.optimization, rate)

        def factor(step: int) -> float:
            epoch = step / each_epoch
            phase = self.schedule.phases[self.schedule.index(int(epoch))]
            of_phase = stated if (asked := getattr(phase, rate)) is None else asked
            progress = self.schedule.progress(epoch, planned_epochs)
            return self.optimization.factor(step, progress) * of_phase / stated

        return factor

    def _judges_step(
        self,
        judged: dict[str, JudgedPair],
        optimizer: Any,  # noqa: ANN401 (Lightning's wrapper has no common type)
    ) -> None:
        losses: list[Tensor] = []
        for name, pair in judged.items():
            judge = self.judges[name]
            if not _moves(judge):
                continue
            real, fake = zip(*judge_both(judge, pair), strict=True)
            loss = self.objective.discriminator_loss(real, fake)
            paid = self.objective.penalties(pair.judge, pair.real, pair.fake)
            descended = _named(name, {"discriminator": loss, **paid})
            self.check_finite(descended)
            losses += descended.values()
            logits = {"real_logit": _mean(real), "fake_logit": _mean(fake)}
            self.log_step(descended | _named(name, logits))
        moved = self._descend(torch.stack(losses).sum(), self.judges, optimizer)
        self.log_step({"update/judges": moved})

    def _network_step(
        self,
        inputs: LossInputs,
        optimizer: Any,  # noqa: ANN401 (Lightning's wrapper has no common type)
        is_first: bool,
    ) -> None:
        moving = [parameter for parameter in self.judges.parameters() if parameter.requires_grad]
        for parameter in moving:
            parameter.requires_grad_(False)
        value = self.objective(inputs)
        self.check_finite({"total": value.total, **value.terms})
        gradients = {}
        if is_first:
            gradients = self._pulls.measure(self.objective, value, self.network, self.phase)
        moved = self._descend(value.total, self.network, optimizer)
        self._warn_of_long_step(float(moved))
        for parameter in moving:
            parameter.requires_grad_(True)
        weights = {f"weight/{name}": weight for name, weight in value.weights.items()}
        updates = {"update/network": moved}
        self.log_step({"total": value.total, **value.terms, **weights, **gradients, **updates})

    def _descend(
        self,
        loss: Tensor,
        network: nn.Module,
        optimizer: Any,  # noqa: ANN401 (Lightning's wrapper has no common type)
    ) -> Tensor:
        """One step of an optimizer; returns how far it moved the weights, see `Updates`."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        average_gradients(each for group in optimizer.param_groups for each in group["params"])
        if self.optimization.gradient_clip:
            nn.utils.clip_grad_norm_(network.parameters(), self.optimization.gradient_clip)
        updates = Updates(network)
        optimizer.step()
        return updates.ratio()

    def _warn_of_long_step(self, moved: float) -> None:
        """Once: a network normalized throughout cannot explode, and fails without a word."""
        if not moved > LONG_STEP or self._warned_of_long_step:
            return
        self._warned_of_long_step = True
        warnings.warn(
            f"a step moved the network's weights by {moved:.1%} of their norm (limit "
            f"{LONG_STEP:.0%}): trainings that did exploded, or hardly learned. Lower "
            "model.optimization.generator_learning_rate, and see update/network in losses.csv",
            stacklevel=2,
        )

    def _step_schedules(self) -> None:
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers]:
            scheduler.step()  # type: ignore[union-attr]

    def _is_networks_turn(self, batch_index: int) -> bool:
        seen = self.current_epoch * int(self.trainer.num_training_batches) + batch_index + 1
        return seen % self._batches_a_turn() == 0

    def _batches_a_turn(self) -> int:
        """How many batches there are for each that the network trains on, in this phase."""
        asked = [self.judges[name] for name in self.objective.judges]
        # Where a phase leaves the judges as they are, nobody's turn comes before the network's.
        return self.optimization.judge_steps if any(_moves(judge) for judge in asked) else 1

    def _asked(self) -> list[str]:
        """The judges that a term with a weight asks in any phase."""
        return list(
            dict.fromkeys(name for each in self.objectives for name in _objective(each).judges)
        )

    def _judges_by_name(self) -> dict[str, nn.Module]:
        return dict(self.judges.items())

    def _parts(self, name: str) -> list[nn.Module]:
        return find_part(name, self.network, self._judges_by_name())

    def _refuse_unknown_parts(self, phase: Phase) -> None:
        """Before a size is known, so before there are judges: by their names."""
        names = {name: self.network for name in self._asked()}
        for part in (*phase.trains, *phase.keeps_statistics):
            find_part(part, self.network, names)


def _objective(module: nn.Module) -> Objective:
    assert isinstance(module, Objective)
    return module


def _moves(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


def _named(judge: str, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {judged_name(judge, name): value for name, value in values.items()}


def _mean(logits: Sequence[Tensor]) -> Tensor:
    """The mean over the scales' means."""
    return torch.stack([scale.detach().mean() for scale in logits]).mean()
