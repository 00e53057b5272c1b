"""Exported models as files: what they say of themselves, and reading those that others made.

A model is one ONNX file without external data. Its inputs are called ``image``, ``mask``, ``fill``
and as the guides; its outputs are ``completed`` and ``answer``. Everything else that a reader needs
stands in its metadata, and for people in the description of each input and output.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from lab.formats.protocol_buffers import fields
from lab.guides import GUIDES
from lab.networks import UnreadableCheckpointError
from lab.untrusted import MEBIBYTE, printable, read_bytes

MODEL_FORMAT = "background-inpainting model 1"

LARGEST_MODEL = 1024 * MEBIBYTE
"""Bytes of a model's file; the largest network of the workbench has 280 MB."""

MOST_BESIDE_WEIGHTS = 16 * MEBIBYTE
"""Bytes of a model's file that are no weights. Some take a hundred times as much once read."""

MOST_FIELDS = 2**20
"""Nodes and tensors of a model, and the parts of these; networks have some thousand."""

IMAGE, MASK, FILL = "image", "mask", "fill"
COMPLETED, ANSWER = "completed", "answer"

DESCRIPTIONS = {
    IMAGE: "the photo: RGB in [0, 1]; what lies under the hole is not read",
    MASK: "exactly 0 or 1, 1 = hole",
    FILL: "the photo with its hole filled smoothly (lab.fills.across_fill): only the hole is read",
    COMPLETED: "the photo, its hole filled: known pixels as they were, the others in [0, 1]",
    ANSWER: "the network's whole image, around [0, 1], nothing pasted: what strategies build on",
    **{name: f"{guide.meaning}; shown: {guide.shown}" for name, guide in GUIDES.items()},
}
"""What the inputs and outputs hold, by their names: float32, (photo, channel, row, column)."""

_CHANNELS = {IMAGE: 3, MASK: 1, FILL: 3, **{name: each.channels for name, each in GUIDES.items()}}
_KEYS = ("format", "network", "precision", "settings")
_DOMAINS = ("", "ai.onnx", "com.microsoft")
_RAW_DATA, _INITIALIZER, _GRAPH = 9, 5, 7


@dataclass(frozen=True)
class ModelCard:
    """What a model says of itself.

    Attributes:
        network: the name of the network that it was made of.
        precision: of its convolutions: ``"float32"`` or ``"int8"``.
        settings: the YAML of the run whose checkpoint it was made of; empty for a published one.
        inputs: the names of what it is given.
        any_batch: whether it takes several photos at once.
    """

    network: str
    precision: str
    settings: str
    inputs: tuple[str, ...]
    any_batch: bool

    @property
    def guides(self) -> tuple[str, ...]:
        """The guides that it reads."""
        return tuple(name for name in self.inputs if name in GUIDES)


def channels(name: str) -> int:
    """How many planes an input has."""
    return _CHANNELS[name]


def write_card(model: onnx.ModelProto, card: ModelCard) -> None:
    """Have a model say what it is: in its metadata, and beside its inputs and outputs."""
    del model.metadata_props[:]
    entries = {
        "format": MODEL_FORMAT,
        "network": card.network,
        "precision": card.precision,
        "settings": card.settings,
    }
    for key, value in entries.items():
        model.metadata_props.add(key=key, value=value)
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = DESCRIPTIONS[value.name]


def read_model(path: Path | str) -> tuple[bytes, ModelCard]:
    """Read a model's file and check it, before anything of it is computed.

    Args:
        path: an ONNX file that ``lab.export`` wrote.

    Returns:
        tuple[bytes, ModelCard]: its content, for onnxruntime, and what it says of itself.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableCheckpointError: it is no model, cut short, of another program, or claims more
            than it holds.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no model at {printable(path)}")
    try:
        content = read_bytes(path, LARGEST_MODEL)
        _check_beside_weights(content)
        model = onnx.ModelProto.FromString(content)
    except (OSError, ValueError, DecodeError) as error:
        raise UnreadableCheckpointError(
            path,
            f"it is no ONNX file, or was cut short ({error}): export it again, by python -m "
            "lab.export",
        ) from error
    try:
        _check_tensors(model.graph)
        return content, _read_card(model)
    except ValueError as error:
        raise UnreadableCheckpointError(path, str(error)) from error


def _check_beside_weights(content: bytes) -> None:
    """Raise ``ValueError`` where parsing would take many times the memory of the file."""
    weights, met = 0, 0
    for number, graph in fields(content):
        if number != _GRAPH or isinstance(graph, int):
            continue
        for inner, tensor in fields(graph):
            met += 1
            if inner == _INITIALIZER and not isinstance(tensor, int):
                for part, data in fields(tensor):
                    met += 1
                    # The one field that is as long in memory as in the file.
                    if part == _RAW_DATA and not isinstance(data, int):
                        weights += len(data)
            if met > MOST_FIELDS:
                raise ValueError(f"it has more than {MOST_FIELDS} parts")
    beside = len(content) - weights
    if beside > MOST_BESIDE_WEIGHTS:
        raise ValueError(f"{beside} bytes are no weights, and at most {MOST_BESIDE_WEIGHTS} are")


def _check_tensors(graph: onnx.GraphProto) -> None:
    """Raise ``ValueError`` for what an exported network never has."""
    if graph.sparse_initializer:
        raise ValueError("it holds sparse weights")
    tensors = list(graph.initializer)
    for node in graph.node:
        if node.domain not in _DOMAINS:
            raise ValueError(f"it asks for operations of {printable(node.domain)!r}")
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise ValueError(
                    f"it holds a {printable(node.op_type)}, which may never end: networks that "
                    "python -m lab.export writes have none"
                )
            if attribute.HasField("t"):
                tensors.append(attribute.t)
            tensors += attribute.tensors
    for tensor in tensors:
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError(f"the weights {printable(tensor.name)!r} lie in another file")
        count, lists = (
            math.prod(tensor.dims),
            (tensor.float_data, tensor.int32_data, tensor.int64_data),
        )
        # Two to a byte is the most that a type has.
        held = 2 * len(tensor.raw_data) + sum(map(len, lists))
        if min(tensor.dims, default=0) < 0 or count > held:
            raise ValueError(
                f"{printable(tensor.name)!r} claims {count} values, and the file has not so many"
            )


def _read_card(model: onnx.ModelProto) -> ModelCard:
    said = {entry.key: entry.value for entry in model.metadata_props}
    inputs = {value.name: _shape(value) for value in model.graph.input}
    outputs = {value.name for value in model.graph.output}
    if said.get("format") != MODEL_FORMAT or not all(key in said for key in _KEYS):
        found = ", ".join(map(printable, list(inputs)[:4])) or "none"
        raise ValueError(
            f"it is another program's model (its inputs: {found}): write one of a checkpoint by "
            "python -m lab.export"
        )
    for name in (IMAGE, MASK):
        if name not in inputs:
            raise ValueError(f"it has no input {name!r}: export it again")
    for name, shape in inputs.items():
        if name not in _CHANNELS:
            raise ValueError(f"it asks for an input {printable(name)!r}, and there is none")
        if shape is None or shape[1] != channels(name) or shape[2:] != [None, None]:
            raise ValueError(
                f"its input {name} has the shape {shape}, but must be float32 of {channels(name)} "
                "channels and any height and width: export it again"
            )
    if not {COMPLETED, ANSWER} <= outputs:
        raise ValueError(f"it has no outputs {COMPLETED!r} and {ANSWER!r}: export it again")
    batch = inputs[IMAGE]
    return ModelCard(
        printable(said["network"]),
        printable(said["precision"]),
        said["settings"],
        tuple(inputs),
        any_batch=batch is not None and batch[0] is None,
    )


def _shape(value: onnx.ValueInfoProto) -> list[int | None] | None:
    """An input's sizes, None where any is taken; None if it is no float32 of four dimensions."""
    kind = value.type.tensor_type
    dimensions = kind.shape.dim
    if kind.elem_type != onnx.TensorProto.FLOAT or len(dimensions) != 4:
        return None
    return [each.dim_value if each.HasField("dim_value") else None for each in dimensions]
