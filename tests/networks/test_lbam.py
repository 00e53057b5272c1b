"""LBAM is the published network, and fills a hole with what its masks let in."""

import pytest
import torch
import torch.nn.functional as F

from lab.networks import LBAM, UnreadableCheckpointError, load_network
from lab.networks.lbam import is_published_lbam, rename_published_lbam
from tests.parity import TOLERANCE, published, relative_error


@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path):
    tensors, state = published("lbam")
    torch.save(state, tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")
    assert isinstance(network, LBAM)
    assert (network.width, network.depth) == (64, 7)
    refined = network(tensors["in_image"], tensors["in_mask"]).refined
    assert relative_error(refined, tensors["out_image"]) <= TOLERANCE


def test_a_checkpoint_of_several_gpus_is_the_same():
    state = published("lbam")[1]
    several = {f"module.{name}": tensor for name, tensor in state.items()}
    assert is_published_lbam(several)
    assert rename_published_lbam(several) == rename_published_lbam(state)


@pytest.mark.parametrize("name", ["surplus.weight", "ec2.bn.weight", "dc1.maskConv.weight"])
def test_other_tensors_are_refused(tmp_path, name):
    state = {"reverseConv1.activationFuncG_A.a": torch.tensor(1.1), name: torch.ones(1)}
    torch.save(state, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=rf"{name}.*published LBAM"):
        load_network(tmp_path / "published.pth")


def samples(height=16, width=24, count=2):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(count, 3, height, width, generator=generator)
    mask = torch.zeros(count, 1, height, width)
    mask[:, :, 4:12, 5:15] = 1
    return image, mask


@torch.no_grad()
def test_padding_inside_is_of_sizes_that_need_it_only():
    network = LBAM(width=8, depth=3).eval()
    image, mask = samples(16, 20)
    padded = network(F.pad(image, (0, 4, 0, 0), mode="replicate"), F.pad(mask, (0, 4))).refined
    assert torch.equal(network(image, mask).refined, padded[..., :20])


def test_sixty_steps_halve_the_loss_of_one_photo():
    image, mask = samples(32, 32, count=1)
    image = F.interpolate(image[..., ::8, ::8], (32, 32), mode="bilinear")
    torch.manual_seed(0)
    network = LBAM(width=8, depth=3).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(61):
        difference = (network(image, mask).refined - image).abs() * mask
        losses.append(difference.sum() / (3 * mask.sum()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 4}, "at least 8, not 4"),
        ({"depth": 1}, "depth must be 2 to 7, not 1"),
        ({"depth": 8}, "depth must be 2 to 7, not 8"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        LBAM(**arguments)
