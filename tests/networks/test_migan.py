"""MI-GAN is the published network; photos of other sizes are resized without what is hidden."""

import pytest
import torch
import torch.nn.functional as F

from lab.networks import MIGAN, UnreadableCheckpointError, load_network
from tests.parity import TOLERANCE, published, relative_error


def with_constants(state):
    """The file as published, with the filters that the stored shapes leave out."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    down = row.outer(row)[None, None]
    constants = {}
    for name, tensor in state.items():
        layer = name.removesuffix(".conv2.weight")
        if (
            name.endswith("conv2.conv2.weight")
            and name.startswith("encoder")
            and ".b4." not in name
        ):
            constants[f"{layer}.downsample.filter.weight"] = down.repeat(tensor.shape[1], 1, 1, 1)
        if name.endswith("conv1.noise_const"):
            layer = name.removesuffix(".noise_const")
            channels, side = state[f"{layer}.conv2.weight"].shape[0], len(tensor)
            zeros = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).repeat(1, 1, side // 2, side // 2)
            constants[f"{layer}.upsample.filter.weight"] = 4 * down.repeat(channels, 1, 1, 1)
            constants[f"{layer}.upsample.filter_const"] = zeros
    return {**state, **constants}


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    """A published file of a small network, with all that one may hold; and the network."""
    torch.manual_seed(0)
    network = MIGAN(resolution=16, width=8)
    names = {
        "features": "conv1", "leaving": "conv2", "entering": "conv1", "merging": "conv2",
        "depthwise": "conv1", "pointwise": "conv2", "to_rgb": "torgb", "noise": "noise_const",
    }  # fmt: skip
    state = {}
    for name, tensor in network.state_dict().items():
        room, *rest = name.split(".")
        if room == "entry":
            state[f"encoder.b16.fromrgb.{rest[0]}"] = tensor
            continue
        side = 16 >> int(rest[0]) if room == "encoder" else 4 << int(rest[0])
        theirs = [{"encoder": "encoder", "decoder": "synthesis"}[room], f"b{side}"]
        state[".".join(theirs + [names.get(part, part) for part in rest[1:]])] = tensor
    return with_constants(state), network.eval()


@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path):
    tensors, state = published("migan_256")
    torch.save(with_constants(state), tmp_path / "migan_256_places2.pt")
    network = load_network(tmp_path / "migan_256_places2.pt")
    assert isinstance(network, MIGAN)
    assert (network.resolution, network.width, network.branches) == (256, 512, 0)
    stages = network((tensors["in_image"] + 1) / 2, tensors["in_mask"])
    assert relative_error(2 * stages.refined - 1, tensors["out_image"]) <= TOLERANCE


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapper", [None, "state_dict"])
@torch.no_grad()
def test_files_with_constants_and_wrappers_are_read(small_file, tmp_path, prefix, wrapper):
    state, expected = small_file
    state = {prefix + name: tensor for name, tensor in state.items()}
    torch.save({wrapper: state} if wrapper else state, tmp_path / "migan.pt")
    network = load_network(tmp_path / "migan.pt")
    image, mask = torch.rand(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    assert torch.equal(network(image, mask).refined, expected(image, mask).refined)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("synthesis.b8.conv3.weight", torch.ones, r"conv3\.weight.*published MI-GAN"),
        ("encoder.b8.conv2.downsample.filter.weight", torch.ones, r"filter \[1, 3, 3, 1\]"),
        ("encoder.b32.fromrgb.weight", torch.ones, "2 first layers"),
    ],
)
def test_other_tensors_are_refused(small_file, tmp_path, name, change, message):
    torch.save({**small_file[0], name: change(8, 1, 4, 4)}, tmp_path / "migan.pt")
    with pytest.raises(UnreadableCheckpointError, match=message):
        load_network(tmp_path / "migan.pt")


def photo(height, width):
    generator = torch.Generator().manual_seed(0)
    image = F.interpolate(
        torch.rand(1, 3, 3, 4, generator=generator), (height, width), mode="bicubic"
    )
    mask = torch.zeros(1, 1, height, width)
    mask[:, :, height // 4 : 3 * height // 4, width // 3 : 2 * width // 3] = 1
    return image.clamp(0, 1), mask


@torch.no_grad()
def test_a_larger_photo_is_shown_as_the_means_of_its_known_pixels():
    network = MIGAN(resolution=8, width=8)
    image, mask = photo(32, 32)
    image = torch.full_like(image, 0.75)
    painted = torch.where(mask > 0, 0.0, 2 * image - 1)
    shown, valid = network._resized(painted, 1 - mask)
    assert set(valid.unique().tolist()) == {0.0, 1.0}
    assert valid.mean() == pytest.approx(1 - mask.mean().item(), abs=0.1)
    torch.testing.assert_close(shown, 0.5 * valid.expand_as(shown))  # no darker rim


@torch.no_grad()
def test_a_photo_of_another_size_answers_nearly_as_itself_at_the_networks_size():
    torch.manual_seed(0)
    network = MIGAN(resolution=64, width=8).eval()
    small, mask = photo(64, 64)
    large = F.interpolate(small, (128, 192), mode="bicubic")
    large_mask = F.interpolate(mask, (128, 192))
    expected = network(small, mask).refined
    found = F.interpolate(network(large, large_mask).refined, (64, 64), mode="area")
    assert (found - expected).abs().mean() < 0.25 * expected.std()


@torch.no_grad()
def test_merged_branches_answer_the_same():
    torch.manual_seed(0)
    network = MIGAN(resolution=32, width=8, branches=3)
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    merged = network.merged()
    assert merged.branches == 0
    assert len(list(merged.parameters())) == len(list(network.parameters()))
    assert sum(p.numel() for p in merged.parameters()) < sum(
        p.numel() for p in network.parameters()
    )
    image, mask = photo(32, 32)
    expected = network.eval()(image, mask)
    torch.testing.assert_close(merged(image, mask).refined, expected.refined, rtol=0, atol=1e-5)


@torch.no_grad()
def test_what_every_resolution_adds_makes_up_the_image():
    torch.manual_seed(0)
    network = MIGAN(resolution=64, width=8)
    image, mask = photo(64, 64)
    stages = network(image, mask)
    assert {name: added.shape[-1] for name, added in stages.extras.items()} == {
        "rgb_32": 32,
        "rgb_64": 64,
    }
    network.decoder[-1].to_rgb.weight.zero_()  # its bias is 0 at first
    without = network(image, mask).refined
    torch.testing.assert_close(stages.refined - without, stages.extras["rgb_64"] / 2)


@pytest.mark.parametrize("branches", [0, 3])
def test_sixty_steps_halve_the_error_in_the_hole(branches):
    torch.manual_seed(0)
    truth, mask = photo(32, 32)
    network = MIGAN(resolution=32, width=8, branches=branches).train()
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
        ({"resolution": 96}, "power of two from 8 to 1024, not 96"),
        ({"resolution": 4}, "power of two from 8 to 1024, not 4"),
        ({"resolution": 2048}, "power of two from 8 to 1024, not 2048"),
        ({"resolution": 512, "width": 7}, "at least 8 at a resolution of 512, not 7"),
        ({"branches": -1}, "at least 0, not -1"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        MIGAN(**arguments)


def test_published_widths():
    network = MIGAN(resolution=512)
    widths = [level.to_rgb.in_channels for level in network.decoder]
    assert widths == [512, 512, 512, 512, 512, 256, 128, 64]
