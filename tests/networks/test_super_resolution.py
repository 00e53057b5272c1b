"""FSRCNN and ESPCN give OpenCV's numbers of the same files; colors and sizes are right."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lab.imaging import read_image
from lab.networks import (
    ESPCN,
    FSRCNN,
    UPSCALER_WEIGHTS,
    BicubicUpscaler,
    LumaUpscaler,
    UnreadableCheckpointError,
    WrongHashError,
    convert_upscaler,
    load_upscaler,
)
from tests.networks.tensorflow_graphs import graph
from tests.parity import shared

PUBLISHED = [f"{name}_x{scale}" for name in ("FSRCNN", "ESPCN") for scale in (2, 3, 4)]


def opencv_network(path):
    """OpenCV's own network of the graph.

    OpenCV 5.0 hands TensorFlow's ``block_size`` to a layer that asks for ``blocksize``, and fails;
    so that attribute is renamed, one byte shorter, with the lengths around it.
    """
    content = bytearray(path.read_bytes())
    content[content.index(b"\x0a\x0cDepthToSpace\x12") - 1] -= 1
    old, new = b"\x2a\x10\x0a\x0ablock_size", b"\x2a\x0f\x0a\x09blocksize"
    assert content.count(old) == 1
    return cv2.dnn.readNetFromTensorflow(np.frombuffer(content.replace(old, new), np.uint8))


def photo(height=40, width=56):
    """A photo-like image ``(1, 3, height, width)``: smooth, with edges, and saturated ends."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // 8, width // 8, generator=generator)
    image = F.interpolate(coarse, (height, width), mode="bicubic")
    image[..., 10:20, 10:30] = torch.tensor([0.9, 0.1, 0.4]).reshape(1, 3, 1, 1)
    return (1.4 * image - 0.2).clamp(0, 1)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("size", [(33, 47), (64, 64)])
@torch.no_grad()
def test_the_published_graph_answers_as_in_opencv(name, size):
    path = shared(f"data/superres/{name}.pb")
    luma = photo(64, 64)[:, :1, : size[0], : size[1]]
    network = opencv_network(path)
    network.setInput(luma.numpy().copy())
    ours = load_upscaler(path).network(luma).numpy()
    assert ours.shape == (1, 1, *(int(name[-1]) * side for side in size))
    np.testing.assert_allclose(ours, network.forward(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_color_is_as_the_authors_put_it_together(name):
    path = shared(f"data/superres/{name}.pb")
    image = photo()
    upscaler = load_upscaler(path)
    enlarge = {"dsize": None, "fx": upscaler.scale, "fy": upscaler.scale}
    planes = cv2.cvtColor(image[0].permute(1, 2, 0).numpy(), cv2.COLOR_RGB2YCrCb)
    network = opencv_network(path)
    network.setInput(cv2.dnn.blobFromImage(planes[..., 0].copy()))
    luma = network.forward()[0, 0].clip(0, 1)
    red, blue = (
        cv2.resize(planes[..., plane], interpolation=cv2.INTER_CUBIC, **enlarge) for plane in (1, 2)
    )
    expected = cv2.cvtColor(np.stack([luma, red, blue], axis=2), cv2.COLOR_YCrCb2RGB).clip(0, 1)
    ours = upscaler(image)[0].permute(1, 2, 0).numpy()
    # OpenCV's factors of YCrCb have three digits.
    np.testing.assert_allclose(ours, expected, rtol=0, atol=5e-4)


@pytest.mark.parametrize("name", PUBLISHED)
@torch.no_grad()
def test_a_published_network_beats_bicubic_on_photos_shrunk_as_in_its_training(name):
    upscaler = load_upscaler(shared(f"data/superres/{name}.pb"))
    scale = upscaler.scale
    gains = []
    for path in sorted(shared("data/photos/val").glob("*.jpg"))[:4]:
        truth = read_image(path)[None, :, : 240 // scale * scale, : 240 // scale * scale]
        small = F.interpolate(truth, scale_factor=1 / scale, mode="bicubic").clamp(0, 1)
        ours, plain = (
            (enlarge(small) - truth).square().mean()
            for enlarge in (upscaler, BicubicUpscaler(scale))
        )
        gains.append(float(10 * torch.log10(plain / ours)))
    assert min(gains) > 0, f"dB gained: {gains}"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_opencvs(scale):
    image = photo()
    planes = image[0].permute(1, 2, 0).numpy()
    expected = cv2.resize(planes, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    ours = BicubicUpscaler(scale)(image)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, expected.clip(0, 1), rtol=0, atol=1e-5)


def drawn_constants(name, scale):
    """The constants of a published graph, with drawn values: kernels (h, w, in, out), offsets."""
    rng = np.random.default_rng(0)
    if name == "FSRCNN":
        sizes = [(5, 1, 20), (1, 20, 6), (3, 6, 6), (3, 6, 6), (1, 6, 20), (1, 20, scale**2)]
    else:
        sizes = [(5, 1, 64), (3, 64, 32), (3, 32, scale**2)]
    constants = {}
    for number, (side, into, out) in enumerate(sizes, 1):
        spread = 1 / (side * into**0.5)
        constants[f"f{number}"] = spread * rng.standard_normal((side, side, into, out))
        last_of_fsrcnn = name == "FSRCNN" and number == len(sizes)
        constants[f"b{number}"] = 0.1 * rng.standard_normal(1 if last_of_fsrcnn else out)
        if name == "FSRCNN" and number < len(sizes):
            constants[f"alpha{number}"] = 0.3 * rng.standard_normal(out)
    return constants


@pytest.fixture(params=["FSRCNN", "ESPCN"])
def drawn_graph(request, tmp_path):
    path = tmp_path / f"{request.param}_x3.pb"
    path.write_bytes(graph(drawn_constants(request.param, 3)))
    return path


@torch.no_grad()
def test_a_graph_becomes_a_file_of_tensors_with_the_same_answers(drawn_graph, tmp_path):
    convert_upscaler(drawn_graph, tmp_path / "made" / "upscaler.pt")
    content = torch.load(tmp_path / "made" / "upscaler.pt", weights_only=True)
    assert content["network"] == drawn_graph.stem.partition("_")[0]
    upscaler = load_upscaler(tmp_path / "made" / "upscaler.pt")
    assert not upscaler.training
    assert upscaler.scale == 3
    image = photo(17, 30)
    answer = upscaler(image)
    assert torch.equal(answer, load_upscaler(drawn_graph)(image))
    assert answer.shape == (1, 3, 51, 90)
    assert 0 <= answer.min() < answer.max() <= 1


@torch.no_grad()
def test_colors_are_bicubic_and_only_luma_is_the_networks(drawn_graph):
    upscaler = load_upscaler(drawn_graph)
    gray = photo()[:, :1].expand(-1, 3, -1, -1)
    answer = upscaler(gray)
    torch.testing.assert_close(answer[:, :1].expand(-1, 3, -1, -1), answer)
    torch.testing.assert_close(answer[:, :1], upscaler.network(gray[:, :1]).clamp(0, 1))

    image = photo()
    answer, plain = upscaler(image), BicubicUpscaler(3)(image)
    free = ((answer > 0) & (answer < 1) & (plain > 0) & (plain < 1)).all(1)  # nothing is clamped
    assert free.sum() > 100
    for one, other in ((0, 1), (1, 2)):
        color, plain_color = answer[:, one] - answer[:, other], plain[:, one] - plain[:, other]
        torch.testing.assert_close(color[free], plain_color[free], rtol=0, atol=1e-5)


def test_both_networks_train():
    for network in (FSRCNN(2, width=8, shrunk=4, depth=2), ESPCN(4)):
        torch.manual_seed(0)
        luma = torch.rand(1, 1, 9, 12)
        network(luma).square().mean().backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_a_named_graph_is_found_in_the_cache_and_its_hash_looked_at(tmp_path, monkeypatch):
    assert set(UPSCALER_WEIGHTS) == {name.lower() for name in PUBLISHED}
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path))
    (tmp_path / "ESPCN_x2.pb").write_bytes(graph(drawn_constants("ESPCN", 2)))
    with pytest.raises(WrongHashError, match=r"ESPCN_x2\.pb"):
        load_upscaler("espcn_x2")
    content = shared("data/superres/ESPCN_x2.pb").read_bytes()
    (tmp_path / "ESPCN_x2.pb").write_bytes(content)
    assert load_upscaler("espcn_x2").scale == 2


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file fsrcn_x2.*Did you mean 'fsrcnn_x2'"):
        load_upscaler("fsrcn_x2")
    constants = drawn_constants("ESPCN", 3)
    for odd in (
        {"f1": constants["f1"]},
        {name: values for name, values in constants.items() if name != "b2"},
        {**constants, "f2": constants["f1"]},
        {**constants, "f3": constants["f3"][..., :5]},
    ):
        (tmp_path / "odd.pb").write_bytes(graph(odd))
        with pytest.raises(UnreadableCheckpointError, match=r"odd\.pb.*neither FSRCNN nor ESPCN"):
            convert_upscaler(tmp_path / "odd.pb", tmp_path / "odd.pt")
    assert not (tmp_path / "odd.pt").exists()

    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(UnreadableCheckpointError, match=r"no upscaler"):
        load_upscaler(tmp_path / "other.pt")
    (tmp_path / "good.pb").write_bytes(graph(constants))
    convert_upscaler(tmp_path / "good.pb", tmp_path / "good.pt")
    content = torch.load(tmp_path / "good.pt", weights_only=True)
    for change in ({"network": "os"}, {"arguments": {"scale": 5}}, {"state": {}}):
        torch.save({**content, **change}, tmp_path / "changed.pt")
        with pytest.raises(UnreadableCheckpointError, match=r"changed\.pt"):
            load_upscaler(tmp_path / "changed.pt")


@pytest.mark.parametrize("build", [FSRCNN, ESPCN, BicubicUpscaler])
def test_another_scale_is_refused(build):
    with pytest.raises(ValueError, match="2, 3 or 4, not 5"):
        build(5)


def test_an_image_that_breaks_the_conventions_is_refused():
    for upscaler in (BicubicUpscaler(2), LumaUpscaler(ESPCN(2))):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            upscaler(255 * photo())
