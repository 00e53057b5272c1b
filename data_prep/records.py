"""Values of JSON records that anybody may have changed, taken only where they have their type."""

from reprlib import repr as shortened
from typing import TypeVar

Kind = TypeVar("Kind")

_WORDS: dict[type, str] = {
    bool: "true or false",
    str: "a text",
    int: "a whole number",
    list: "a list",
    dict: "a mapping",
}

# Bytes and numbers of entries: no file has more, and where one is read must fit in 64 bits.
_HIGHEST = 2**60


def value_of(record: object, name: str, kind: type[Kind]) -> Kind:
    """Return a value of a mapping.

    Raises:
        ValueError: the record is no mapping, or the value is missing or of another kind.
    """
    if not isinstance(record, dict):
        raise ValueError(f"it has {shortened(record)} where a mapping with {name!r} should be")
    if name not in record:
        raise ValueError(f"it has no {name!r}")
    value = record[name]
    # Not isinstance: Python takes true for a whole number.
    if type(value) is not kind:
        raise ValueError(f"its {name!r} is {shortened(value)}, but must be {_WORDS[kind]}")
    return value


def count_of(record: object, name: str, least: int) -> int:
    """Return a whole number of a mapping, in [least, 2^60].

    Raises:
        ValueError: as by `value_of`, or it is less or more.
    """
    value = value_of(record, name, int)
    if not least <= value <= _HIGHEST:
        raise ValueError(f"its {name!r} is {shortened(value)}, but must be {least} to {_HIGHEST}")
    return value


def reasons_of(record: object, name: str) -> tuple[tuple[str, str], ...]:
    """Return a list of names and reasons of a mapping.

    Raises:
        ValueError: as by `value_of`, or an entry is no pair of texts.
    """
    entries = value_of(record, name, list)
    for entry in entries:
        if not (isinstance(entry, list) and [type(part) for part in entry] == [str, str]):
            raise ValueError(f"its {name!r} has {shortened(entry)}, no name and reason")
    return tuple((entry, reason) for entry, reason in entries)
