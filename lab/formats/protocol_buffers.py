"""The wire format of protocol buffers: the fields of a message, whatever the message is.

Enough to look into a file before a library builds objects of it, and to read the few fields that a
small reader wants.
"""

from collections.abc import Iterator

VARINT, EIGHT_BYTES, MESSAGE, FOUR_BYTES = 0, 1, 2, 5
"""How a field is written: a whole number, 8 bytes, a length and as many bytes, 4 bytes."""


def fields(message: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Walk through a message's fields: their numbers, and whole numbers or bytes.

    Raises:
        ValueError: bytes that are no message.
    """
    view = memoryview(message)
    position = 0
    while position < len(view):
        key, position = _varint(view, position)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, position = _varint(view, position)
            yield number, value
            continue
        if wire == MESSAGE:
            length, position = _varint(view, position)
        elif wire in (FOUR_BYTES, EIGHT_BYTES):
            length = 4 if wire == FOUR_BYTES else 8
        else:
            raise ValueError(f"wire type {wire} at byte {position}")
        if position + length > len(view):
            raise ValueError(f"a field of {length} bytes ends after the {len(view)} there are")
        yield number, view[position : position + length]
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
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
