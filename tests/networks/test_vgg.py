"""VGG features: the published layers by their names, frozen, from a file of published names.

The published files are too large to fetch in a test, so a file of the same names and shapes is
filled at random.
"""

import hashlib

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lab.networks import MissingWeightsError, VGGFeatures, WeightFile, vgg_layer_names
from lab.networks.vgg import VGG_WEIGHTS, rename_published_vgg

NOWHERE = "https://127.0.0.1:9/vgg.pth"
# The layer tables of torchvision's configurations D and E; M is a pooling.
PUBLISHED = {
    "vgg16": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    "vgg19": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


def published_state(architecture: str, convolutions: int) -> dict[str, torch.Tensor]:
    """Random weights of the first ``convolutions``, named as published, with a stub classifier."""
    generator = torch.Generator().manual_seed(0)
    state, number, channels = {}, 0, 3
    for width in PUBLISHED[architecture]:
        if width == "M":
            number += 1
            continue
        if convolutions == 0:
            break
        scale = (2.0 / (9 * channels)) ** 0.5
        state[f"features.{number}.weight"] = scale * torch.randn(
            width, channels, 3, 3, generator=generator
        )
        state[f"features.{number}.bias"] = 0.1 * torch.randn(width, generator=generator)
        number, channels, convolutions = number + 2, width, convolutions - 1
    state["classifier.0.weight"] = torch.zeros(4, 4)
    return state


@pytest.fixture
def weight_file(tmp_path, monkeypatch):
    """Save a state dict in a cache of its own and describe the file."""
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path))

    def save(state: dict[str, torch.Tensor]) -> WeightFile:
        path = tmp_path / "fake.pth"
        torch.save(state, path)
        return WeightFile("fake.pth", NOWHERE, hashlib.sha256(path.read_bytes()).hexdigest())

    return save


@pytest.mark.parametrize(
    ("architecture", "numbers"),
    [
        ("vgg16", {"relu1_1": 1, "pool1": 4, "relu3_3": 15, "relu4_1": 18, "relu5_3": 29}),
        ("vgg19", {"relu1_1": 1, "relu2_2": 8, "relu3_4": 17, "relu4_4": 26, "relu5_1": 29}),
    ],
)
def test_layers_have_the_published_numbers(architecture, numbers):
    names = vgg_layer_names(architecture)
    assert {name: names.index(name) for name in numbers} == numbers
    expanded = []
    for width in PUBLISHED[architecture]:
        expanded += ["pool"] if width == "M" else ["conv", "relu"]
    assert [name[:4] for name in names] == expanded


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_the_features_are_those_of_the_published_network(architecture, weight_file):
    state = published_state(architecture, 5)
    network = VGGFeatures(
        architecture, ("conv1_2", "relu1_1", "pool2", "relu3_1"), weight_file(state)
    )
    image = torch.rand(2, 3, 21, 32, generator=torch.Generator().manual_seed(1))

    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    x, expected = (image - mean) / deviation, {}
    for name, number in (("1_1", 0), ("1_2", 2), ("2_1", 5), ("2_2", 7), ("3_1", 10)):
        x = F.conv2d(
            x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1
        )
        expected[f"conv{name}"] = x
        expected[f"relu{name}"] = x = x.relu()
        if name in ("1_2", "2_2"):
            expected[f"pool{name[0]}"] = x = F.max_pool2d(x, 2)

    answer = network(image)
    assert set(answer) == {"conv1_2", "relu1_1", "pool2", "relu3_1"}
    for name, features in answer.items():
        torch.testing.assert_close(features, expected[name])


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_the_whole_published_file_loads(architecture, weight_file):
    network = VGGFeatures(architecture, ("pool5",), weight_file(published_state(architecture, 99)))
    with torch.no_grad():
        assert network(torch.rand(1, 3, 32, 33))["pool5"].shape == (1, 512, 1, 1)


def test_only_the_layers_needed_are_built(weight_file):
    network = VGGFeatures("vgg16", ("relu1_2",), weight_file(published_state("vgg16", 13)))
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 2


def test_it_is_frozen_and_saves_nothing_but_passes_gradient(weight_file):
    network = VGGFeatures("vgg16", ("relu2_1",), weight_file(published_state("vgg16", 3)))
    assert list(network.parameters()) == []
    assert network.state_dict() == {}
    assert not network.train().training
    image = torch.rand(1, 3, 16, 16, requires_grad=True)
    network(image)["relu2_1"].square().mean().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert image.grad.abs().sum() > 0


def test_it_moves_with_its_parent(weight_file):
    network = VGGFeatures("vgg16", ("relu1_1",), weight_file(published_state("vgg16", 1)))
    parent = nn.Sequential(network).to("meta")
    assert all(buffer.is_meta for buffer in parent.buffers())
    assert len(list(parent.buffers())) == 4  # a weight and a bias, the mean and the deviation


def test_it_stays_in_float32_under_autocast(weight_file):
    network = VGGFeatures("vgg16", ("relu1_2",), weight_file(published_state("vgg16", 2)))
    image = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = network(image)["relu1_2"]
    torch.testing.assert_close(answer, network(image)["relu1_2"])
    assert network(image.bfloat16())["relu1_2"].dtype == torch.float32


def test_building_draws_no_random_numbers(weight_file):
    weights = weight_file(published_state("vgg16", 2))
    before = torch.get_rng_state()
    VGGFeatures("vgg16", ("relu1_2",), weights)
    assert torch.equal(before, torch.get_rng_state())


def test_too_small_an_image_is_refused(weight_file):
    network = VGGFeatures("vgg16", ("pool2",), weight_file(published_state("vgg16", 4)))
    assert network(torch.rand(1, 3, 4, 4))["pool2"].shape == (1, 128, 1, 1)
    with pytest.raises(ValueError, match="16x3, but pool2 needs sides of at least 4"):
        network(torch.rand(1, 3, 3, 16))
    with pytest.raises(ValueError, match=r"\(1, 1, 16, 16\)"):
        network(torch.rand(1, 1, 16, 16))


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="Did you mean 'relu1_1'"):
        VGGFeatures("vgg16", ("relu11",))
    with pytest.raises(ValueError, match="relu3_4"):
        VGGFeatures("vgg16", ("relu3_4",))  # VGG19 has it
    with pytest.raises(ValueError, match="at least one of"):
        VGGFeatures("vgg16", ())
    with pytest.raises(ValueError, match="vgg11"):
        VGGFeatures("vgg11", ("relu1_1",))


def test_renaming_keeps_the_convolutions_and_what_it_does_not_know():
    state = {
        "features.0.weight": torch.zeros(1),
        "features.28.bias": torch.ones(1),
        "classifier.6.bias": torch.ones(1),
        "surprise": torch.ones(1),
    }
    assert list(rename_published_vgg(state, 2)) == ["features.0.weight", "surprise"]
    assert list(rename_published_vgg(state, 29)) == [
        "features.0.weight",
        "features.28.bias",
        "surprise",
    ]


@pytest.mark.parametrize("change", ["missing", "surprise", "shape"])
def test_loading_is_strict(weight_file, change):
    state = published_state("vgg16", 2)
    if change == "missing":
        del state["features.2.bias"]
    elif change == "surprise":
        state["surprise"] = torch.zeros(1)
    else:
        state["features.2.bias"] = torch.zeros(63)
    with pytest.raises(RuntimeError, match=r"surprise|features\.2\.bias"):
        VGGFeatures("vgg16", ("relu1_2",), weight_file(state))


@pytest.mark.parametrize("architecture", ["vgg16", "vgg19"])
def test_without_the_weights_it_says_what_to_fetch(tmp_path, monkeypatch, architecture):
    official = VGG_WEIGHTS[architecture]
    assert official.name.endswith(f"-{official.sha256[:8]}.pth")
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(
        VGG_WEIGHTS, architecture, WeightFile(official.name, NOWHERE, official.sha256)
    )
    with pytest.raises(MissingWeightsError, match=official.sha256):
        VGGFeatures(architecture, ("relu1_1",))
