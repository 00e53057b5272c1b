"""What every mask source promises, over the table of them all.

The weights of U²-Net are not here: both of its rows load a network with drawn weights, written in
the published layout.
"""

import hashlib

import pytest
import torch

from lab.imaging import to_uint8
from lab.mask_sources import MASK_SOURCES, MaskSource, NoPersonError, PersonSegmentation
from lab.networks import U2NET_WEIGHTS, U2Net, WeightFile
from tests.networks.published_u2net import published_names

BOX = (12, 8, 20, 40)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A small U²-Net, saved under both published names."""
    folder = tmp_path_factory.mktemp("cache")
    torch.manual_seed(0)
    network = U2Net("small").eval()
    torch.nn.init.constant_(network.fusion.bias, 1.0)  # sure of something, whatever it is
    for name in ("u2net", "u2netp"):
        torch.save(published_names(network), folder / f"{name}.pth")
    return folder


@pytest.fixture(params=MASK_SOURCES)
def source(request, weights, monkeypatch):
    if request.param == "grabcut":
        return MASK_SOURCES["grabcut"](box=BOX)
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(weights))
    for name in ("u2net", "u2netp"):
        sha256 = hashlib.sha256((weights / f"{name}.pth").read_bytes()).hexdigest()
        entry = WeightFile(f"{name}.pth", "https://127.0.0.1:9/none", sha256)
        monkeypatch.setitem(U2NET_WEIGHTS, name, entry)
    return MASK_SOURCES[request.param](threshold=0.5)


def photo(height=64, width=48):
    """Somebody red, in the box, before a greenish wall."""
    image = 0.2 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    image[:, 1] += 0.5
    image[..., 12:44, 16:28] += torch.tensor([0.6, -0.4, 0.0]).reshape(1, 3, 1, 1)
    return image.clamp(0.0, 1.0)


@pytest.mark.parametrize("size", [(64, 48), (51, 97), (700, 500)])
def test_a_photo_of_any_size_gets_a_mask_of_its_size(source, size):
    image = photo(*size)
    mask = source(image)
    assert isinstance(source, MaskSource)
    assert mask.shape == (1, 1, *size)
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert not mask.requires_grad


def test_the_same_photo_gets_the_same_mask_and_stays_as_it_was(source):
    image = photo()
    before = image.clone()
    masks = [source(image) for _ in range(3)]
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])
    assert torch.equal(image, before)


def test_a_photo_without_anything_in_it_is_refused(source):
    if isinstance(source, PersonSegmentation):
        # In place of a trained network, which would say so of a gray photo.
        torch.nn.init.zeros_(source.segmenter.fusion.weight)
        torch.nn.init.constant_(source.segmenter.fusion.bias, -2.0)
    with pytest.raises(NoPersonError, match="no person was found"):
        source(torch.full((1, 3, 64, 48), 0.5))


def test_inputs_that_break_the_conventions_are_refused(source):
    image = photo()
    with pytest.raises(ValueError, match="image has values"):
        source(255 * image)
    with pytest.raises(TypeError, match="uint8"):
        source(torch.from_numpy(to_uint8(image)))
    with pytest.raises(ValueError, match="holds 2 photos"):
        source(image.repeat(2, 1, 1, 1))
