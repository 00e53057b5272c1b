"""Models that lie, are damaged or are of another kind: one line, before anything is computed."""

import resource

import onnx
import pytest
from onnx import TensorProto, helper

from lab.deployment import load_model
from lab.networks import UnreadableCheckpointError
from tests.networks.tensorflow_graphs import message


def refused(path, reason):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableCheckpointError, match=reason) as error:
        load_model(path)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_model_is_refused(exported, tmp_path, share):
    whole = (exported / "model.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path, "no ONNX file, or was cut short|another program's model")


@pytest.mark.parametrize("content", [b"\x89PNG\r\n" * 100, b"PK\3\4" + bytes(99), b"<html>" * 50])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    refused(path, "no ONNX file, or was cut short")


def test_many_small_parts_are_refused_before_they_are_built(tmp_path):
    path = tmp_path / "many.onnx"
    # Two bytes a node, which take a hundred as objects.
    path.write_bytes(message((7, b"\x0a\x00" * 10_000_000)))
    refused(path, "more than 1048576 parts")


def changed_input(model):
    model.graph.input[0].name = "picture"


def fixed_size(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 256


def no_answer(model):
    del model.graph.output[1]


def another_program(model):
    del model.metadata_props[:]


def elsewhere(model):
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def huge_claim(model):
    model.graph.initializer[0].dims[:] = [2**20, 2**20]


def endless(model):
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], ["x"], body=body))


def other_operations(model):
    model.graph.node.append(helper.make_node("Run", [], ["x"], domain="example.com"))


def unknown_operation(model):
    model.graph.node.append(helper.make_node("NoSuchThing", [], ["x"]))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed_input, "no input 'image'"),
        (fixed_size, r"its input image has the shape .*256.* any height and width"),
        (no_answer, "no outputs 'completed' and 'answer'"),
        (another_program, r"another program's model \(its inputs: image, mask\)"),
        (elsewhere, "lie in another file"),
        (huge_claim, "claims 1099511627776 values"),
        (endless, "holds a Loop, which may never end"),
        (other_operations, "operations of 'example.com'"),
        (unknown_operation, "onnxruntime cannot load it"),
    ],
)
def test_what_no_export_writes_is_refused(exported, tmp_path, change, reason):
    model = onnx.load(exported / "model.onnx")
    change(model)
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    refused(path, reason)
