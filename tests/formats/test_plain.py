"""YAML and JSON from outside: plain values within limits, or one line that says why not."""

import resource

import pytest

from lab.formats.plain import (
    DEEPEST,
    LARGEST_YAML,
    PlainDataError,
    parse_json,
    parse_yaml,
    read_json,
    read_yaml,
)
from tests.timing import within_processor_seconds

# Nine levels of nine aliases each: 387 million values in 300 bytes.
BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)

REFUSED = {
    "alias bomb": (BOMB, "more than 50000 values"),
    "merge bomb": (
        "a: &a {k: 1}\n"
        + "".join(f"b{n}: {{<<: [{','.join(['*a'] * 900)}]}}\n" for n in range(99)),
        "more than 50000 values",
    ),
    "itself": ("&a [*a]", r"\*a stands for what holds it"),
    "deep list": ("[" * 5000, "deeper than 48"),
    "deep mapping": ("{a: " * 5000, "deeper than 48"),
    "deep blocks": ("- " * 5000 + "x", "deeper than 48"),
    "whole-number key": ("1: 2", "key 1 is no text: put it in quotes"),
    "key below": ("a: {b: [{true: 1}]}", "key True is no text"),
    "key of several": ("? [a, b]\n: 1", ""),
    "code": ("!!python/object/apply:os.system ['true']", "more than a plain value"),
    "bytes": ("!!binary aGVsbG8=", "more than a plain value"),
    "own tag": ("!mine x", "more than a plain value"),
    "huge number": ("a: " + "9" * 5000, "4300 digits"),
    "large number": ("a: 0x" + "f" * 400, "1600 bits"),
    "long value": ("a: " + "x" * 20_000, "20000 characters"),
    "long text": ("a: [" + "x, " * LARGEST_YAML, "characters, and at most"),
    "no yaml": ("a: [b", "while parsing"),
    "control characters": ("a: \x1b[2J", "control characters"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_goes_beyond_a_limit_is_refused_in_a_moment_and_in_a_line(case):
    text, reason = REFUSED[case]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    expected = pytest.raises(PlainDataError, match=f"the text is not YAML.*{reason}")
    with within_processor_seconds(5), expected as refused:
        parse_yaml(text)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000, "kilobytes"


def test_what_people_write_is_read():
    text = """\
base: &base {width: 16, mean: [0.5, 1e-3], name: "a: b", empty: }
other: {<<: *base, width: 8}
when: 2024-01-01
on: yes
"""
    base = {"width": 16, "mean": [0.5, "1e-3"], "name": "a: b", "empty": None}
    with pytest.raises(PlainDataError, match="key True"):
        parse_yaml(text)
    assert parse_yaml(text.replace("on: yes", "'on': yes")) == {
        "base": base,
        "other": {**base, "width": 8},
        "when": "2024-01-01",
        "on": True,
    }


@pytest.mark.slow
def test_the_limits_leave_room_for_what_is_nested_in_earnest():
    assert parse_yaml("[" * DEEPEST + "]" * DEEPEST)
    assert len(parse_yaml("[" + "1," * 40_000 + "1]")) == 40_001


def test_files_are_named_and_their_names_harmless(tmp_path):
    path = tmp_path / "a\x1b[2J.yaml"
    path.write_text("[")
    with pytest.raises(PlainDataError, match=r"a\\x1b\[2J\.yaml is not YAML"):
        read_yaml(path)
    path.write_bytes(b"\xff\xff")
    with pytest.raises(PlainDataError, match=r"x1b.*no text of UTF-8"):
        read_yaml(path)


def test_json_is_plain_already_but_may_be_deep_or_large(tmp_path):
    assert parse_json('{"a": [1, null]}') == {"a": [1, None]}
    with pytest.raises(PlainDataError, match="nests too deeply"):
        parse_json("[" * 200_000)
    with pytest.raises(PlainDataError, match="the text is not JSON"):
        parse_json("{")
    (tmp_path / "a.json").write_text("[1, 2]")
    with pytest.raises(OSError, match="at most 3"):
        read_json(tmp_path / "a.json", most=3)
