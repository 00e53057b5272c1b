"""LaMa is the published network, whichever file holds it; and it learns."""

import numpy as np
import pytest
import torch

from lab.networks import LaMa, UnreadableCheckpointError, load_network
from lab.networks.lama import _mirrored
from tests.parity import TOLERANCE, published, relative_error


def training_file(state):
    """What the published training saves: the generator among judges, losses and counters."""
    others = {
        "discriminator.model0.0.weight": torch.ones(2),
        "loss_resnet_pl.impl.x": torch.ones(1),
    }
    return {
        "epoch": 39,
        "global_step": 1000000,
        "state_dict": {**others, **{f"generator.{name}": value for name, value in state.items()}},
    }


@pytest.mark.parametrize(
    ("name", "blocks", "wrap"),
    [
        ("lama_fourier", 9, training_file),
        ("lama_fourier", 9, lambda state: {f"module.{name}": t for name, t in state.items()}),
        ("lama_big", 18, training_file),
    ],
)
@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path, name, blocks, wrap):
    tensors, state = published(name)
    torch.save(wrap(state), tmp_path / "best.ckpt")
    network = load_network(tmp_path / "best.ckpt")
    assert isinstance(network, LaMa)
    assert (network.width, network.blocks) == (64, blocks)
    stages = network(tensors["in_image"], tensors["in_mask"])
    assert relative_error(stages.refined, tensors["out_image"]) <= TOLERANCE
    assert relative_error(stages.extras["logits"], tensors["out_logits"]) <= TOLERANCE


@pytest.mark.parametrize("prefix", ["", "generator."])
def test_other_tensors_are_refused(tmp_path, prefix):
    state = {"model.5.conv1.ffc.convg2g.fu.conv_layer.weight": 1, "model.5.conv1.ffc.lfu.weight": 1}
    torch.save({prefix + name: torch.ones(1) for name in state}, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"ffc\.lfu\.weight.*published LaMa"):
        load_network(tmp_path / "published.pth")


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 29), (9, 70), (5, 33)])
def test_sizes_that_are_not_halved_are_mirrored_as_published(height, width):
    planes = torch.rand(1, 2, height, width)
    taller, wider = (max(16, side + -side % 8) for side in (height, width))
    expected = np.pad(
        planes[0].numpy(), [(0, 0), (0, taller - height), (0, wider - width)], mode="symmetric"
    )
    assert np.array_equal(_mirrored(planes)[0].numpy(), expected)


def test_sixty_steps_halve_the_error_in_the_hole():
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 40)
    truth = torch.stack(
        [ramp.expand(32, 40), ramp[:32, None].expand(32, 40), ramp.flip(0).expand(32, 40)]
    )
    truth = truth[None]
    mask = torch.zeros(1, 1, 32, 40)
    mask[:, :, 8:24, 12:30] = 1
    network = LaMa(width=4, blocks=1).train()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    errors = []
    for _ in range(61):
        difference = (network(truth, mask).refined - truth).abs() * mask
        errors.append(difference.sum() / (3 * mask.sum()))
        optimizer.zero_grad()
        errors[-1].backward()
        optimizer.step()
    assert errors[-1] < 0.5 * errors[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "1 to 128, not 0"),
        ({"width": 256}, "1 to 128, not 256"),
        ({"blocks": 0}, "at least 1, not 0"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        LaMa(**arguments)
