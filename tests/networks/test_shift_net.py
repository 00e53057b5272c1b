"""Shift-Net is the published network, and has what its guidance loss reads."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lab.contracts import LossInputs
from lab.losses import ShiftGuidance
from lab.networks import ShiftNet, UnreadableCheckpointError, load_network
from lab.networks.shift_net import is_published_shift_net
from tests.parity import TOLERANCE, published, relative_error, shared


@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path):
    tensors, state = published("shift_net")
    torch.save(state, tmp_path / "latest_net_G.pth")
    network = load_network(tmp_path / "latest_net_G.pth")
    assert isinstance(network, ShiftNet)
    refined = network((tensors["in_image"] + 1) / 2, tensors["in_mask"]).refined
    assert relative_error(2 * refined - 1, tensors["out_image"]) <= TOLERANCE


def normalized(channels):
    return nn.InstanceNorm2d(channels, affine=True)


class Shift(nn.Module):
    """The published connection, of one photo whose mask was set before."""

    def forward(self, x):
        decoder, encoder = x[0].chunk(2)
        hole = self.mask[0, 0, ::8, ::8] > 0
        alike = F.normalize(decoder[:, hole].T, dim=1) @ F.normalize(encoder[:, ~hole], dim=0)
        shifted = torch.zeros_like(encoder)
        shifted[:, hole] = encoder[:, ~hole][:, alike.argmax(1)]
        return torch.cat([decoder, encoder, shifted])[None]


class Block(nn.Module):
    """A level of the published U-Net, which holds the next inner one."""

    def __init__(self, outer, inner, submodule=None, shift=None):
        super().__init__()
        down = [nn.LeakyReLU(0.2), nn.Conv2d(outer, inner, 4, 2, 1)]
        up = [nn.ReLU()]
        if submodule:
            down += [normalized(inner), submodule]
        joined = inner * (1 + bool(submodule) + bool(shift))
        up += [nn.Identity(), shift] if shift else []
        up += [nn.ConvTranspose2d(joined, outer, 4, 2, 1), normalized(outer)]
        self.model = nn.Sequential(*down, *up)

    def forward(self, x):
        return torch.cat([self.model(x), x], dim=1)


class Outermost(nn.Module):
    def __init__(self, width, depth, shift):
        super().__init__()
        widths = [width * min(8, 2**level) for level in range(depth)]
        block = None
        for level in range(depth - 1, 0, -1):
            block = Block(widths[level - 1], widths[level], block, shift if level == 2 else None)
        up = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * width, 3, 4, 2, 1), nn.Tanh())
        self.model = nn.Sequential(nn.Conv2d(4, width, 4, 2, 1), block, *up)


class Plain(nn.Module):
    def __init__(self, width=4, depth=5):
        super().__init__()
        self.shift = Shift()
        self.model = Outermost(width, depth, self.shift)

    def forward(self, image, mask):
        self.shift.mask = mask
        known = torch.where(mask > 0, 0.0, 2 * image - 1)
        return (self.model.model(torch.cat([known, 1 - mask], dim=1)) + 1) / 2


def samples(height=64, width=96, count=1):
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 8, 12, generator=generator)
    image = F.interpolate(coarse, (height, width), mode="bilinear")
    mask = torch.zeros(count, 1, height, width)
    mask[..., 13:40, 21:50] = 1
    return image, mask


@pytest.mark.parametrize("depth", [5, 6])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {"state_dict": state},
    ],
    ids=["plain", "parallel", "wrapped"],
)
@torch.no_grad()
def test_every_form_of_a_published_file_is_read(tmp_path, depth, wrap):
    torch.manual_seed(0)
    plain = Plain(depth=depth)
    torch.save(wrap(plain.state_dict()), tmp_path / "published.pth")
    image, mask = samples(64, 128)
    torch.testing.assert_close(
        load_network(tmp_path / "published.pth")(image, mask).refined, plain(image, mask)
    )


def test_other_tensors_are_refused(tmp_path):
    state = {**Plain().state_dict(), "model.model.1.surplus.weight": torch.ones(1)}
    torch.save(state, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"surplus\.weight.*Shift-Net"):
        load_network(tmp_path / "published.pth")


def test_a_plain_unet_is_not_taken_for_it():
    names = json.loads(str(np.load(shared("parity/pix2pix_unet_256_instance.npz"))["shapes"]))
    assert not is_published_shift_net(dict.fromkeys(names, torch.empty(0)))


@torch.no_grad()
def test_guidance_compares_the_decoder_with_the_encoder_of_the_true_photo():
    torch.manual_seed(0)
    network = ShiftNet(width=4, depth=5)
    image, mask = samples(60, 90)
    stages = network(image, mask)
    decoder, hole = stages.extras["decoder_features"], stages.extras["reduced_mask"]
    target = network.guidance_features(image, mask)
    # Of the padded photo, 64x96.
    assert decoder.shape == target.shape == (1, 16, 8, 12)
    assert torch.equal(hole[0, 0], F.pad(mask, (0, 6, 0, 4))[0, 0, ::8, ::8])
    # What the decoder is compared with depends on what lies under the hole, and only that does.
    other = torch.where(mask > 0, 1 - image, image)
    assert not torch.allclose(network.guidance_features(other, mask), target)
    assert torch.equal(network(other, mask).extras["decoder_features"], decoder)
    # Where nothing is missing, it is what the connection is handed across.
    handed = []
    network.shift.register_forward_pre_hook(lambda module, given: handed.append(given[1]))
    nothing = torch.zeros_like(mask)
    network(image, nothing)
    assert torch.equal(network.guidance_features(image, nothing), handed[0])


def guided(network, image, mask):
    """The guidance term of a batch, as a training computes it."""
    stages = network(image, mask)
    completed = torch.where(mask > 0, stages.refined, image)
    return LossInputs(stages, image, mask, completed, guidance_features=network.guidance_features)


@torch.no_grad()
def test_the_guidance_loss_is_the_published_one_in_the_hole():
    torch.manual_seed(0)
    network = ShiftNet(width=4, depth=5)
    image, mask = samples(64, 96, count=2)
    mask[1] = mask[1].flip(-1)  # each of a batch has its own hole
    value = ShiftGuidance()(guided(network, image, mask))
    # What the published modules hold: of the photo with a hole the decoder's half of what is given
    # to the shift connection, of the true photo, its mask unchanged, the encoder's.
    given = []
    network.shift.register_forward_pre_hook(lambda module, handed: given.append(handed[:2]))
    network(image, mask)
    decoder = given[0][0]
    x = torch.cat([2 * image - 1, 1 - mask], dim=1)
    for number, halve in enumerate(network.encoder[:3]):
        x = x if number == 0 else F.leaky_relu(x, 0.2)
        x = halve.convolution(x)
        if number:
            x = F.instance_norm(x, weight=halve.normalization.weight, bias=halve.normalization.bias)
    encoder = x.relu()
    total, (batch, channels, height, width) = 0.0, decoder.shape
    for sample in range(batch):
        for row in range(height):
            for column in range(width):
                if mask[sample, 0, 8 * row, 8 * column]:
                    apart = decoder[sample, :, row, column] - encoder[sample, :, row, column]
                    total += float(apart.square().sum())
    assert total > 0
    assert float(value) == pytest.approx(total / (batch * channels * height * width), rel=1e-5)
    assert not ShiftGuidance()(guided(network, image, torch.zeros_like(mask)))


def test_guidance_trains_what_makes_the_decoders_features_and_nothing_after_them():
    torch.manual_seed(0)
    network = ShiftNet(width=4, depth=5)
    ShiftGuidance()(guided(network, *samples())).backward()
    reached = {
        ".".join(name.split(".")[:2])
        for name, parameter in network.named_parameters()
        if parameter.grad is not None and parameter.grad.any()
    }
    assert reached == {f"encoder.{level}" for level in range(5)} | {"decoder.0", "decoder.1"}


def test_guidance_brings_the_decoder_to_what_the_truth_has():
    torch.manual_seed(0)
    network = ShiftNet(width=8, depth=5)
    truth, mask = samples(64, 64)
    features = network.guidance_features(truth, mask)
    # The target stays where it is, so that the encoder cannot meet the decoder half-way.
    optimizer = torch.optim.Adam(network.decoder.parameters(), 2e-3)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        values.append(ShiftGuidance()(guided(network, truth, mask)))
        values[-1].backward()
        optimizer.step()
    assert torch.equal(network.guidance_features(truth, mask), features)
    assert float(values[-1]) < 0.5 * float(values[0])


@torch.no_grad()
def test_how_the_mask_shrinks_matters_to_thin_holes_only():
    image, mask = samples()
    thin = torch.zeros_like(mask)
    thin[..., 13:15, :] = 1
    torch.manual_seed(0)
    network = ShiftNet(width=4, depth=5)
    shifted = []
    network.shift.register_forward_hook(lambda module, given, answer: shifted.append(answer))
    for network.shift.reduction in ("nearest", "any"):
        network(image, thin)
    assert not shifted[0].any()
    assert shifted[1][..., 1, :].any()


def test_training_halves_the_loss_in_the_hole_of_a_photo():
    torch.manual_seed(0)
    network = ShiftNet(width=8, depth=5)
    truth, mask = samples(64, 64)

    def loss():
        return ((network(truth, mask).refined - truth).abs() * mask).sum() / (3 * mask.sum())

    first = loss().item()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.5 * first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be at least 1, not 0"),
        ({"depth": 4}, "depth must be 5 to 12, not 4"),
        ({"depth": 13}, "depth must be 5 to 12, not 13"),
        ({"mask_reduction": "area"}, "no mask reduction is called 'area'"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShiftNet(**{"width": 4, **arguments})


def test_the_published_defaults_are_the_codes():
    with torch.device("meta"):
        network = ShiftNet()
    assert len(network.encoder) == len(network.decoder) == 8
    # The connection is where 256 channels meet.
    assert network.decoder[5].convolution.weight.shape == (768, 128, 4, 4)
