"""The constants of a frozen TensorFlow graph, read without TensorFlow.

A frozen graph is a protocol-buffer message (``GraphDef``) whose nodes of kind ``Const`` hold the
weights. Only that much of the format is read; the field numbers are those of TensorFlow's
``graph.proto``, ``node_def.proto``, ``attr_value.proto``, ``tensor.proto`` and
``tensor_shape.proto``.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.networks.weight_files import UnreadableCheckpointError
from lab.untrusted import MEBIBYTE, read_bytes

_VARINT, _EIGHT_BYTES, _MESSAGE, _FOUR_BYTES = 0, 1, 2, 5
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
        for number, node in _fields(read_bytes(path, LARGEST_GRAPH)):
            if number == 1 and isinstance(node, bytes) and (found := _constant(node, left)):
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


def _constant(node: bytes, most: int) -> tuple[str, Tensor] | None:
    """The name and value of a NodeDef, or nothing where it is no float32 constant.

    Raises:
        ValueError: bytes that are no such message, or more than ``most`` values.
    """
    name, kind, value = "", "", b""
    for number, field in _fields(node):
        if number == 1:
            name = _bytes(field).decode()
        elif number == 2:
            kind = _bytes(field).decode()
        elif number == 5:
            entry = dict(_fields(_bytes(field)))
            if entry.get(1) == b"value":
                value = _bytes(dict(_fields(_bytes(entry.get(2)))).get(8, b""))
    if kind != "Const":
        return None
    data_type, shape, content, lists = 0, list[int](), b"", list[bytes]()
    for number, field in _fields(value):
        if number == 1:
            data_type = field if isinstance(field, int) else 0
        elif number == 2:
            for _, dimension in _fields(_bytes(field)):
                size = dict(_fields(_bytes(dimension))).get(1, 0)
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


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Walk through a message's fields: their numbers, and whole numbers or bytes.

    Raises:
        ValueError: bytes that are no message.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if wire == _MESSAGE:
            length, position = _varint(message, position)
        elif wire in (_FOUR_BYTES, _EIGHT_BYTES):
            length = 4 if wire == _FOUR_BYTES else 8
        else:
            raise ValueError(f"wire type {wire} at byte {position}")
        if position + length > len(message):
            raise ValueError(f"a field of {length} bytes ends after the {len(message)} there are")
        yield number, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Read a whole number of 7 bits a byte; return it and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("a number ends after the last byte")
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError(f"a number of more than 64 bits at byte {position}")


def _bytes(field: int | bytes | None) -> bytes:
    if not isinstance(field, bytes):
        raise ValueError(f"a message was expected, not {field!r}")
    return field
