"""What the settings' parser says, in one line that a person can act on."""

import difflib
import re

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a word",
    "NoneType": "null",
    "tuple": "a list such as [0.5, 0.999]",
    "list": "a list",
    "dict": "a mapping",
}
# What other tools call these.
_ALIASES = {"cuda": "gpu", "cuda:0": "gpu", "mps": "gpu", "bf16": "bfloat16", "fp32": "float32"}


def one_line(message: str) -> str | None:
    """Say which setting may be what, in place of a parser's message over several lines.

    Returns:
        str | None: None where the message is of another kind.
    """
    path = setting_path(message)
    allowed, value = _expected(message)
    if allowed is None:
        return None
    choices = re.findall(r"Literal\[(.*?)\]", allowed)
    words = [word for choice in choices for word in re.findall(r"'([^']*)'", choice)]
    types = [_TYPES.get(name, "") for name in re.findall(r"<class '(?:\w+\.)*(\w+)'>", allowed)]
    may_be = [*(name for name in types if name), *words]
    if not may_be:
        may_be = [allowed]
    said = f"{path} " if path else ""
    if len(may_be) == 1:
        said += f"must be {may_be[0]}, not {value}"
    else:
        said += f"must be {', '.join(may_be[:-1])} or {may_be[-1]}, not {value}"
    near = difflib.get_close_matches(value, words, n=1, cutoff=0.5)
    if _ALIASES.get(value) in words:
        near = [_ALIASES[value]]
    return f"{said}. Did you mean {near[0]!r}?" if near else said


def setting_path(message: str) -> str:
    """The dotted path of the setting that a parser's message is about."""
    return ".".join(re.findall(r'Parser key "([^"]+)"', message))


def _expected(message: str) -> tuple[str | None, str]:
    """What was allowed, in the parser's own words, and what was given."""
    union = re.search(
        r"Subtypes: \[(.*?)\]\n.*?Given value: (.*?)(?:\. Got value|\n|$)", message, re.S
    )
    if union:
        return union[1], shortened(union[2])
    # Of a class, the parser also says that it is no file.
    single = re.search(
        r"Expected an? (?!path )(.+?)\. Got value: (.*?)(?:\. Got value|\n|$)", message, re.S
    )
    return (single[1], shortened(single[2])) if single else (None, "")


def shortened(value: str, most: int = 60) -> str:
    """A value in one line of about ``most`` characters."""
    value = " ".join(value.split()) or "empty"
    return value if len(value) <= most else f"{value[:most]}…"
