"""U²-Net is the published network in both sizes, and segments whole photos."""

import hashlib

import pytest
import torch

from lab.networks import (
    U2NET_WEIGHTS,
    MissingWeightsError,
    U2Net,
    UnreadableCheckpointError,
    WeightFile,
    load_u2net,
)
from tests.networks.published_u2net import published_names
from tests.parity import TOLERANCE, published, relative_error

NOWHERE = "https://127.0.0.1:9/weights.pth"


@pytest.mark.parametrize(("name", "size"), [("u2net", "full"), ("u2netp", "small")])
@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path, name, size):
    tensors, state = published(name)
    torch.save(state, tmp_path / "published.pth")
    network = load_u2net(tmp_path / "published.pth")
    assert network.size == size
    maps = network.saliency_maps(tensors["in_image"])
    assert len(maps) == 7
    assert relative_error(maps[0], tensors["out_saliency"]) <= TOLERANCE
    assert relative_error(maps[6], tensors["out_side6"]) <= TOLERANCE


@pytest.fixture(scope="module")
def small():
    """The small network with drawn weights, at a side that is quick."""
    torch.manual_seed(0)
    return U2Net("small", side=64).eval()


def photos(height=45, width=61):
    image = 0.5 * torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))
    image[..., 10:30, 20:40] += 0.5
    return image


@pytest.mark.parametrize("size", [(45, 61), (1, 1), (7, 300)])
@torch.no_grad()
def test_any_photo_gets_a_probability_a_pixel(small, size):
    probability = small(photos(*size))
    assert probability.shape == (2, 1, *size)
    assert probability.dtype == torch.float32
    assert 0 <= probability.min() <= probability.max() <= 1


@torch.no_grad()
def test_each_photo_is_on_its_own_and_its_brightness_is_not_seen(small):
    image = photos()
    together = small(image)
    torch.testing.assert_close(together[1:], small(image[1:]), rtol=0, atol=1e-4)
    darker = torch.cat([image[:1], 0.25 * image[1:]])
    torch.testing.assert_close(together, small(darker), rtol=0, atol=1e-3)


@torch.no_grad()
def test_stretching_is_of_the_probabilities_to_0_and_1(small):
    plain = U2Net("small", side=64, stretch=False).eval()
    plain.load_state_dict(small.state_dict())
    image = photos(64, 64)  # the network's own size: nothing is resized
    raw, stretched = plain(image), small(image)
    low, high = raw.amin((1, 2, 3), keepdim=True), raw.amax((1, 2, 3), keepdim=True)
    torch.testing.assert_close(stretched, (raw - low) / (high - low))
    assert raw.min() > 0.01
    # A black photo divides by no brightness.
    assert small(torch.zeros(1, 3, 40, 40)).isfinite().all()


def test_a_gradient_reaches_every_parameter():
    torch.manual_seed(0)
    network = U2Net("small", side=64)
    sum(m.mean() for m in network.saliency_maps(torch.randn(2, 3, 64, 64))).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@torch.no_grad()
def test_a_named_file_is_found_in_the_cache(small, tmp_path, monkeypatch):
    path = tmp_path / "u2netp.pth"
    torch.save(published_names(small), path)
    entry = WeightFile("u2netp.pth", NOWHERE, hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path))
    monkeypatch.setitem(U2NET_WEIGHTS, "u2netp", entry)
    loaded = load_u2net("u2netp", side=64)
    assert not loaded.training
    assert torch.equal(loaded(photos()), small(photos()))


def test_a_file_that_is_nowhere_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setitem(U2NET_WEIGHTS, "u2net", WeightFile("u2net.pth", NOWHERE, "0" * 64))
    with pytest.raises(
        MissingWeightsError, match=r"u2net\.pth .* cannot be downloaded.* put it at"
    ):
        load_u2net("u2net")
    with pytest.raises(FileNotFoundError, match=r"no file u2netq.*Did you mean 'u2net'"):
        load_u2net("u2netq")


def test_every_published_file_has_its_whole_hash():
    assert U2NET_WEIGHTS.keys() == {"u2net", "u2netp", "u2net_human_seg"}
    assert all(len(entry.sha256) == 64 for entry in U2NET_WEIGHTS.values())
    assert all(entry.address.startswith("https://") for entry in U2NET_WEIGHTS.values())


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"weight": torch.zeros(1)},
        {"stage1.rebnconv1.conv_s1.weight": torch.zeros(16, 64, 3, 3)},
        {"stage7.rebnconv1.conv_s1.weight": torch.zeros(16, 64, 3, 3)},
    ],
)
def test_another_checkpoint_is_refused(tmp_path, state):
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"other\.pth.*(not U2Net's|not fit U2Net)"):
        load_u2net(tmp_path / "other.pth")


def test_it_states_its_rules(small):
    with pytest.raises(ValueError, match=r"no size of U2Net .* Did you mean 'small'"):
        U2Net("smal")
    with pytest.raises(ValueError, match="at least 32, not 16"):
        U2Net("small", side=16)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        small(255 * photos())
