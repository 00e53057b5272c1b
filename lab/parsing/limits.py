"""The parser of settings, and what a value may make it do: no imports but ours, no files, limits.

Naming a class has its module imported, and importing a module runs it, also one that lies in the
current folder. So settings name classes of ``lab`` alone, unless a person allows another package.
Whoever parses settings takes `ArgumentParser` from here.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jsonargparse._optionals
import jsonargparse._typehints
import yaml
from jsonargparse import Namespace, get_loader, set_loader, set_parsing_settings
from torch import Tensor

from lab.checks import UserError
from lab.contracts import Stages
from lab.formats.plain import PlainDataError, check_values, check_yaml

ALLOW_IMPORTS = "--allow-imports"
"""The option by which a person lets settings name classes of a package of their own. It is two
words, so that nothing written in a file can stand for it."""

_OWN_PACKAGE = "lab"

set_parsing_settings(
    # Without this, a part that is called and returns a tensor (a mask generator, a strategy) is
    # taken for a factory of tensors where it is nested in another part's arguments.
    subclasses_disabled=[Tensor, Stages],
    import_path_denylist=["*"],
    import_path_allowlist=[_OWN_PACKAGE],
)
# A value that happens to be the name of a file is not read as a file of settings (nor as a pipe).
jsonargparse._optionals._config_read_mode = "frF"

# By itself, the parser hands a class's arguments on to the class that is put in its place, also
# those that nobody gave: FillSelector came out as wide as InpaintSANet is by default.
_hand_on = jsonargparse._typehints.discard_init_args_on_class_path_change


def _hand_on_what_was_given(parser: Any, before: Any, now: Any) -> None:  # noqa: ANN401 (its own)
    changes = isinstance(before, Namespace) and before.get("class_path") != now["class_path"]
    if changes and "init_args" in before:
        given, path = before["init_args"], before["class_path"]
        defaults = jsonargparse._typehints.ActionTypeHint.get_class_parser(path).get_defaults()
        for name in list(given.keys(branches=True, nested=False)):
            if name in defaults and given[name] == defaults[name]:
                given.pop(name)
    _hand_on(parser, before, now)


jsonargparse._typehints.discard_init_args_on_class_path_change = _hand_on_what_was_given

_load_value = get_loader("yaml")
_SIGNS_OF_STRUCTURE = frozenset("[{&*:")


def _load_within_limits(text: str) -> Any:  # noqa: ANN401 (any plain value)
    if _SIGNS_OF_STRUCTURE.isdisjoint(text):
        return _load_value(text)
    check_yaml(text)
    value = _load_value(text)
    check_values(value)
    return value


set_loader("yaml", _load_within_limits, (yaml.YAMLError, PlainDataError))


def take_packages(options: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Take each ``--allow-imports PACKAGE`` out of options; return the others and the packages.

    Raises:
        UserError: it is written in one piece, as a file's settings are, or names no package.
    """
    others: list[str] = []
    packages: list[str] = []
    remaining = iter(options)
    for option in remaining:
        name = option.partition("=")[0].replace("_", "-")
        if name != ALLOW_IMPORTS:
            others.append(option)
            continue
        if option != ALLOW_IMPORTS:
            raise UserError(
                f"{name} is no setting: no file can allow its own imports. Give it on the command "
                f"line, as {ALLOW_IMPORTS} PACKAGE"
            )
        package = next(remaining, "")
        if not all(part.isidentifier() for part in package.split(".")):
            raise UserError(
                f"{ALLOW_IMPORTS} {package!r} names no package: give its name as in an import"
            )
        packages.append(package)
    return others, tuple(packages)


@contextmanager
def allowed_imports(packages: Sequence[str]) -> Iterator[None]:
    """Let settings name classes of these packages, too, for as long as this lasts.

    Raises:
        UserError: a package that cannot be allowed.
    """
    others = [name for name in packages if name.partition(".")[0] != _OWN_PACKAGE]
    try:
        set_parsing_settings(import_path_allowlist=others)
    except ValueError as error:
        raise UserError(f"{ALLOW_IMPORTS}: {error}") from error
    try:
        yield
    finally:
        set_parsing_settings(import_path_denylist=others)


def denied_import(message: str) -> str:
    """Say what may be done about an import that an error says was refused; empty where none was."""
    denied = re.search(r"Importing '([\w.]+)' is not allowed", message)
    if denied is None:
        return ""
    path = denied[1]
    return (
        f"{path} is no part of {_OWN_PACKAGE}, and naming it would run its module: if you trust "
        f"it, add {ALLOW_IMPORTS} {path.partition('.')[0]}"
    )
