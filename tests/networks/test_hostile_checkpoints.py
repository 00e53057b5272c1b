"""Checkpoints that lie, burst or are damaged: one line, before any memory is taken."""

import pickle
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.masks.silhouettes import read_silhouettes
from lab.networks import (
    InpaintSANet,
    UnreadableCheckpointError,
    checkpoint_epoch,
    describe_network,
    load_network,
    load_u2net,
    load_upscaler,
    load_with_settings,
    read_checkpoint,
)
from lab.networks.tensorflow_graph import read_tensorflow_constants
from tests.networks.tensorflow_graphs import message, varint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def content():
    return describe_network(InpaintSANet(width=8), epoch=3, settings="")


def saved(folder, content):
    path = folder / "network.pt"
    torch.save(content, path)
    return path


def taken(call):
    """Kilobytes by which the process's peak grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


def refused(path, reason, read=load_network):
    def call():
        with pytest.raises(UnreadableCheckpointError, match=reason) as error:
            read(path)
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 1000

    assert taken(call) < 100_000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"width": 500}, "has the shape|are missing"),
        ({"width": 10**9}, "at most 4096 is built"),
        ({"width": float("inf")}, "at most 4096 is built"),
        ({"width": float("nan")}, "at most 4096 is built"),
        ({"width": -(10**9)}, "at most 4096 is built"),
        ({"width": [8]}, "do not fit"),
        ({"width": {"a": 8}}, "no text or number"),
        ({"width": [[8]]}, "no text or number"),
        ({"width": [10**9]}, "at most 4096 is built"),
        ({"width": [1] * 100}, "has 100 values"),
        ({8: 8}, "no text or number"),
        ([8], "are a list"),
    ],
)
def test_a_kilobyte_that_asks_for_gigabytes_is_refused(tmp_path, content, arguments, reason):
    few = {"a": torch.zeros(1)}
    path = saved(tmp_path, {**content, "arguments": arguments, "state": few})
    assert path.stat().st_size < 5000
    refused(path, reason)


@pytest.mark.parametrize("recurrences", [10**6, 4096])
def test_many_layers_are_refused_or_planned_in_a_moment(tmp_path, content, recurrences):
    arguments = {"width": 8, "recurrences": recurrences}
    refused(
        saved(tmp_path, {**content, "network": "RFR", "arguments": arguments}), "do not fit|fit"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_of_a_training_that_failed_are_refused(tmp_path, content, value):
    state = {name: tensor.clone() for name, tensor in content["state"].items()}
    name = [key for key, tensor in state.items() if tensor.is_floating_point()][-1]
    state[name].view(-1)[-1] = value
    reason = f"{name.replace('.', '[.]')} holds values that are NaN or infinite"
    refused(saved(tmp_path, {**content, "state": state}), reason)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"state": {1: torch.zeros(1)}}, "a tensor is called 1"),
        ({"state": [torch.zeros(1)]}, "its state is a list"),
        ({"state": None}, "its state is a NoneType"),
        ({"epoch": None}, "its epoch is None"),
        ({"epoch": "3"}, "its epoch is '3'"),
        ({"epoch": -1}, "its epoch is -1"),
        ({"epoch": 10**9}, "its epoch is"),
        ({"network": 5}, "no network is called '5'"),
    ],
)
def test_damaged_content_is_refused(tmp_path, content, changed, reason):
    refused(saved(tmp_path, {**content, **changed}), reason)


def test_without_its_epoch_there_is_no_telling_which_it_is(tmp_path, content):
    path = saved(tmp_path, {name: value for name, value in content.items() if name != "epoch"})
    refused(path, "its epoch is None", checkpoint_epoch)
    refused(path, "its epoch is None", load_with_settings)


def test_settings_come_with_the_network(tmp_path, content):
    path = saved(tmp_path, {**content, "settings": "fit: {}"})
    assert load_with_settings(path)[1] == "fit: {}"


@pytest.mark.parametrize("content", [{1: torch.zeros(1)}, {("a", 1): 2}, [1], torch.zeros(1)])
@pytest.mark.parametrize("read", [load_network, checkpoint_epoch, load_u2net, load_upscaler])
def test_keys_that_are_no_names_are_refused(tmp_path, content, read):
    refused(saved(tmp_path, content), "dictionary of named tensors", read)


def test_a_value_that_stands_for_a_million_is_refused(tmp_path, content):
    large = torch.zeros(1).expand(10_000, 100_000)
    refused(saved(tmp_path, {"a": large}), "claim 4000000000 bytes, but the file has")
    # Two that share their values are what networks have.
    weight = torch.zeros(1000, 1000)
    assert set(read_checkpoint(saved(tmp_path, {"a": weight, "b": weight}))) == {"a", "b"}


def test_tensors_without_content_are_refused(tmp_path):
    sparse = torch.sparse_coo_tensor(torch.zeros(1, 1).long(), torch.ones(1), (10**10,))
    refused(saved(tmp_path, {"a": sparse}), "of the kind torch.sparse_coo|cannot be loaded")
    refused(saved(tmp_path, {"a": torch.zeros(10**6, device="meta")}), "on meta|cannot be loaded")


def test_an_archive_that_unpacks_to_more_is_refused(tmp_path):
    path, packed = saved(tmp_path, {"a": torch.zeros(10**7)}), tmp_path / "packed.pt"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(packed, "w", 8) as small:
        for entry in whole.infolist():
            small.writestr(entry.filename, whole.read(entry))
    assert packed.stat().st_size < 100_000
    refused(packed, "unpacks to")


class _Bytes:
    def __reduce__(self):
        return bytearray, (8 * 10**9,)


@pytest.mark.parametrize("as_zip", [True, False])
def test_bytes_are_not_made(tmp_path, as_zip):
    path = tmp_path / "bytes.pt"
    torch.save({"a": _Bytes()}, path, _use_new_zipfile_serialization=as_zip)
    refused(path, "it holds bytes")


def test_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "was_run",)

    for name, save in (("a.pt", torch.save), ("b.pt", lambda x, p: p.write_bytes(pickle.dumps(x)))):
        save({"a": Evil()}, tmp_path / name)
        refused(tmp_path / name, "cannot be loaded")
    assert not (tmp_path / "was_run").exists()


def test_names_of_tensors_do_nothing_to_a_terminal(tmp_path, content):
    refused(saved(tmp_path, {**content, "state": {"\x1b[2J": torch.zeros(1)}}), r"\\x1b\[2J")
    refused(saved(tmp_path, {"\x1b[2J": torch.zeros(1)}), r"begins with: \\x1b\[2J")


def test_a_network_is_built_once_and_gets_copies(tmp_path, content):
    path = saved(tmp_path, content)
    network = load_network(path)
    loaded = network.state_dict()
    assert all(torch.equal(loaded[name], content["state"][name]) for name in content["state"])
    assert not network.training
    # What is shared with the file's tensors would change with them.
    first = next(iter(network.parameters()))
    assert first.is_contiguous()
    assert first.untyped_storage().nbytes() == first.numel() * first.element_size()


def test_a_graph_of_a_few_bytes_that_claims_a_billion_values_is_refused(tmp_path):
    def claims(*sizes):
        shape = message(*((2, message((1, size))) for size in sizes))
        tensor = message((1, 1), (2, shape)) + varint(5 << 3 | 5) + b"\0\0\0\0"
        kind = message((1, b"value"), (2, message((8, tensor))))
        node = message((1, b"f1"), (2, b"Const"), (5, kind))
        return message((1, node))

    path = tmp_path / "graph.pb"
    for sizes in ((800_000_000,), (2**32, 2**32), (2**16, 2**16, 2**16, 2**16)):
        path.write_bytes(claims(*sizes))
        assert path.stat().st_size < 70
        refused(path, "claim more than", read_tensorflow_constants)
    # Many small ones together.
    path.write_bytes(claims(3_000_000) * 5)
    refused(path, "claim more than", read_tensorflow_constants)


def test_a_graph_that_is_too_large_is_refused(tmp_path):
    path = tmp_path / "graph.pb"
    with path.open("wb") as file:
        file.truncate(2**35)
    refused(path, "at most", read_tensorflow_constants)


def test_loading_takes_no_more_than_the_network_twice(tmp_path):
    """In a process of its own, of which the peak is known."""
    network = InpaintSANet(width=48)
    size = sum(p.numel() for p in network.parameters()) * 4 // 1024
    path = saved(tmp_path, describe_network(network, 1, ""))
    script = (
        "import resource, sys; from lab.networks import load_network\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak(); load_network(sys.argv[1]); print(peak() - before)"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, path],
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(said.stdout) < 2.5 * size + 40_000


def test_a_library_of_silhouettes_that_bursts_is_refused(tmp_path):
    path = tmp_path / "people.npz"
    cases = {
        "unpacks": {"sizes": np.ones((1, 2), np.int64), "bits": np.zeros(10**8, np.uint8)},
        "no library": {"sizes": np.full((1, 2), 2**31), "bits": np.zeros(1, np.uint8)},
    }
    for reason, arrays in cases.items():
        np.savez_compressed(path, **arrays)

        def call(reason=reason):
            with pytest.raises(ValueError, match=reason):
                read_silhouettes(path)

        assert taken(call) < 50_000
