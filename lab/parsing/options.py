"""Options to checked settings, by any parser, and what to say of those that do not fit.

A dotted path names a setting the same way on the command line, in a YAML file and in a sweep's
search space.
"""

import difflib
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from lab.checks import UserError, unknown_name_message
from lab.command_line import CALLED_ELSEWHERE
from lab.formats.plain import PlainDataError, flatten, parse_yaml, read_yaml
from lab.parsing.limits import denied_import
from lab.wording import one_line, setting_path, shortened

_IS_A_GROUP = "is a group of settings, not one"


class SettingsError(UserError):
    """Settings that do not fit; the message names the option, the rule and the nearest option."""


def parse_options(
    options: Sequence[str],
    parser: ArgumentParser,
    config: Path | None = None,
    groups: Sequence[str] = (),
) -> Namespace:
    """Check settings without building anything: a YAML file, then options on top.

    Args:
        options: as on the command line, ``["--data.size=64", …]``.
        parser: knows the settings; imports are limited to what it may name.
        config: a YAML file that the options go on top of.
        groups: settings that must be groups, not values.

    Raises:
        SettingsError: an unknown option, with the nearest right one, or a value of a wrong type.
    """
    arguments: list[str] = []
    given = list(options)
    try:
        if config is not None:
            content = read_yaml(config)
            if not isinstance(content, Mapping):
                raise ValueError(f"{config} must be a mapping of settings, such as data: {{…}}")
            given = [*options_from(content), *options]
            # What was read and checked, so that nobody exchanges the file in between.
            arguments = [f"--config={yaml.safe_dump(content)}"]
        settings = parser.parse_args([*arguments, *options])
        for group in groups:
            if not isinstance(settings[group], Namespace):
                raise ValueError(f"{group} must be a group of settings, not {settings[group]!r}")
        # Parsers within the parser take any beginning of an option's name for the option.
        unknown = _unknown(_still_meant(given), flat_settings(settings, parser))
    except OSError as error:
        raise SettingsError(f"{config} cannot be read: {error.strerror}") from error
    except PlainDataError as error:
        raise SettingsError(str(error)) from error
    except (ArgumentError, AttributeError, TypeError, ValueError, RecursionError) as error:
        explained = _explain(str(error), parser, given)
        denied = "" if _IS_A_GROUP in explained else denied_import(str(error))
        raise SettingsError(denied or explained) from error
    if unknown:
        raise SettingsError(unknown[0])
    return settings


def options_from(values: Mapping[str, Any]) -> list[str]:
    """A nested mapping as command-line options, for `parse_experiment`.

    ``{"data": {"size": 64}}`` becomes ``["--data.size=64"]``; dotted keys stay as they are.
    """
    return [f"--{path}={_as_text(value)}" for path, value in flatten(values)]


def _as_text(value: Any) -> str:  # noqa: ANN401 (any YAML value)
    """A value in one line of YAML, as the parser reads it."""
    return (
        value
        if isinstance(value, str)
        else yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")
    )


def _explain(message: str, parser: ArgumentParser, given: Sequence[str]) -> str:
    """Name what is unknown, and the nearest right option, in place of the parser's own words."""
    # A chosen class has options of its own.
    settings = parser.get_defaults()
    chosen: list[str] = []
    for option in given:
        if _is_class(option):
            try:
                settings = parser.parse_args([*chosen, option])
            except (ArgumentError, AttributeError, TypeError, ValueError):
                continue
            chosen.append(option)
    known = flat_settings(settings, parser)
    unknown = _unknown(
        [option for option in given if _path(option).rsplit(".", 1)[-1] in message], known
    )
    said = one_line(message)
    # A value of a class whose other options are missing is a wrong value all the same.
    if unknown and (said is None or _IS_A_GROUP in unknown[0]):
        return unknown[0]
    return said or _about_class(message, known) or shortened(message, most=400)


def _about_class(message: str, known: Mapping[str, Any]) -> str | None:
    """Say what is wrong with a class that was chosen, or with an option of it."""
    path = setting_path(message)
    option = re.search(r"Option '(\w+)' is not accepted.*?class_path='([\w.]+)'", message, re.S)
    if option:
        options = _options_of(option[2])
        return unknown_name_message(f"option of --{path}={option[2]}", option[1], options)
    missing = re.search(r"arguments are required: ([\w, ]+)\.", message)
    if missing:
        return f"{path} lacks {missing[1]}: set --{path}.{missing[1].split(',')[0]} and so on"
    value = re.search(r"(?:path string: |has no attribute '\w+'. Got value: )(.*)$", message)
    default = known.get(path)
    if value is None or not isinstance(default, str):
        return None
    room = default.rpartition(".")[0]
    names = [name for name in vars(sys.modules[room])["__all__"] if name[0].isupper()]
    asked = value[1].rpartition(".")[2]
    near = difflib.get_close_matches(asked, names, n=1, cutoff=0.5)
    hint = f". Did you mean {room}.{near[0]}?" if near else ""
    return f"{path} must be a class, such as {default}, not {shortened(value[1])}{hint}"


def _options_of(chosen: object) -> list[str]:
    """The names of what the constructor of a class takes; none of what is no class."""
    room, _, name = chosen.rpartition(".") if isinstance(chosen, str) else ("", "", "")
    made = getattr(sys.modules.get(room), name, None)
    return list(inspect.signature(made).parameters) if callable(made) else []


def _still_meant(given: Sequence[str]) -> list[str]:
    """Without options of a part in whose place a later option puts another class."""
    chosen = {_path(option): number for number, option in enumerate(given) if _is_class(option)}
    return [
        option
        for number, option in enumerate(given)
        if not any(
            _path(option).startswith(f"{part}.") and number < latest
            for part, latest in chosen.items()
        )
    ]


def _is_class(option: str) -> bool:
    """Whether an option names a class: ``--model.network=lab.networks.RFR``."""
    return re.search(r"=[\w.]+\.[A-Z]\w+$", option) is not None


def _path(option: str) -> str:
    """``--model.network.init_args.width=8`` to ``model.network.width``."""
    path = option.removeprefix("--").split("=")[0].removesuffix("+").removesuffix(".class_path")
    return path.replace(".init_args", "")


def flat_settings(settings: Namespace, parser: ArgumentParser) -> dict[str, Any]:
    """Every setting with its value, by its dotted path; chosen classes are settings too."""
    dumped = parser.dump(settings, skip_unset=False, skip_validation=True)
    return dict(flatten(parse_yaml(dumped)))


def _unknown(given: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """What to say about each option that is none of the known ones."""
    lists = [path for path, value in known.items() if isinstance(value, list)]
    messages = []
    for path in map(_path, given):
        if path in known or any(path.startswith(f"{several}.") for several in lists):
            continue
        within = [other for other in known if other.startswith(f"{path}.")]
        if within:
            messages.append(f"--{path} {_IS_A_GROUP}: set --{within[0]} and so on")
            continue
        part = path.rpartition(".")[0]
        options = [f"{part}.{option}" for option in _options_of(known.get(part))]
        # Of the same class rather than what is merely spelt alike.
        near = difflib.get_close_matches(path, options or known, n=1, cutoff=0.5)
        leaf = path.rsplit(".", 1)[-1]
        same_leaf = [other for other in known if other.rsplit(".", 1)[-1] == leaf]
        nearest = min(same_leaf, key=len) if same_leaf else (near[0] if near else None)
        if path in CALLED_ELSEWHERE:
            nearest = CALLED_ELSEWHERE[path]
        hint = f" The nearest is --{nearest}" if nearest else ""
        messages.append(f"there is no setting --{path}.{hint}")
    return messages
