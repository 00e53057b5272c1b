"""The constants of a frozen TensorFlow graph, read without TensorFlow.

A frozen graph is a protocol-buffer message (``GraphDef``) whose nodes of kind ``Const`` hold the
weights. Only that much of the format is read; the field numbers are those of TensorFlow's
``graph.proto``, ``node_def.proto``, ``attr_value.proto``, ``tensor.proto`` and
``tensor_shape.proto``.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.formats.protocol_buffers import fields
from lab.networks.weight_files import UnreadableCheckpointError
from lab.untrusted import MEBIBYTE, read_bytes

_FLOAT32 = 1

LARGEST_GRAPH = 16 * MEBIBYTE
"""Bytes of a graph's file; the published ones have at most 100 KB."""

MOST_VALUES = 4 * MEBIBYTE
"""Values of a graph's constants together, whatever few bytes they are written in."""


def read_tensorflow_constants(path: Path | str) -> dict[str, Tensor]:
    """Read every float32 constant of a frozen graph, by its node's name.

    Args:
        path: a ``.pb`` file; nothing in it is run.

    Returns:
        dict[str, Tensor]: float32, of TensorFlow's shapes: a convolution's kernel is (height,
        width, channels in, channels out).

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableCheckpointError: the file is cut short, or no frozen graph with constants.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no TensorFlow graph at {path}")
    constants: dict[str, Tensor] = {}
    left = MOST_VALUES
    try:
        for number, node in fields(read_bytes(path, LARGEST_GRAPH)):
            if number == 1 and not isinstance(node, int) and (found := _constant(node, left)):
                name, tensor = found
                constants[name] = tensor
                left -= tensor.numel()
    # Bytes of another format can fail anywhere: as lengths, as names, as shapes.
    except (OSError, ValueError, IndexError) as error:
        raise UnreadableCheckpointError(
            path, f"it is no frozen TensorFlow graph: {error}"
        ) from error
    if not constants:
        raise UnreadableCheckpointError(path, "it holds no constants: freeze the graph first")
    return constants


def _constant(node: memoryview, most: int) -> tuple[str, Tensor] | None:
    """The name and value of a NodeDef, or nothing where it is no float32 constant.

    Raises:
        ValueError: bytes that are no such message, or more than ``most`` values.
    """
    name, kind, value = "", "", memoryview(b"")
    for number, field in fields(node):
        if number == 1:
            name = str(_bytes(field), "utf-8")
        elif number == 2:
            kind = str(_bytes(field), "utf-8")
        elif number == 5:
            entry = dict(fields(_bytes(field)))
            if entry.get(1) == b"value":
                value = _bytes(dict(fields(_bytes(entry.get(2)))).get(8, memoryview(b"")))
    if kind != "Const":
        return None
    data_type, shape, content, lists = 0, list[int](), memoryview(b""), list[memoryview]()
    for number, field in fields(value):
        if number == 1:
            data_type = field if isinstance(field, int) else 0
        elif number == 2:
            for _, dimension in fields(_bytes(field)):
                size = dict(fields(_bytes(dimension))).get(1, 0)
                shape.append(size if isinstance(size, int) else 0)
        elif number == 4:
            content = _bytes(field)
        elif number == 5:
            lists.append(_bytes(field))
    if data_type != _FLOAT32:
        return None
    values = np.frombuffer(content or b"".join(lists), "<f4")
    # Not NumPy's product, which has 64 bits and goes round.
    count = math.prod(shape)
    if count > most:
        raise ValueError(f"its constants claim more than {MOST_VALUES} values")
    # A list may leave out its last values where they repeat.
    if 0 < len(values) < count and not content:
        values = np.pad(values, (0, count - len(values)), mode="edge")
    return name, torch.from_numpy(values.astype(np.float32).reshape(shape))


def _bytes(field: int | memoryview | None) -> memoryview:
    if not isinstance(field, memoryview):
        raise ValueError(f"a message was expected, not {field!r}")
    return field
