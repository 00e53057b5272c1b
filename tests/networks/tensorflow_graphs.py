"""Writes frozen TensorFlow graphs, so that their reader is tested without the published files."""

import struct

import numpy as np


def message(*fields):
    """Protocol-buffer bytes of ``(number, value)``: whole numbers as varints, bytes by length."""
    written = b""
    for number, value in fields:
        if isinstance(value, int):
            written += varint(number << 3) + varint(value)
        else:
            written += varint(number << 3 | 2) + varint(len(value)) + value
    return written


def varint(value):
    written = b""
    while value >= 0x80:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])


def constant(name, values, as_list=False):
    """A NodeDef of a float32 constant; one that repeats a value may be a list of that one."""
    values = np.asarray(values, np.float32)
    shape = message(*((2, message((1, size))) for size in values.shape))
    if as_list:
        content = varint(5 << 3 | 5) + struct.pack("<f", values.flat[0])
    else:
        content = message((4, values.tobytes()))
    tensor = message((1, 1), (2, shape)) + content
    kind = message((1, b"dtype"), (2, message((6, 1))))
    value = message((1, b"value"), (2, message((8, tensor))))
    return message((1, name.encode()), (2, b"Const"), (5, kind), (5, value))


def graph(constants):
    """A GraphDef of these constants, between nodes and a field of other kinds."""
    nodes = [message((1, b"input"), (2, b"Placeholder"))]
    nodes += [constant(name, values) for name, values in constants.items()]
    nodes.append(message((1, b"conv1"), (2, b"Conv2D"), (3, b"input"), (3, b"f1")))
    return message(*((1, node) for node in nodes), (4, message((1, 27))))
