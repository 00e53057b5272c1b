"""The U-Net of partial convolutions is the published one, in both of its published forms."""

import re

import pytest
import torch
import torch.nn.functional as F

from lab.networks import PartialConvolutionUNet, UnreadableCheckpointError, load_network
from tests.parity import TOLERANCE, published, relative_error


@torch.no_grad()
def test_the_file_of_mmagic_answers_as_published(tmp_path):
    tensors, state = published("partial_conv_unet_mmagic")
    torch.save({"meta": {"epoch": 1}, "state_dict": state}, tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")
    assert isinstance(network, PartialConvolutionUNet)
    assert (network.width, network.depth, network.form) == (64, 7, "mmagic")
    # Stored in its own range, as its answer is.
    refined = network(tensors["in_image"] / 2 + 0.5, tensors["in_mask"]).refined
    assert relative_error(2 * refined - 1, tensors["out_image"]) <= TOLERANCE


@torch.no_grad()
def test_the_file_of_naoto0804_answers_as_published(tmp_path):
    tensors, state = published("partial_conv_unet")
    torch.save({"model": state, "n_iter": 1000000}, tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")
    assert isinstance(network, PartialConvolutionUNet)
    assert (network.width, network.depth, network.form) == (64, 7, "naoto0804")
    refined = network(tensors["in_image"], tensors["in_mask"]).refined
    normalized = (refined - network.mean) / network.deviation
    assert relative_error(normalized, tensors["out_image"]) <= TOLERANCE


def as_published(network, constants=True, prefix=""):
    """A small network's tensors, by the names that its published form has for them."""
    state = {}
    for name, tensor in network.state_dict().items():
        side, place, part, leaf = re.fullmatch(
            r"(encoder|decoder)\.(\d)\.(\w+)\.(\w+)", name
        ).groups()
        number = int(place) + 1 if side == "encoder" else network.depth - int(place)
        naoto = network.form == "naoto0804"
        layer = f"{side[:3]}_{number}" if naoto else f"{side}.{side[:3]}{number}"
        part = {"convolution": "conv", "normalization": "bn"}[part]
        if naoto and part == "conv":
            part = "conv.input_conv"
        state[f"{prefix}{layer}.{part}.{leaf}"] = tensor
        if constants and name.endswith("convolution.weight"):
            counting = "conv.mask_conv.weight" if naoto else "conv.weight_mask_updater"
            state[f"{prefix}{layer}.{counting}"] = torch.ones_like(tensor)
    return state


def small(**arguments):
    torch.manual_seed(0)
    network = PartialConvolutionUNet(**{"width": 8, "depth": 3, **arguments})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def samples(height=16, width=24, count=2):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(count, 3, height, width, generator=generator)
    mask = torch.zeros(count, 1, height, width)
    mask[:, :, 4:12, 5:15] = 1
    return image, mask


@pytest.mark.parametrize("form", ["mmagic", "naoto0804"])
@pytest.mark.parametrize("constants", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
@torch.no_grad()
def test_a_published_file_is_read_with_and_without_its_constants(tmp_path, form, constants, prefix):
    network = small(form=form).eval()
    torch.save(as_published(network, constants, prefix), tmp_path / "published.pth")
    loaded = load_network(tmp_path / "published.pth")
    assert (loaded.width, loaded.depth, loaded.form) == (8, 3, form)
    assert torch.equal(loaded(*samples()).refined, network(*samples()).refined)


@torch.no_grad()
def test_the_whole_method_of_mmagic_reads_images_as_bgr(tmp_path):
    network = small().eval()
    state = as_published(network, prefix="generator.")
    state["loss_percep.vgg.vgg_layers.0.weight"] = torch.zeros(64, 3, 3, 3)
    torch.save({"meta": {}, "state_dict": state}, tmp_path / "published.pth")
    image, mask = samples()
    found = load_network(tmp_path / "published.pth")(image, mask).refined
    expected = network(image.flip(1), mask).refined.flip(1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert (found - network(image, mask).refined).abs().max() > 0.1


@pytest.mark.parametrize(
    ("form", "changes", "message"),
    [
        ("mmagic", {"surplus.weight": torch.ones(1)}, r"surplus\.weight.*no tensor of the publ"),
        ("naoto0804", {"surplus.weight": torch.ones(1)}, r"surplus\.weight.*no tensor of the publ"),
        ("naoto0804", {"enc_2.conv.mask_conv.weight": torch.zeros(2)}, "not all ones"),
        ("mmagic", {"decoder.dec1.conv.weight_mask_updater": torch.zeros(2)}, "not all ones"),
        ("mmagic", {"encoder.enc9.conv.weight": torch.zeros(2)}, "depth must be 2 to 7, not 9"),
        ("mmagic", {"encoder.enc1.conv.weight": torch.zeros(8, 4, 5, 5)}, "no network of the"),
    ],
)
def test_other_tensors_are_refused(tmp_path, form, changes, message):
    state = {**as_published(small(form=form)), **changes}
    torch.save(state, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=message):
        load_network(tmp_path / "published.pth")


@torch.no_grad()
def test_padding_inside_is_of_sizes_that_need_it_only():
    network = small().eval()
    image, mask = samples(16, 20)
    padded = network(F.pad(image, (0, 4, 0, 0), mode="replicate"), F.pad(mask, (0, 4))).refined
    assert torch.equal(network(image, mask).refined, padded[..., :20])


@torch.no_grad()
def test_a_photo_that_is_all_hole_gets_an_answer():
    image, mask = samples()
    assert small().eval()(image, torch.ones_like(mask)).refined.isfinite().all()


@pytest.mark.parametrize("frozen", [False, True])
def test_the_encoders_normalization_can_be_frozen_for_fine_tuning(frozen):
    network = small(freeze_normalization=frozen).train()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(*samples()).refined.mean().backward()
    moved = {name for name, buffer in network.named_buffers() if not buffer.equal(before[name])}
    running = {name for name in before if name not in ("mean", "deviation")}
    assert moved == {name for name in running if not (frozen and name.startswith("encoder."))}
    assert all(p.grad is not None for p in network.parameters())


def test_one_pixel_is_nothing_to_normalize_in_training():
    image, mask = samples(8, 8, count=1)
    with pytest.raises(ValueError, match=r"8x8 is one pixel after 3 halvings.*smaller depth"):
        small().train()(image, mask)
    small(freeze_normalization=True).train()(image, mask)
    small().eval()(image, mask)


def test_sixty_steps_halve_the_loss_of_one_photo():
    image, mask = samples(32, 32, count=1)
    image = F.interpolate(image[..., ::8, ::8], (32, 32), mode="bilinear")
    torch.manual_seed(0)
    network = PartialConvolutionUNet(width=8, depth=3).train()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
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
        ({"form": "nvidia"}, "no form is called 'nvidia'"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        PartialConvolutionUNet(**arguments)
