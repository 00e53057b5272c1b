"""Weight files: found, downloaded and verified, and read without running code."""

import collections
import hashlib
import http.client
import http.server
import multiprocessing
import os
import pickle
import sys
import threading
import types
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lab.networks import (
    MissingWeightsError,
    UnreadableCheckpointError,
    WeightFile,
    WrongHashError,
    locate_or_download,
    read_checkpoint,
    tensors_sha256,
    weight_files,
    write_checkpoint,
)
from lab.networks.weight_files import Excerpt

CONTENT = b"published weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
# The port "discard", where nothing listens: refused at once, without leaving the machine.
NOWHERE = "https://127.0.0.1:9/weights.pth"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``/weights.pth`` whole, ``/cut.pth`` without its second half, and nothing else.

    ``/both.pth`` goes out in halves: each only when two downloads have come as far. ``/moved.pth``
    redirects to plain http.
    """

    half_way = threading.Barrier(2, timeout=20)

    def do_GET(self):
        if self.path == "/moved.pth":
            self.send_response(302)
            self.send_header("Location", f"http://{self.headers['Host']}/weights.pth")
            self.end_headers()
            return
        if self.path not in ("/weights.pth", "/cut.pth", "/both.pth"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        for half in (CONTENT[: len(CONTENT) // 2], CONTENT[len(CONTENT) // 2 :]):
            if self.path == "/both.pth":
                self.half_way.wait()
            self.wfile.write(half)
            if self.path == "/cut.pth":
                return

    def log_message(self, *arguments):
        pass


class _WithoutEncryption(urllib.request.HTTPSHandler):
    """Speaks http to https addresses: there is no certificate for this machine."""

    def https_open(self, req):
        return self.do_open(http.client.HTTPConnection, req)


@pytest.fixture
def server(monkeypatch) -> Iterator[str]:
    opener = urllib.request.build_opener(_WithoutEncryption, weight_files._OnlyToHttps)
    monkeypatch.setattr(weight_files, "_opener", opener)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return folder


def test_a_file_in_the_cache_is_used_without_network(cache):
    cache.mkdir()
    (cache / "weights.pth").write_bytes(CONTENT)
    found = locate_or_download(WeightFile("weights.pth", NOWHERE, SHA256))
    assert found == cache / "weights.pth"


def test_a_file_of_torch_hub_is_used_where_it_lies(cache, tmp_path):
    hub = tmp_path / "torch" / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    (hub / "weights.pth").write_bytes(CONTENT)
    assert locate_or_download(WeightFile("weights.pth", NOWHERE, SHA256)) == hub / "weights.pth"
    assert not cache.exists()


def test_without_the_variable_the_cache_lies_in_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv("BACKGROUND_INPAINTING_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".cache" / "background-inpainting" / "weights"
    folder.mkdir(parents=True)
    (folder / "weights.pth").write_bytes(CONTENT)
    found = locate_or_download(WeightFile("weights.pth", NOWHERE, SHA256))
    assert found == folder / "weights.pth"


def test_a_wrong_file_in_the_cache_is_refused_and_kept(cache):
    cache.mkdir()
    (cache / "weights.pth").write_bytes(b"other")
    with pytest.raises(WrongHashError) as caught:
        locate_or_download(WeightFile("weights.pth", NOWHERE, SHA256))
    assert SHA256 in str(caught.value)
    assert hashlib.sha256(b"other").hexdigest() in str(caught.value)
    assert (cache / "weights.pth").read_bytes() == b"other"


def test_a_download_is_verified_and_kept(cache, server):
    found = locate_or_download(WeightFile("weights.pth", f"{server}/weights.pth", SHA256))
    assert found.read_bytes() == CONTENT
    assert os.listdir(cache) == ["weights.pth"]
    # The second time nothing is asked for: this address refuses.
    assert locate_or_download(WeightFile("weights.pth", NOWHERE, SHA256)) == found


def test_two_processes_may_download_the_same_file_at_once(cache, server):
    entry = WeightFile("weights.pth", f"{server}/both.pth", SHA256)
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=locate_or_download, args=(entry,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (cache / "weights.pth").read_bytes() == CONTENT
    assert os.listdir(cache) == ["weights.pth"]


def test_a_download_of_another_file_is_refused_and_leaves_nothing(cache, server):
    wrong = "0" * 64
    with pytest.raises(WrongHashError) as caught:
        locate_or_download(WeightFile("weights.pth", f"{server}/weights.pth", wrong))
    assert SHA256 in str(caught.value)
    assert wrong in str(caught.value)
    assert os.listdir(cache) == []


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("cut.pth", "after 8500 of 17000 bytes"),
        ("gone.pth", "404"),
        ("moved.pth", "redirected to 'http://.*not https"),
    ],
)
def test_a_download_that_fails_says_why_and_leaves_nothing(cache, server, page, reason):
    with pytest.raises(MissingWeightsError, match=reason):
        locate_or_download(WeightFile("weights.pth", f"{server}/{page}", SHA256))
    assert os.listdir(cache) == []


def test_a_download_that_does_not_end_is_given_up(cache, server, monkeypatch):
    monkeypatch.setattr(weight_files, "LARGEST_DOWNLOAD", 1000)
    with pytest.raises(MissingWeightsError, match="larger than 1000 bytes"):
        locate_or_download(WeightFile("weights.pth", f"{server}/weights.pth", SHA256))
    assert os.listdir(cache) == []


def test_missing_weights_say_what_to_fetch_and_where_to_put_it(cache):
    with pytest.raises(MissingWeightsError) as caught:
        locate_or_download(WeightFile("weights.pth", NOWHERE, SHA256))
    for part in ("weights.pth", NOWHERE, SHA256, str(cache / "weights.pth"), "refused"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("name", "address", "sha256", "rule"),
    [
        ("folder/w.pth", NOWHERE, SHA256, "plain file name"),
        ("w.pth", "file:///etc/passwd", SHA256, "https://"),
        ("w.pth", "http://127.0.0.1:9/w.pth", SHA256, "https://"),
        ("w.pth", NOWHERE, SHA256[:8], "all 64"),
        ("w.pth", NOWHERE, SHA256.upper(), "lower-case"),
    ],
)
def test_a_weight_file_states_its_rules(name, address, sha256, rule):
    with pytest.raises(ValueError, match=rule):
        WeightFile(name, address, sha256)


@pytest.mark.parametrize("new_format", [True, False])
def test_a_checkpoint_comes_back(tmp_path, new_format):
    saved = {"epoch": 3, "state_dict": {"weight": torch.arange(4.0)}}
    torch.save(saved, tmp_path / "w.pth", _use_new_zipfile_serialization=new_format)
    read = read_checkpoint(tmp_path / "w.pth")
    assert read["epoch"] == 3
    torch.testing.assert_close(read["state_dict"]["weight"], torch.arange(4.0))


@pytest.mark.parametrize(("protocol", "is_read"), [(3, True), (4, False)])
def test_of_another_protocol_of_pickle_torch_says_nothing(tmp_path, protocol, is_read):
    """What it can read is read, else the error says so; other warnings are not kept back."""
    path = tmp_path / "w.pth"
    torch.save({"weight": torch.arange(4.0), "epoch": 3}, path, pickle_protocol=protocol)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        if is_read:
            assert torch.equal(read_checkpoint(path)["weight"], torch.arange(4.0))
        else:
            with pytest.raises(UnreadableCheckpointError, match=r"w\.pth"):
                read_checkpoint(path)
        warnings.warn("another", UserWarning, stacklevel=1)
    assert [str(one.message) for one in warned] == ["another"]


class _RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["new", "old", "pickle"])
def test_a_checkpoint_that_runs_code_is_refused(tmp_path, how):
    traces, path = tmp_path / "traces", tmp_path / "w.pth"
    if how == "pickle":
        path.write_bytes(pickle.dumps({"a": _RunsCode(traces)}, protocol=2))
    else:
        torch.save({"a": _RunsCode(traces)}, path, _use_new_zipfile_serialization=how == "new")
    with pytest.raises(UnreadableCheckpointError, match=r"w\.pth"):
        read_checkpoint(path)
    assert not traces.exists()


@pytest.fixture
def settings_class(monkeypatch):
    """A class of a package that is not installed where the file is read, and its module's name."""
    module = types.ModuleType("omegaconf.dictconfig")

    class DictConfig:
        def __setstate__(self, state):
            raise AssertionError("the class of the file has been called")

    DictConfig.__module__, DictConfig.__qualname__ = module.__name__, "DictConfig"
    module.DictConfig = DictConfig
    monkeypatch.setitem(sys.modules, "omegaconf", types.ModuleType("omegaconf"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return DictConfig


def test_settings_and_callbacks_of_other_trainers_are_read_as_nothing(tmp_path, settings_class):
    settings = settings_class()
    settings.content = {"kind": int, "cache": collections.defaultdict(dict, {"a": {"b": 1}})}
    content = {
        "state_dict": {"weight": torch.arange(4.0)},
        "hyper_parameters": settings,
        "callbacks": {settings_class: {"best_model_score": torch.ones(1)}},
    }
    torch.save(content, tmp_path / "best.ckpt")
    read = read_checkpoint(tmp_path / "best.ckpt")
    assert torch.equal(read["state_dict"]["weight"], torch.arange(4.0))
    assert not isinstance(read["hyper_parameters"], settings_class)
    assert not vars(read["hyper_parameters"])


def test_settings_open_no_way_for_code_beside_them(tmp_path, settings_class):
    traces, allowed = tmp_path / "traces", set(torch.serialization.get_safe_globals())
    settings = settings_class()
    settings.content = _RunsCode(traces)
    torch.save({"hyper_parameters": settings}, tmp_path / "best.ckpt")
    with pytest.raises(UnreadableCheckpointError, match=r"best\.ckpt.*tensors and plain values"):
        read_checkpoint(tmp_path / "best.ckpt")
    assert not traces.exists()
    # Nor is what was let through for one file let through for the next.
    assert set(torch.serialization.get_safe_globals()) == allowed


def test_the_error_survives_the_way_out_of_a_worker(tmp_path):
    error = UnreadableCheckpointError(tmp_path / "w.pth", "a reason")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_pickled_network_is_refused_by_name(tmp_path):
    torch.save({"network": torch.nn.Linear(1, 1)}, tmp_path / "w.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"modules\.linear\.Linear.*state_dict"):
        read_checkpoint(tmp_path / "w.pth")


@pytest.mark.parametrize("size", [0, 10, 20_000])
@pytest.mark.parametrize("new_format", [True, False])
def test_a_truncated_checkpoint_is_refused(tmp_path, size, new_format):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(100, 100)}, path, _use_new_zipfile_serialization=new_format)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(UnreadableCheckpointError, match=r"cannot be loaded: .*again"):
        read_checkpoint(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "page.pth").write_text("<html>404: not found</html>")
    with pytest.raises(UnreadableCheckpointError, match=r"not what torch\.save writes"):
        read_checkpoint(tmp_path / "page.pth")
    torch.save(torch.zeros(2), tmp_path / "tensor.pth")
    with pytest.raises(UnreadableCheckpointError, match="holds a Tensor"):
        read_checkpoint(tmp_path / "tensor.pth")
    with pytest.raises(FileNotFoundError, match=r"absent\.pth"):
        read_checkpoint(tmp_path / "absent.pth")


def test_an_excerpt_in_the_cache_stands_for_the_file(cache):
    tensors = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor([1], dtype=torch.int64)}
    excerpt = Excerpt("part.pth", tensors_sha256(tensors))
    published = WeightFile("weights.pth", NOWHERE, SHA256, excerpt)
    # Whatever file they lie in, and in whichever order.
    write_checkpoint(cache / "part.pth", dict(reversed(tensors.items())))
    assert locate_or_download(published) == cache / "part.pth"
    (cache / "weights.pth").write_bytes(CONTENT)
    assert locate_or_download(published) == cache / "weights.pth", "the whole file comes first"


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": torch.tensor([1.0, 3.0])},
        {"a": torch.tensor([[1.0, 2.0]])},
        {"a": torch.tensor([1.0, 2.0], dtype=torch.float64)},
        {"b": torch.tensor([1.0, 2.0])},
        {"a": torch.tensor([1.0, 2.0]), "b": torch.zeros(1)},
    ],
)
def test_an_excerpt_of_other_tensors_is_refused(cache, tensors):
    right = tensors_sha256({"a": torch.tensor([1.0, 2.0])})
    write_checkpoint(cache / "part.pth", tensors)
    with pytest.raises(WrongHashError, match="not the expected ones: delete it"):
        locate_or_download(WeightFile("w.pth", NOWHERE, SHA256, Excerpt("part.pth", right)))


def test_an_excerpt_of_what_are_no_tensors_is_refused(cache):
    write_checkpoint(cache / "part.pth", {"a": 1})
    with pytest.raises(UnreadableCheckpointError, match="a is no tensor"):
        locate_or_download(WeightFile("w.pth", NOWHERE, SHA256, Excerpt("part.pth", "0" * 64)))
