"""The smallest network with two phases, a guide and judges, and what it trains on."""

import pytorch_lightning as lightning
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from lab.contracts import DiscriminatorOutput, Stages
from lab.data import Batch
from lab.losses import LossWeights, Objective
from lab.training import AdversarialCompletion, Judges, Optimization

SIZE = 16


class Painter(nn.Module):
    """Two stages, an encoder with batch normalization, and edges that it completes."""

    guides = ("edges",)

    def __init__(self):
        super().__init__()
        self.edges = nn.Conv2d(5, 1, 3, padding=1)
        self.encoder = nn.Sequential(nn.Conv2d(5, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.decoder = nn.Sequential(nn.Conv2d(4, 3, 3, padding=1), nn.BatchNorm2d(3))

    def forward(self, image, mask, guides=None):
        known = torch.where(mask > 0, 0.5, image)
        drawn = torch.where(mask > 0, 0.0, guides["edges"])
        edges = torch.sigmoid(self.edges(torch.cat([known, mask, drawn], dim=1)))
        edges = torch.where(mask > 0, edges, drawn)
        features = self.encoder(torch.cat([known, mask, edges], dim=1))
        return Stages((torch.sigmoid(self.decoder(features)),), {"edges": edges})


class Judge(nn.Module):
    """Judges whatever it is shown, of any number of channels; remembers on what batches."""

    def __init__(self, size, channels=3, normalized=False):
        super().__init__()
        self.size = size
        self.first = nn.Conv2d(channels, 4, 3, stride=2)
        self.normalization = nn.BatchNorm2d(4) if normalized else nn.Identity()
        self.last = nn.Conv2d(4, 1, 3, stride=2)
        self.batches = []

    def forward(self, image, mask, guides=None):
        self.batches.append(len(image))
        seen = image if guides is None else torch.cat([image, guides["edges"]], dim=1)
        features = F.leaky_relu(self.normalization(self.first(seen)), 0.2)
        return DiscriminatorOutput((self.last(features).flatten(1),), (features,))


JUDGES = Judges(whole=Judge, local=Judge, edges=lambda size: Judge(size, channels=4))
NONE = dict.fromkeys(LossWeights().active(), 0.0)


def batches(count=2):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        image = torch.rand(2, 3, SIZE, SIZE, generator=generator)
        mask = torch.zeros(2, 1, SIZE, SIZE)
        mask[..., 4:10, 4:10] = 1.0
        edges = (torch.rand(2, 1, SIZE, SIZE, generator=generator) > 0.8).float()
        yield Batch(image, mask, ["a", "b"], ["a", "b"], {"edges": edges})


def trainer(epochs, *callbacks):
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def loader():
    return DataLoader(list(batches()), batch_size=None)


def fit(phases, epochs=None, weights=None, judges=JUDGES, optimization=None, **objective):
    """Train the painter; returns it, its state before and after each epoch, logs and rates."""
    torch.manual_seed(0)
    weights = LossWeights(**{**NONE, "hole_l1": 1.0, **(weights or {})})
    module = AdversarialCompletion(
        Painter,
        judges,
        lambda: Objective(weights, **objective),
        optimization=optimization or Optimization(0.01, 0.01),
        phases=phases,
    )
    module.prepare(SIZE)
    states, logged, rates = [], [], []

    class Note(lightning.Callback):
        def on_train_start(self, trainer, module):
            states.append({name: t.clone() for name, t in module.state_dict().items()})

        def on_train_batch_end(self, trainer, module, *_):
            logged.append(dict(module.step_losses))
            rates.append([each.param_groups[0]["lr"] for each in trainer.optimizers])

        def on_train_epoch_end(self, trainer, module):
            self.on_train_start(trainer, module)

    epochs = epochs or sum(phase.epochs or 1 for phase in phases)
    trainer(epochs, Note()).fit(module, loader())
    return module, states, logged, rates
