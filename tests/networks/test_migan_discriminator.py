"""MI-GAN's discriminator judges a photo as a whole, and the photos of a group together."""

import pytest
import torch

from lab.networks import MIGANDiscriminator
from lab.networks.migan_discriminator import _spread


def batch(count, side=16):
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(count, 1, side, side)
    mask[:, :, 4:10, 4:10] = 1
    return torch.rand(count, 3, side, side, generator=generator), mask


@pytest.mark.parametrize(("count", "groups"), [(8, 2), (4, 1), (6, 2), (1, 1)])
def test_the_spread_is_the_groups_standard_deviation(count, groups):
    x = torch.randn(count, 3, 4, 4, dtype=torch.float64).float()
    found = _spread(x)
    assert found.shape == (count, 1, 4, 4)
    for photo in range(count):
        group = x[photo % groups :: groups].double()
        expected = (group.var(0, correction=0) + 1e-8).sqrt().mean()
        assert found[photo].double().sub(expected).abs().max() < 1e-6


@pytest.mark.parametrize("branches", [0, 2])
def test_one_logit_a_photo_and_a_gradient_everywhere(branches):
    torch.manual_seed(0)
    network = MIGANDiscriminator(16, width=8, branches=branches)
    image, mask = batch(4)
    answer = network(image.requires_grad_(), mask)
    assert [scale.shape for scale in answer.logits] == [(4, 1)]
    assert [features.shape[-1] for features in answer.features] == [8, 4, 4]
    # The gradient penalty goes through the gradient.
    (slope,) = torch.autograd.grad(answer.logits[0].sum(), image, create_graph=True)
    (slope.square().sum() + answer.logits[0].mean()).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@torch.no_grad()
def test_the_mask_matters_and_signals_keep_their_size():
    torch.manual_seed(0)
    network = MIGANDiscriminator(64, width=32, branches=2)
    image, mask = batch(4, 64)
    assert (network(image, mask).logits[0] - network(image, 0 * mask).logits[0]).abs().max() > 1e-4
    # Through all layers, as through the first: neither vanishing nor bursting.
    first, *_, last = (features.std() for features in network(image, mask).features)
    assert 0.1 < last / first < 10


def test_it_learns_to_tell_truth_from_a_gray_fill():
    torch.manual_seed(0)
    network = MIGANDiscriminator(16, width=8, branches=2)
    real, mask = batch(8)
    fake = torch.where(mask > 0, 0.5, real)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2, betas=(0.0, 0.99))
    for _ in range(30):
        truth, lie = network(real, mask).logits[0], network(fake, mask).logits[0]
        loss = torch.nn.functional.softplus(torch.cat([-truth, lie])).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (network(real, mask).logits[0] > network(fake, mask).logits[0]).all()


def test_published_widths():
    with torch.device("meta"):
        network = MIGANDiscriminator(256)
    assert [len(level.around.branches) // 9 for level in network.levels] == [256, *[512] * 5]
    assert len(network.merging.depthwise.branches) == 9 * 513


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 48}, "48 pixels a side.*power of two"),
        ({"size": 4}, "4 pixels a side.*power of two"),
        ({"size": 256, "width": 2}, "at least 4 for images of 256 pixels a side, not 2"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        MIGANDiscriminator(**arguments)


def test_another_size_is_refused():
    with pytest.raises(ValueError, match=r"the image is 16x16.*judges 32x32"):
        MIGANDiscriminator(32, width=8, branches=0)(*batch(1))
