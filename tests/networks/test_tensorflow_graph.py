"""The reader of frozen graphs: every constant exactly, and a clear error for anything else."""

import numpy as np
import pytest
import torch

from lab.networks import UnreadableCheckpointError
from lab.networks.tensorflow_graph import read_tensorflow_constants
from tests.networks.tensorflow_graphs import constant, graph, message


def test_every_constant_is_read_by_its_name(tmp_path):
    rng = np.random.default_rng(0)
    constants = {
        "f1": rng.standard_normal((3, 3, 2, 70)).astype(np.float32),
        "b1": rng.standard_normal(70).astype(np.float32),
        "scalar": np.float32(0.5),
    }
    (tmp_path / "graph.pb").write_bytes(graph(constants))
    found = read_tensorflow_constants(tmp_path / "graph.pb")
    assert found.keys() == constants.keys()
    for name, values in constants.items():
        assert found[name].dtype == torch.float32
        assert np.array_equal(found[name].numpy(), values)


def test_a_repeated_value_may_stand_once(tmp_path):
    node = constant("bias", np.full(4, 0.25), as_list=True)
    (tmp_path / "graph.pb").write_bytes(message((1, node)))
    assert read_tensorflow_constants(tmp_path / "graph.pb")["bias"].tolist() == [0.25] * 4


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, share):
    whole = graph({"f1": np.ones((5, 5, 1, 8))})
    (tmp_path / "cut.pb").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UnreadableCheckpointError, match=r"cut\.pb"):
        read_tensorflow_constants(tmp_path / "cut.pb")


def test_a_shape_that_its_values_do_not_fill_is_refused(tmp_path):
    node = constant("f1", np.ones(6)).replace(message((1, 6)), message((1, 7)))
    (tmp_path / "odd.pb").write_bytes(message((1, node)))
    with pytest.raises(UnreadableCheckpointError, match=r"odd\.pb.*no frozen TensorFlow graph"):
        read_tensorflow_constants(tmp_path / "odd.pb")


def test_any_bytes_are_refused_by_one_error(tmp_path):
    path = tmp_path / "noise.pb"
    rng = np.random.default_rng(0)
    whole = bytearray(graph({"f1": np.ones((2, 2, 1, 3)), "b1": np.ones(3)}))
    refused = 0
    for attempt in range(300):
        if attempt % 2:
            content = rng.bytes(200)
        else:  # one byte of a graph is another
            content = whole.copy()
            content[rng.integers(len(content))] = rng.integers(256)
        path.write_bytes(bytes(content))
        try:
            read_tensorflow_constants(path)
        except UnreadableCheckpointError:
            refused += 1
    assert refused > 150


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>", message((4, b""))])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "page.pb").write_bytes(content)
    with pytest.raises(UnreadableCheckpointError, match=r"page\.pb"):
        read_tensorflow_constants(tmp_path / "page.pb")


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pb"):
        read_tensorflow_constants(tmp_path / "absent.pb")
