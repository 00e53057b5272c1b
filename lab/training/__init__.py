"""How networks are trained: the shell of a LightningModule, and a procedure a file."""

from lab.training.adversarial_completion import AdversarialCompletion, Optimization
from lab.training.completion_module import (
    EPOCHS_TRAINED,
    CompletionModule,
    NonFiniteLossError,
    Validated,
    build_module,
    seed_rank,
)
from lab.training.distillation import Distillation
from lab.training.judges import Judges
from lab.training.phases import Phase

__all__ = [
    "EPOCHS_TRAINED",
    "AdversarialCompletion",
    "CompletionModule",
    "Distillation",
    "Judges",
    "NonFiniteLossError",
    "Optimization",
    "Phase",
    "Validated",
    "build_module",
    "seed_rank",
]
