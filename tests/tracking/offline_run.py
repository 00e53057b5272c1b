"""Reads the file of an offline W&B run: LevelDB's log format around protobuf records.

Blocks of 32 KiB hold pieces; a piece has a checksum (4 bytes), a length (2), a kind (1: whole,
2: first, 3: middle, 4: last) and its bytes. The file begins with 7 bytes of W&B's own.
"""

import json
import struct
from pathlib import Path

from wandb.proto import wandb_internal_pb2

_BLOCK, _HEAD, _PREFIX = 32768, 7, 7


def records(path: Path) -> list:
    """Every record of a ``.wandb`` file, in order."""
    content = path.read_bytes()
    assert content[:4] == b":W&B", f"{path} is no W&B run file"
    found, pending, position = [], b"", _PREFIX
    while position + _HEAD <= len(content):
        left = _BLOCK - position % _BLOCK
        if left < _HEAD:  # the rest of a block that no head fits into
            position += left
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        if kind == 0:
            break
        pending += content[position + _HEAD : position + _HEAD + length]
        position += _HEAD + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(pending)
            found.append(record)
            pending = b""
    return found


def history(path: Path) -> list[dict]:
    """What was logged, a dictionary a step."""
    steps = []
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            steps.append(
                {
                    ".".join(item.nested_key) or item.key: json.loads(item.value_json)
                    for item in record.history.item
                }
            )
    return steps


def config(path: Path) -> dict:
    """The run's configuration, as it was given at the start."""
    values = {}
    for record in records(path):
        if record.WhichOneof("record_type") == "run":
            updates = record.run.config.update
            values |= {item.key: json.loads(item.value_json) for item in updates}
    return values
