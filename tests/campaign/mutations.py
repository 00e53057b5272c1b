"""Changes to the bytes of a whole file, from a generator: blind ones, and ones that know a format.

A blind change of a PNG or an archive mostly ends at its first checksum. So some put the sums right
again, and what lies behind them is reached.
"""

import io
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_WORDS = (
    *(b"nan", b"-inf", b"1e999", b"-1", b"0", b"9" * 400, b"1.5", b"", b"null", b"true", b"~"),
    *(b"[]", b"{}", b"[[[[[]]]]]", b"'", b'"', b"&a [*a]", b"*a", b"<<: *a", b"!!binary x", b"\0"),
    *(b"!!python/object/apply:os.system ['touch hacked']", b"\x1b[2J", b"\xff\xfe", b"../../x"),
    *(b"<script>alert(1)</script>", b"os.system", b"torch.nn.Linear", b"\xe2\x80\xae", b"x" * 5000),
)
# In place of a value of JSON: of another kind, or no number.
_VALUES = (
    *(math.nan, math.inf, -math.inf, 10**400, -1, 0.5, True, None, "", "x", "nan", [], ["x"]),
    *([[]], [None], {}, {"x": 1}, {"x": {"x": []}}),
)
_KINDS_OF_ONNX = 23


def changed(data: bytes, name: str, draws: np.random.Generator) -> bytes:
    """A file's bytes after a change or up to four, by its name's suffix."""
    suffix = name.rpartition(".")[2]
    kinds = [_anywhere]
    if suffix in ("yaml", "csv", "json", "jsonl"):
        kinds = [_in_text] * 3 + [_anywhere]
        if suffix in ("json", "jsonl"):
            kinds += [_in_json] * 4
    elif suffix == "png":
        kinds = [_in_png] * 2 + [_anywhere]
    elif suffix in ("pt", "ckpt", "whl"):
        kinds = [_in_zip] * 3 + [_anywhere]
    elif suffix == "onnx":
        kinds = [_in_onnx] * 3 + [_anywhere]
    elif suffix == "tar":
        kinds = [_in_tar] * 2 + [_anywhere]
    # One is the most telling: the rest of the file is still believed.
    for _ in range(1 if draws.random() < 0.6 else int(draws.integers(2, 5))):
        data = kinds[int(draws.integers(len(kinds)))](data, draws)
    return data


def _place(data: bytes, draws: np.random.Generator) -> int:
    """A place in the file: as often within its first 64 bytes as anywhere."""
    most = min(len(data), 64) if draws.random() < 0.5 else len(data)
    return int(draws.integers(most)) if most else 0


def _anywhere(data: bytes, draws: np.random.Generator) -> bytes:
    start = _place(data, draws)
    length = int(2 ** draws.uniform(0, np.log2(max(len(data), 2)) / 2))
    other = _place(data, draws)
    match int(draws.integers(9)):
        case 0:
            return data[:start]
        case 1:
            return data[:start] + data[start + length :]
        case 2:
            return data[:start] + data[other : other + length] + data[start:]
        case 3:
            return data[:start] + draws.bytes(length) + data[start + length :]
        case 4:
            return data + draws.bytes(min(length, 4096))
        case 5:
            return data[:start] + bytes(length) + data[start + length :]
        case 6:
            number = _NUMBERS[int(draws.integers(len(_NUMBERS)))]
            form = "<>"[int(draws.integers(2))] + "HIQ"[int(draws.integers(3))]
            packed = struct.pack(form, number & (256 ** struct.calcsize(form) - 1))
            return data[:start] + packed + data[start + len(packed) :]
        case 7:
            flipped = bytearray(data)
            for place in draws.integers(len(data), size=min(8, len(data))) if data else ():
                flipped[place] ^= 1 << int(draws.integers(8))
            return bytes(flipped)
        case _:
            share, noisy = 10 ** draws.uniform(-4, -1), np.frombuffer(data, np.uint8).copy()
            hit = draws.random(len(noisy)) < share
            noisy[hit] = draws.integers(0, 256, int(hit.sum()))
            return noisy.tobytes()


def _in_text(data: bytes, draws: np.random.Generator) -> bytes:
    lines = data.split(b"\n")
    at, other = int(draws.integers(len(lines))), int(draws.integers(len(lines)))
    word = _WORDS[int(draws.integers(len(_WORDS)))]
    match int(draws.integers(7)):
        case 0:
            lines.pop(at)
        case 1:
            lines.insert(at, lines[other])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines.insert(at, word)
        case 4:
            indent = b" " * int(draws.integers(1, 9))
            lines[at] = indent + lines[at].lstrip() if draws.random() < 0.5 else lines[at].lstrip()
        case _:
            parts = re.split(rb"([\w.+-]+)", lines[at])
            if len(parts) > 1:
                parts[1 + 2 * int(draws.integers(len(parts) // 2))] = word
            lines[at] = b"".join(parts)
    return b"\n".join(lines)


def _in_json(data: bytes, draws: np.random.Generator) -> bytes:
    """Put another one in place of a value, of the file or of one of its lines."""
    before = after = b""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        lines = data.split(b"\n")
        at = int(draws.integers(len(lines)))
        before, after = b"\n".join([*lines[:at], b""]), b"\n".join([b"", *lines[at + 1 :]])
        try:
            content = json.loads(lines[at])
        except (ValueError, RecursionError):  # changed before, or the end of the last line
            return _in_text(data, draws)
    whole = [content]
    places = list(_places(whole))
    holder, key = places[int(draws.integers(len(places)))]
    holder[key] = _VALUES[int(draws.integers(len(_VALUES)))]
    return before + json.dumps(whole[0]).encode() + after


def _places(holder: list | dict) -> Iterator[tuple[Any, Any]]:
    """Where each value lies that a list or a mapping holds, at any depth."""
    keys = range(len(holder)) if isinstance(holder, list) else list(holder)
    for key in keys:
        yield holder, key
        if isinstance(holder[key], list | dict):
            yield from _places(holder[key])


def _in_onnx(data: bytes, draws: np.random.Generator) -> bytes:
    """Change a node of the model, or what one of its tensors says of itself."""
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError:  # changed before
        return _anywhere(data, draws)
    nodes, tensors = model.graph.node, model.graph.initializer
    if not nodes or not tensors:
        return _anywhere(data, draws)
    at, other = (int(draws.integers(len(nodes))) for _ in range(2))
    node, tensor = nodes[at], tensors[int(draws.integers(len(tensors)))]
    number = _NUMBERS[int(draws.integers(len(_NUMBERS)))]
    match int(draws.integers(6)):
        case 0:
            nodes.pop(at)
        case 1:
            node.op_type = nodes[other].op_type
        case 2 if node.input and nodes[other].output:
            node.input[int(draws.integers(len(node.input)))] = nodes[other].output[0]
        case 3 if tensor.dims:
            tensor.dims[int(draws.integers(len(tensor.dims)))] = number
        case 4:
            tensor.data_type = int(draws.integers(_KINDS_OF_ONNX))
        case _:
            whole = [attribute for attribute in node.attribute if attribute.ints]
            for attribute in whole[:1]:
                attribute.ints[int(draws.integers(len(attribute.ints)))] = number
    return model.SerializeToString()


def _in_png(data: bytes, draws: np.random.Generator) -> bytes:
    """Change a chunk, leave it out or repeat it, and put all checksums right."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return _anywhere(data, draws)
    chosen = int(draws.integers(len(chunks)))
    kind, body = chunks[chosen]
    match int(draws.integers(5)):
        case 0:
            chunks.pop(chosen)
        case 1:
            chunks.insert(chosen, chunks[int(draws.integers(len(chunks)))])
        case 2 if kind == b"IDAT":
            try:
                body = zlib.compress(_anywhere(zlib.decompress(body), draws), 1)
            except zlib.error:
                body = _anywhere(body, draws)
            chunks[chosen] = kind, body
        case _:
            chunks[chosen] = kind, _anywhere(body, draws)
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:8] + b"".join(packed)


def _in_zip(data: bytes, draws: np.random.Generator) -> bytes:
    """Change a member, leave it out or rename it, and zip it all again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except Exception:  # changed before, so that nothing holds
        return _anywhere(data, draws)
    if not members:
        return _anywhere(data, draws)
    # The description more often than one of a hundred tensors.
    described = [number for number, (name, _) in enumerate(members) if name.endswith(".pkl")]
    chosen = int(draws.integers(len(members)))
    if described and draws.random() < 0.7:
        chosen = described[0]
    name, content = members[chosen]
    match int(draws.integers(8)):
        case 0:
            members.pop(chosen)
        case 1:
            members[chosen] = name + "/../../x", content
        case _:
            members[chosen] = name, _anywhere(content, draws)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def _in_tar(data: bytes, draws: np.random.Generator) -> bytes:
    """Change a header's field, and put its sum right."""
    headers = [at for at in range(0, len(data) - 511, 512) if data[at + 257 : at + 262] == b"ustar"]
    if not headers:
        return _anywhere(data, draws)
    at = headers[int(draws.integers(len(headers)))]
    header = bytearray(data[at : at + 512])
    start, length = ((0, 100), (124, 12), (156, 1), (157, 100), (345, 155))[int(draws.integers(5))]
    values = (b"../../x.jpg", b"/etc/x.jpg", b"77777777777", b"\x80" + b"\xff" * 11, b"1", b"2")
    values += (
        b"3",
        b"5",
        b"6",
        b"L",
        b"K",
        b"x",
        b"g",
        b"S",
        b"a\n\x1b[2J.jpg",
        draws.bytes(length),
    )
    value = values[int(draws.integers(len(values)))][:length]
    header[start : start + length] = value.ljust(length, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + 512 :]
