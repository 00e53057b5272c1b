"""YAML and JSON from outside: texts, numbers, True, False, None, lists and mappings of these.

A kilobyte of YAML can stand for gigabytes (an alias stands for all that its anchor holds), and deep
nesting ends Python's own recursion. So what is read is limited, before anything is built from it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.untrusted import MEBIBYTE, printable, read_text

LARGEST_YAML = MEBIBYTE
"""Bytes of a YAML file; a run's settings have 5 KB."""

LARGEST_JSON = 32 * MEBIBYTE
"""Bytes of a JSON file; the manifest of a set of 1000 pairs has 500 KB, and each byte may take 25
in memory."""

MOST_VALUES = 50_000
"""Values of a YAML file, aliases counted as what they stand for; a run's settings have 150."""

DEEPEST = 48
"""Levels of nesting; a run's settings have 12."""

LONGEST_TEXT = 16_384
"""Characters of a single YAML value."""

_TAGS = frozenset(
    [
        None,
        "!",
        *(f"tag:yaml.org,2002:{kind}" for kind in "str int float bool null map seq".split()),
    ]
)


class PlainDataError(ValueError):
    """Text that is no YAML or JSON of plain values within the limits; one line says why."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Loads plain values only: what looks like a date is a text."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(text: str, name: object = "the text") -> Any:  # noqa: ANN401 (any plain value)
    """Parse YAML.

    Args:
        text: one document.
        name: where it is from, for errors.

    Raises:
        PlainDataError: it is no YAML, goes beyond a limit of this module, has a key that is no
            text, or asks for something else than a plain value.
    """
    try:
        check_yaml(text)
        value = yaml.load(text, Loader=_Loader)
        check_values(value)
    # A number of thousands of digits is an error of Python's own.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise PlainDataError(f"{printable(name)} is not YAML of plain values: {reason}") from error
    return value


def read_yaml(path: Path) -> Any:  # noqa: ANN401 (any plain value)
    """Read a YAML file; see `parse_yaml`.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger than `LARGEST_YAML`.
        PlainDataError: as `parse_yaml`.
    """
    return parse_yaml(_text_of(path, LARGEST_YAML), path)


def parse_json(text: str | bytes, name: object = "the text") -> Any:  # noqa: ANN401 (any plain value)
    """Parse JSON.

    Raises:
        PlainDataError: it is no JSON, or nests too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise PlainDataError(
            f"{printable(name)} is not JSON that is read: it nests too deeply"
        ) from None
    except ValueError as error:
        raise PlainDataError(f"{printable(name)} is not JSON: {error}") from error


def read_json(path: Path, most: int = LARGEST_JSON) -> Any:  # noqa: ANN401 (any plain value)
    """Read a JSON file of at most ``most`` bytes.

    Raises:
        OSError: it cannot be read, is no regular file, or is larger.
        PlainDataError: it is no JSON, or nests too deeply.
    """
    return parse_json(_text_of(path, most), path)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as pairs of a dotted path and a value; a chosen class is one, too."""
    # A class goes first: options of its arguments are checked against it.
    for key in sorted(values, key=lambda name: name != "class_path"):
        path, value = f"{prefix}{key}", values[key]
        if key == "class_path":
            yield prefix.removesuffix("."), value
        elif isinstance(value, Mapping):
            yield from flatten(value, prefix if key == "init_args" else f"{path}.")
        else:
            yield path, value


def check_yaml(text: str) -> None:
    """Go through the events of YAML, which are not built into anything, and count.

    Raises:
        PlainDataError: it goes beyond a limit, or asks for something else than a plain value.
        yaml.YAMLError: it is no YAML.
    """
    if len(text) > LARGEST_YAML:
        raise PlainDataError(f"it has {len(text)} characters, and at most {LARGEST_YAML} are read")
    total = 0
    # How many values each anchor stands for, and those that are open: anchor and total before.
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_):
                raise PlainDataError(f"the alias *{event.anchor} stands for what holds it")
            total += sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag not in _TAGS:
                raise PlainDataError(f"its tag {event.tag!r} asks for more than a plain value")
            total += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((event.anchor, total - 1))
                if len(open_) > DEEPEST:
                    raise PlainDataError(f"it nests deeper than {DEEPEST} levels")
            else:
                if event.anchor is not None:
                    sizes[event.anchor] = 1
                if len(event.value) > LONGEST_TEXT:
                    raise PlainDataError(
                        f"a value has {len(event.value)} characters, and at most {LONGEST_TEXT} "
                        "are read"
                    )
        if total > MOST_VALUES:
            raise PlainDataError(
                f"it has more than {MOST_VALUES} values, aliases counted as what they stand for"
            )


def check_values(value: Any) -> None:  # noqa: ANN401 (any plain value)
    """Raise ``PlainDataError`` for a key that is no text, or a number that is too large."""
    if isinstance(value, dict):
        for key, below in value.items():
            if not isinstance(key, str):
                raise PlainDataError(f"the key {key!r} is no text: put it in quotes")
            check_values(below)
    elif isinstance(value, list):
        for below in value:
            check_values(below)
    # Python cannot write the largest out, so that an error about one would be another error.
    elif isinstance(value, int) and value.bit_length() > 64:
        raise PlainDataError(f"a whole number has {value.bit_length()} bits, but at most 64 may be")


def _text_of(path: Path, most: int) -> str:
    try:
        return read_text(path, most)
    except UnicodeDecodeError as error:
        raise PlainDataError(f"{printable(path)} is no text of UTF-8 ({error.reason})") from error
