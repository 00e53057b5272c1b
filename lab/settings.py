"""YAML files and command-line options to checked objects.

Types and defaults come from the signatures of what is built. A dotted path names an option the
same way on the command line, in a YAML file and in a sweep's search space.
"""

import difflib
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as lightning
import yaml
from jsonargparse import ArgumentError, Namespace

from lab.checks import UserError, unknown_name_message
from lab.command_line import CALLED_ELSEWHERE, SETTING_GROUPS
from lab.contracts import Network, Strategy
from lab.data import PhotoDataModule
from lab.evaluation import Evaluation
from lab.formats.plain import PlainDataError, flatten, parse_yaml, read_yaml
from lab.parsing import ArgumentParser, allowed_imports, denied_import, take_packages
from lab.variants import VARIANTS, InpaintingModule, build_module
from lab.wording import one_line, setting_path, shortened

_IS_A_GROUP = "is a group of settings, not one"
_PACKAGES = "allowed_imports"

StrategyFactory = Callable[[Network], Strategy]
"""How settings name a strategy: a class with options, to be given a network."""


class SettingsError(UserError):
    """Settings that do not fit; the message names the option, the rule and the nearest option."""


@dataclass(frozen=True)
class Fit:
    """How long and on what a run trains.

    Attributes:
        epochs: passes over the training samples.
        seed: of the networks' first weights and of everything drawn in training.
        precision: "float32"; "bfloat16", which halves memory traffic; or "auto", bfloat16 where the
            processor or GPU computes with it and float32 elsewhere.
        device: "auto" takes a GPU where there is one; or "cpu", "gpu".
        threads: processor threads; None leaves PyTorch's own choice.
        log_every: steps between two records of the training losses.
    """

    epochs: int = 50
    seed: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    threads: int | None = None
    log_every: int = 10

    def __post_init__(self) -> None:
        """Refuse values with which nothing can run.

        Raises:
            ValueError: naming the value and its rule.
        """
        for name in ("epochs", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"fit.{name} must be at least 1, not {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"fit.threads must be at least 1, not {self.threads}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"fit.seed must lie in 0 to 2**32 - 1, not {self.seed}")


@dataclass(frozen=True)
class Experiment:
    """Everything that one run is made of, built and checked, with the YAML that says the same."""

    model: InpaintingModule
    data: PhotoDataModule
    fit: Fit
    evaluation: Evaluation
    yaml: str

    def read_photos(self) -> str:
        """Find the photos now; returns in words what was found and what was left out.

        Raises:
            SettingsError: too few photos, too many that cannot be read, or altered shards.
        """
        try:
            return self.data.source.summary()
        except ValueError as error:
            raise SettingsError(str(error)) from error

    @property
    def plain(self) -> dict[str, Any]:
        """The settings as plain values, for a tracker."""
        plain: dict[str, Any] = parse_yaml(self.yaml)
        return plain


def experiment_parser(**options: Any) -> ArgumentParser:  # noqa: ANN401 (argparse's own options)
    """The parser of one run's settings: ``model``, ``data``, ``fit`` and ``evaluation``."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False, **options)
    parser.add_argument("--config", action="config", help="a YAML file of settings")
    parser.add_subclass_arguments(
        InpaintingModule,
        "model",
        default={"class_path": "lab.variants.InpaintingModule"},
        required=False,
        help="what is trained",
    )
    parser.add_class_arguments(PhotoDataModule, "data")
    parser.add_argument("--fit", type=Fit, default=Fit())
    parser.add_argument("--evaluation", type=Evaluation, default=Evaluation())
    return parser


def parse_experiment(
    options: Sequence[str], config: Path | None = None, parser: ArgumentParser | None = None
) -> Namespace:
    """Check settings without building anything: a YAML file, then options on top.

    Args:
        options: as on the command line, ``["--data.size=64", …]``. ``--variant=NAME`` stands for
            the settings of that documented variant. ``"--allow-imports", "PACKAGE"`` lets settings
            name classes of that package; without it, only those of ``lab``.
        config: a YAML file that the options go on top of.
        parser: `experiment_parser`'s, or one with more options.

    Raises:
        SettingsError: an unknown option, with the nearest right one, or a value of a wrong type.
    """
    others, packages = take_packages(options)
    options = _with_variants(others)
    with allowed_imports(packages):
        if config is None and parser is None and not packages:
            settings = deepcopy(_parse_once(tuple(options)))
        else:
            settings = _parse(options, config, parser or experiment_parser())
    settings[_PACKAGES] = packages
    return settings


@lru_cache(maxsize=256)
def _parse_once(options: tuple[str, ...]) -> Namespace:
    """A sweep asks for the same settings many times, and checking them takes half a second."""
    return _parse(options, None, experiment_parser())


def _parse(options: Sequence[str], config: Path | None, parser: ArgumentParser) -> Namespace:
    """Check settings, with imports limited already."""
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
        for group in ("fit", "evaluation"):
            if not isinstance(settings[group], Namespace):
                raise ValueError(f"{group} must be a group of settings, not {settings[group]!r}")
        # Parsers within the parser take any beginning of an option's name for the option.
        unknown = _unknown(_still_meant(given), _settings(settings, parser))
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


def build_experiment(settings: Namespace) -> Experiment:
    """Build what checked settings describe; the networks' first weights come from ``fit.seed``.

    Raises:
        SettingsError: values that do not fit together.
    """
    parser = experiment_parser()
    kept = _kept(settings)
    try:
        fit = Fit(**kept.fit.as_dict())
        lightning.seed_everything(fit.seed, workers=True, verbose=False)
        with allowed_imports(settings.get(_PACKAGES, ())):
            built = parser.instantiate(kept)
            text = parser.dump(kept, skip_unset=False)
        built.model.prepare(built.data.size)
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    built.model.remember(parse_yaml(text)["model"])
    return Experiment(built.model, built.data, built.fit, built.evaluation, text)


def plain_settings(settings: Namespace) -> dict[str, Any]:
    """Every setting with its value, by its dotted path; chosen classes are settings too."""
    return _settings(_kept(settings), experiment_parser())


def build_model(settings: Namespace) -> InpaintingModule:
    """Build the module of checked settings alone; its first weights are drawn now.

    Raises:
        SettingsError: values that do not fit together.
    """
    try:
        with allowed_imports(settings.get(_PACKAGES, ())):
            return build_module(_plain(settings)["model"])
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error


def build_data(settings: Namespace) -> PhotoDataModule:
    """Build the photos of checked settings alone.

    Raises:
        SettingsError: values that do not fit together.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PhotoDataModule, "data")
    try:
        with allowed_imports(settings.get(_PACKAGES, ())):
            plain = {"data": _plain(settings)["data"]}
            data: PhotoDataModule = parser.instantiate(parser.parse_object(plain)).data
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    return data


def _plain(settings: Namespace) -> dict[str, Any]:
    text = experiment_parser().dump(_kept(settings), skip_unset=False)
    plain: dict[str, Any] = parse_yaml(text)
    return plain


def _kept(settings: Namespace) -> Namespace:
    """The settings of a run, without what was asked for besides."""
    return Namespace({key: settings[key] for key in SETTING_GROUPS})


def options_from(values: Mapping[str, Any]) -> list[str]:
    """A nested mapping as command-line options, for `parse_experiment`.

    ``{"data": {"size": 64}}`` becomes ``["--data.size=64"]``; dotted keys stay as they are.
    """
    return [f"--{path}={_as_text(value)}" for path, value in flatten(values)]


def _with_variants(options: Sequence[str]) -> list[str]:
    """Put the settings of each ``--variant=NAME`` in its place."""
    words: list[str] = []
    remaining = iter(options)
    for option in remaining:
        if option.partition("=")[0] != "--variant":
            words.append(option)
            continue
        name = option.partition("=")[2] if "=" in option else next(remaining, "")
        if name not in VARIANTS:
            raise SettingsError(unknown_name_message("variant", name, VARIANTS))
        words += options_from(VARIANTS[name].settings)
    return words


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
    known = _settings(settings, parser)
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


def _settings(settings: Namespace, parser: ArgumentParser) -> dict[str, Any]:
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
