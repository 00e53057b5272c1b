"""The Context Encoder and its discriminator are the published ones, for any photo and any hole."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lab.layers import share_batch_normalization
from lab.networks import (
    ContextEncoder,
    ContextEncoderDiscriminator,
    UnreadableCheckpointError,
    load_network,
)
from lab.networks.context_encoder_discriminator import (
    rename_published_context_encoder_discriminator,
)
from tests.parity import TOLERANCE, published, relative_error


def published_mask(count):
    """The published hole: the middle 64 pixels less 4 all round."""
    mask = torch.zeros(count, 1, 128, 128)
    mask[..., 36:92, 36:92] = 1
    return mask


@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path):
    tensors, state = published("context_encoder")
    torch.save({"epoch": 200, "state_dict": state}, tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")
    assert isinstance(network, ContextEncoder)
    image = (tensors["in_image"] + 1) / 2
    refined = network(image, published_mask(2)).refined
    assert relative_error(2 * refined[..., 32:96, 32:96] - 1, tensors["out_center"]) <= TOLERANCE
    around = torch.ones(128, 128, dtype=torch.bool)
    around[32:96, 32:96] = False
    assert torch.equal(refined[..., around], image[..., around])


class Plain(nn.Module):
    """The published layers, in a row, of any width."""

    def __init__(self, width=3, bottleneck=7):
        super().__init__()
        widths = [3, *(width * factor for factor in (1, 1, 2, 4, 8)), bottleneck]
        layers = []
        for number, (before, after) in enumerate(pairwise(widths)):
            halves = number < 5
            layers.append(nn.Conv2d(before, after, 4, 1 + halves, int(halves), bias=False))
            layers += [nn.BatchNorm2d(after)] if number else []
            layers.append(nn.LeakyReLU(0.2))
        widths = [bottleneck, *(width * factor for factor in (8, 4, 2, 1)), 3]
        for number, (before, after) in enumerate(pairwise(widths)):
            doubles = number > 0
            layers.append(
                nn.ConvTranspose2d(before, after, 4, 1 + doubles, int(doubles), bias=False)
            )
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.main = nn.Sequential(*layers[:-2], nn.Tanh())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"epoch": 200, "state_dict": state},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        # As before PyTorch 0.4.1, when the published file was written.
        lambda state: {name: t for name, t in state.items() if "num_batches" not in name},
    ],
    ids=["plain", "wrapped", "parallel", "old"],
)
@torch.no_grad()
def test_every_form_of_a_published_file_is_read(tmp_path, wrap):
    torch.manual_seed(0)
    plain = Plain()
    image = torch.rand(2, 3, 128, 128)
    image[..., 36:92, 36:92] = torch.tensor([117.0, 104.0, 123.0])[:, None, None] / 255
    plain.main(2 * image - 1)  # moves the running statistics
    torch.save(wrap(plain.state_dict()), tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")
    answer = network(torch.where(published_mask(2) > 0, 0.5, image), published_mask(2)).refined
    expected = (plain.eval().main(2 * image - 1) + 1) / 2
    torch.testing.assert_close(answer[..., 32:96, 32:96], expected)


@torch.no_grad()
def test_the_published_discriminator_answers_as_published():
    tensors, state = published("context_encoder_discriminator")
    discriminator = ContextEncoderDiscriminator().eval()
    renamed = rename_published_context_encoder_discriminator(state)
    discriminator.load_state_dict(renamed, strict=True)
    image = torch.full((4, 3, 128, 128), 7.0)  # what surrounds the square is not seen
    image[..., 32:96, 32:96] = (tensors["in_image"] + 1) / 2
    answer = discriminator(image, published_mask(4))
    assert relative_error(answer.logits[0].sigmoid(), tensors["out_score"]) <= TOLERANCE
    assert relative_error(answer.features[2][:, ::4], tensors["out_feature3"]) <= TOLERANCE


def test_other_tensors_are_refused(tmp_path):
    state = {f"main.{number}.weight": torch.ones(1) for number in (0, 14, 17, 29)}
    torch.save({**state, "surplus.weight": torch.ones(1)}, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"surplus\.weight.*Context Encoder"):
        load_network(tmp_path / "published.pth")


def test_the_discriminators_file_is_not_taken_for_a_network(tmp_path):
    _, state = published("context_encoder_discriminator")
    torch.save({"epoch": 25, "state_dict": state}, tmp_path / "netlocalD.pth")
    with pytest.raises(UnreadableCheckpointError, match="no network of the workbench"):
        load_network(tmp_path / "netlocalD.pth")
    with pytest.raises(KeyError, match=r"'main\.13\.weight' is no tensor"):
        rename_published_context_encoder_discriminator({"main.13.weight": torch.ones(1)})


def small(**arguments):
    torch.manual_seed(0)
    network = ContextEncoder(width=8, view_size=32, **arguments).eval()
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return network


@torch.no_grad()
def test_a_hole_is_answered_alike_wherever_it_lies():
    network = small()
    scene = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, 96, 96)
    mask[..., 44:52, 44:52] = 1
    middle = network(scene, mask).refined
    shifted = network(scene[..., 10:85, 20:90], mask[..., 10:85, 20:90]).refined
    torch.testing.assert_close(shifted, middle[..., 10:85, 20:90])
    assert not torch.equal(middle[..., 44:52, 44:52], scene[..., 44:52, 44:52])


@torch.no_grad()
def test_a_larger_hole_is_answered_at_a_smaller_size():
    network = small()
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    scene, large = (F.interpolate(coarse, (side, side), mode="bilinear") for side in (32, 96))
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 12:20, 12:20] = 1
    hole = (..., slice(36, 60), slice(36, 60))
    expected = F.interpolate(network(scene, mask).refined, (96, 96), mode="bilinear")[hole]
    answer = network(large, F.interpolate(mask, (96, 96))).refined[hole]
    # The window's means are over a little more than a pixel of the smaller photo.
    assert (answer - expected).abs().mean() < 0.1 * expected.std()


@pytest.mark.parametrize(("start", "seen"), [("published", False), ("fill", True)])
@torch.no_grad()
def test_known_pixels_beside_the_hole_are_hidden_only_as_published(start, seen):
    network = small(start=start)
    image = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 16:24, 19:21] = 1  # eight pixels high, so that the square hides as many aside
    changed = image.clone()
    changed[..., 18:22, 17] = 1.0 - changed[..., 18:22, 17]
    answers = [network(photo, mask).refined[..., 16:24, 19:21] for photo in (image, changed)]
    assert (not torch.equal(*answers)) == seen


@torch.no_grad()
def test_the_discriminator_sees_what_the_network_answers():
    torch.manual_seed(0)
    network = small()
    discriminator = ContextEncoderDiscriminator(size=40, width=8).eval()
    assert discriminator.view_size == network.view_size
    image = torch.rand(2, 3, 40, 40)
    mask = torch.zeros(2, 1, 40, 40)
    mask[0, :, 5:13, 6:14] = 1
    mask[1, :, 20:40, :30] = 1
    answered = network(image, mask).refined != image
    logits = discriminator(image, mask).logits
    assert [tuple(scale.shape) for scale in logits] == [(2, 1)]
    elsewhere = torch.where(answered, image, 0.0)
    inside = torch.where(answered, 0.0, image)
    torch.testing.assert_close(
        discriminator(elsewhere, mask).logits[0][:1], logits[0][:1], rtol=0, atol=1e-6
    )
    assert not torch.allclose(discriminator(inside, mask).logits[0], logits[0])


def test_training_halves_the_loss_in_the_hole_of_a_photo():
    torch.manual_seed(0)
    network = ContextEncoder(width=8, view_size=32).train()
    truth = F.interpolate(torch.rand(2, 3, 6, 6), (40, 40), mode="bilinear")
    mask = torch.zeros(2, 1, 40, 40)
    mask[..., 10:22, 14:22] = 1

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
        ({"view_size": 96}, "power of two from 32 to 1024, not 96"),
        ({"view_size": 16}, "power of two from 32 to 1024, not 16"),
        ({"view_size": 0}, "power of two from 32 to 1024, not 0"),
        ({"bottleneck": 0}, "bottleneck must be at least 1, not 0"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContextEncoder(**{"width": 8, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"size": 31}, "images are 31 pixels a side"), ({"width": 0}, "at least 1, not 0")],
)
def test_the_discriminator_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        ContextEncoderDiscriminator(**arguments)


def test_one_photo_alone_is_refused_in_training_and_answered_else():
    network = ContextEncoder(width=8, view_size=32)
    image, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    with pytest.raises(ValueError, match="at least 2 photos a batch, not 1"):
        network(image, mask)
    assert network.eval()(image, mask).refined.shape == image.shape


def test_one_photo_alone_trains_where_statistics_are_kept_or_shared(monkeypatch):
    network = ContextEncoder(width=4, view_size=32).train()
    photo, mask = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    mask[..., 12:20, 12:20] = 1
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    assert network(photo, mask).refined.isfinite().all()
    # Two devices with a photo each: their layers share statistics (`lab.layers`).
    monkeypatch.setattr("lab.networks.context_encoder.ranks", lambda: 2)
    network.train()
    share_batch_normalization(network)
    monkeypatch.setattr("lab.layers.shared_batch_normalization.ranks", lambda: 2)
    monkeypatch.setattr("lab.layers.shared_batch_normalization.mean_over_ranks", lambda v: v)
    assert network(photo, mask).refined.isfinite().all()


def test_the_published_defaults_are_the_codes():
    network = ContextEncoder()
    assert network.encoder[-1].convolution.weight.shape == (4000, 512, 4, 4)
    assert ContextEncoderDiscriminator(size=256).view_size == network.view_size == 128
