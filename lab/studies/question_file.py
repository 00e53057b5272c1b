"""Reading a question's YAML file: every mistake with its file, line, entry and what is accepted."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError

from lab.checks import unknown_name_message
from lab.formats.plain import LARGEST_YAML, PlainDataError, parse_yaml
from lab.parsing import ArgumentParser, SettingsError
from lab.studies.question import Pruning, Question, Search
from lab.untrusted import read_text
from lab.wording import one_line

Key = tuple[str | int, ...]
"""Where a value lies in a file: ``("search", "data.size", "low")``."""


def read_question(name: str, folder: Path) -> Question:
    """Read ``folder/name.yaml``, or the file itself where ``name`` is its path.

    Raises:
        SettingsError: no such file (names the nearest), or content that does not fit; says where.
    """
    path = question_path(name, folder)
    if not path.is_file():
        known = [file.stem for file in folder.glob("*.yaml")]
        missing = unknown_name_message("sweep", name, known)
        raise SettingsError(f"{missing} (in {folder}, and {path} is no file)")
    return _Reader(path).question()


def question_path(name: str, folder: Path) -> Path:
    """The file of a question: of the folder by its name, or where the path leads."""
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    return folder / f"{name}.yaml"


class _Reader:
    """One file, with the line of every key in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[Key, int] = {}

    def question(self) -> Question:
        content = self._content()
        self._check_keys(content, Question, (), "a question")
        # It describes a run, and is checked when runs are built.
        base = content.pop("base", None) or {}
        if not isinstance(base, Mapping):
            raise self._error(("base",), "base must be a mapping of settings")
        search = content.get("search")
        if not isinstance(search, Mapping):
            raise self._error(("search",), "search must be a mapping of options to what is tried")
        content["search"] = {option: self._entry(option, entry) for option, entry in search.items()}
        pruning = content.get("pruning", {})
        if not isinstance(pruning, Mapping):
            raise self._error(("pruning",), "pruning must be a mapping, such as {enabled: false}")
        self._check_keys(pruning, Pruning, ("pruning",), "pruning")
        content["pruning"] = self._typed(Pruning, pruning, ("pruning",))
        # A key that is left empty stands at its default: the parser takes null for any value.
        rest = {
            key: value
            for key, value in content.items()
            if key not in ("search", "pruning") and value is not None
        }
        parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
        parser.add_class_arguments(Question, as_group=False, skip={"base", "search", "pruning"})
        try:
            parsed = parser.instantiate(parser.parse_object(rest))
        except (ArgumentError, TypeError, ValueError) as error:
            said = one_line(str(error)) or " ".join(str(error).split())
            raise self._error((said.split(maxsplit=1)[0],), said) from error
        try:
            return Question(
                **vars(parsed),
                base=dict(base),
                search=content["search"],
                pruning=content["pruning"],
            )
        except ValueError as error:
            raise self._error((), str(error)) from error

    def _content(self) -> dict[str, Any]:
        try:
            text = read_text(self._path, LARGEST_YAML)
            content = parse_yaml(text, self._path)
            node = yaml.compose(text, yaml.SafeLoader)
        except PlainDataError as error:
            raise SettingsError(str(error)) from error
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self._path}: {' '.join(str(error).split())}") from error
        if not isinstance(content, dict) or not isinstance(node, yaml.MappingNode):
            raise SettingsError(
                f"{self._path}: a question's file is a mapping: question, search, goal, base, … "
                "(docs/questions.md)"
            )
        self._note_lines(node, ())
        return content

    def _note_lines(self, node: yaml.Node, place: Key) -> None:
        """Note where every key stands; refuse one that stands twice."""
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._note_lines(item, (*place, index))
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            here = (*place, str(key.value))
            line = key.start_mark.line + 1
            if here in self._lines:
                raise SettingsError(
                    f"{self._path}, line {line}: {key.value} stands twice; it first stands in line "
                    f"{self._lines[here]}"
                )
            self._lines[here] = line
            self._note_lines(value, here)

    def _entry(self, option: str, entry: object) -> Search:
        """What one option is varied over: a mapping of `Search`, or a list of choices."""
        place = ("search", option)
        if isinstance(entry, list):
            entry = {"choices": entry}
        if not isinstance(entry, Mapping):
            raise self._error(
                place,
                f"{option} must be varied over a range {{low: 1, high: 2}} or a list of choices, "
                f"not {entry!r}; what every trial has in common goes into base",
            )
        self._check_keys(entry, Search, place, option)
        when = entry.get("when") or {}
        if not isinstance(when, Mapping):
            raise self._error((*place, "when"), "when must be a mapping of options to values")
        accepted = {
            other: values if isinstance(values, list) else [values]
            for other, values in when.items()
        }
        return self._typed(Search, {**entry, "when": accepted}, place)

    def _typed(self, kind: type, entry: Mapping[str, Any], place: Key) -> Any:  # noqa: ANN401
        parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
        parser.add_class_arguments(kind, as_group=False)
        try:
            return kind(**vars(parser.instantiate(parser.parse_object(dict(entry)))))
        except (ArgumentError, TypeError, ValueError) as error:
            said = one_line(str(error)) or " ".join(str(error).split())
            key = said.split(maxsplit=1)[0]
            where = (*place, key) if (*place, key) in self._lines else place
            raise self._error(where, f"{'.'.join(map(str, place[1:] or place))}: {said}") from error

    def _check_keys(self, entry: Mapping[str, Any], kind: type, place: Key, what: str) -> None:
        assert is_dataclass(kind)
        known = [field.name for field in fields(kind)]
        for key in entry:
            if key not in known:
                said = unknown_name_message(f"key of {what}", str(key), known)
                raise self._error((*place, str(key)), said)

    def _error(self, place: Key, said: str) -> SettingsError:
        nearest = (place[:end] for end in range(len(place), 0, -1))
        line = next((self._lines[key] for key in nearest if key in self._lines), None)
        where = f"{self._path}, line {line}" if line else str(self._path)
        return SettingsError(f"{where}: {said}")
