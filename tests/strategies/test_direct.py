"""The plain call of a network."""

import pytest
import torch
from torch import nn

from lab.contracts import Stages
from lab.strategies import Direct


class Recording(nn.Module):
    """Paints everything in one value and remembers how it was called."""

    def __init__(self, value=0.25):
        super().__init__()
        self.frozen = nn.BatchNorm2d(3)
        self.value = value
        self.batches = []
        self.was_training = []

    def forward(self, image, mask):
        self.batches.append(len(image))
        self.was_training.append(any(part.training for part in self.modules()))
        return Stages((torch.zeros_like(image), torch.full_like(image, self.value)))


@pytest.fixture
def image():
    return torch.linspace(0, 1, 3 * 3 * 8 * 8).reshape(3, 3, 8, 8)


@pytest.fixture
def mask():
    mask = torch.zeros(3, 1, 8, 8)
    mask[0, :, 2:5] = 1
    mask[2, :, :, 2:5] = 1
    return mask


def test_pastes_the_last_stage_clamped(image, mask):
    for value, expected in ((0.25, 0.25), (7.0, 1.0), (-7.0, 0.0)):
        completed = Direct(Recording(value))(image, mask)
        assert torch.equal(completed, torch.where(mask > 0, torch.tensor(expected), image))


def test_without_pasting_the_whole_answer_comes_back(image, mask):
    completed = Direct(Recording(), paste=False)(image, mask)
    assert (completed[[0, 2]] == 0.25).all()
    assert torch.equal(completed[1], image[1])


def test_samples_without_a_hole_never_reach_the_network(image, mask):
    network = Recording()
    Direct(network)(image, mask)
    Direct(network)(image, torch.zeros_like(mask))
    assert network.batches == [2]


def test_evaluates_and_gives_every_part_its_mode_back(image, mask):
    network = Recording().train()
    network.frozen.eval()
    Direct(network)(image, mask)
    assert network.was_training == [False]
    assert network.training
    assert not network.frozen.training


def test_gives_the_mode_back_after_a_failure(image, mask):
    class Failing(Recording):
        def forward(self, image, mask):
            raise RuntimeError("out of memory")

    network = Failing().train()
    with pytest.raises(RuntimeError, match="out of memory"):
        Direct(network)(image, mask)
    assert network.training


def test_a_plain_function_serves_as_network(image, mask):
    completed = Direct(lambda image, mask: Stages((1 - image,)))(image, mask)
    assert torch.equal(completed, torch.where(mask > 0, 1 - image, image))
