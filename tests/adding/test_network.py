"""What a network with published weights costs: two files of ``lab/``.

Its own, ``lab/networks/<name>.py`` (class, recognizer, renaming, `register`), and
``lab/networks/__init__.py``, which imports it. Loading, training, settings and strategies find it
in the registry.
"""

from functools import partial
from unittest.mock import patch

import pytest
import torch
from torch import nn

from lab.contracts import Stages
from lab.losses import LossWeights, Objective
from lab.networks import (
    NETWORKS,
    PublishedForm,
    UnreadableCheckpointError,
    create,
    describe_network,
    load_network,
    register,
    registry,
    write_checkpoint,
)
from lab.strategies import Feathered
from lab.training import AdversarialCompletion, Optimization
from tests.toys import NONE, SIZE, batches, loader, trainer


class OneStage(nn.Module):
    """One stage of two convolutions."""

    def __init__(self, width=4):
        super().__init__()
        self.width = width
        self.first = nn.Conv2d(4, width, 3, padding=1)
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, image, mask):
        known = torch.where(mask > 0, 0.5, image)
        return Stages((self.last(self.first(torch.cat([known, mask], dim=1)).relu()).sigmoid(),))


PARTS = {"conv1": "first", "conv2": "last"}


def is_published(state):
    return {f"{part}.weight" for part in PARTS} <= state.keys()


def rename_published(state):
    split = {name: name.partition(".") for name in state}
    return {f"{PARTS[part]}.{leaf}": state[name] for name, (part, _, leaf) in split.items()}


def plan(state):
    renamed = rename_published(state)
    return partial(OneStage, width=len(renamed["first.bias"])), renamed


@pytest.fixture
def published(tmp_path):
    """A published file of the network, known while the test runs; and the tensors in it."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"conv1": (6, 4, 3, 3), "conv2": (3, 6, 3, 3)}
    state = {f"{part}.weight": torch.randn(s, generator=generator) for part, s in shapes.items()}
    state |= {f"{part}.bias": torch.zeros(shape[0]) for part, shape in shapes.items()}
    path = tmp_path / "published.pth"
    torch.save({"state_dict": state}, path)
    with patch.dict(registry._registered):
        register(OneStage, paper="", published=(PublishedForm(is_published, plan, ""),))
        yield path, state
    assert "OneStage" not in NETWORKS


def test_published_weights_are_recognized_and_renamed(published):
    path, state = published
    network = load_network(path)
    assert isinstance(network, OneStage)
    assert network.width == 6
    assert torch.equal(network.first.weight, state["conv1.weight"])
    assert torch.equal(network.last.weight, state["conv2.weight"])
    assert isinstance(create("OneStage", weights=path, width=6), OneStage)
    torch.save({**state, "conv3.weight": torch.ones(1)}, path)
    with pytest.raises(UnreadableCheckpointError, match="conv3"):
        load_network(path)


def test_it_trains_on_from_them_and_completes_by_a_strategy(published, tmp_path):
    path, state = published
    module = AdversarialCompletion(
        partial(OneStage, width=6),
        objective=lambda: Objective(LossWeights(**{**NONE, "hole_l1": 1.0, "known_l1": 1.0})),
        strategy=Feathered,
        optimization=Optimization(0.01),
        warm_start=path,
    )
    assert torch.equal(module.network.first.weight, state["conv1.weight"])
    module.prepare(SIZE)
    assert not module.judges
    batch = next(batches())

    def error():
        with torch.no_grad():
            return (module.network(batch.image, batch.mask).refined - batch.image).abs().mean()

    before = error()
    trainer(5).fit(module, loader())
    assert error() < before - 0.01

    write_checkpoint(tmp_path / "epoch-005.pt", describe_network(module.network, 5, ""))
    network = load_network(tmp_path / "epoch-005.pt")
    completed = Feathered(network)(batch.image, batch.mask)
    torch.testing.assert_close(completed, module.complete(batch.image, batch.mask))
    known = (batch.mask == 0).expand_as(completed)
    assert torch.equal(completed[known], batch.image[known])
    assert not torch.equal(completed, Feathered(load_network(path))(batch.image, batch.mask))
