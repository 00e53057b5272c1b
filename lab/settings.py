"""YAML files and command-line options to checked objects.

Types and defaults come from the signatures of what is built. A dotted path names an option the
same way on the command line, in a YAML file and in a sweep's search space.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as lightning
import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, set_parsing_settings
from torch import Tensor

from lab.checks import UserError, unknown_name_message
from lab.contracts import Network, Stages, Strategy
from lab.data import PhotoDataModule
from lab.evaluation import Evaluation
from lab.variants import VARIANTS, InpaintingModule, build_module

# Without this, a part that is called and returns a tensor (a mask generator, a strategy) is taken
# for a factory of tensors where it is nested in another part's arguments.
set_parsing_settings(subclasses_disabled=[Tensor, Stages])


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
        plain: dict[str, Any] = yaml.safe_load(self.yaml)
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
            the settings of that documented variant.
        config: a YAML file that the options go on top of.
        parser: `experiment_parser`'s, or one with more options.

    Raises:
        SettingsError: an unknown option, with the nearest right one, or a value of a wrong type.
    """
    parser = parser or experiment_parser()
    arguments = [f"--config={config}"] if config else []
    options = _with_variants(options)
    given = list(options)
    try:
        if config is not None:
            content = yaml.safe_load(config.read_text())
            if not isinstance(content, Mapping):
                raise ValueError(f"{config} must be a mapping of settings, such as data: {{…}}")
            given = [*options_from(content), *options]
        settings = parser.parse_args([*arguments, *options])
        for group in ("fit", "evaluation"):
            if not isinstance(settings[group], Namespace):
                raise ValueError(f"{group} must be a group of settings, not {settings[group]!r}")
        # Parsers within the parser take any beginning of an option's name for the option.
        unknown = _unknown(_still_meant(given), _settings(settings, parser))
    except OSError as error:
        raise SettingsError(f"{config} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{config} is not YAML: {error}") from error
    except (ArgumentError, AttributeError, TypeError, ValueError) as error:
        raise SettingsError(_explain(str(error), parser, given)) from error
    if unknown:
        raise SettingsError(unknown[0])
    return settings


def build_experiment(settings: Namespace) -> Experiment:
    """Build what checked settings describe; the networks' first weights come from ``fit.seed``.

    Raises:
        SettingsError: values that do not fit together.
    """
    parser = experiment_parser()
    kept = Namespace({key: settings[key] for key in ("model", "data", "fit", "evaluation")})
    try:
        fit = Fit(**kept.fit.as_dict())
        lightning.seed_everything(fit.seed, workers=True, verbose=False)
        built = parser.instantiate(kept)
        built.model.prepare(built.data.size)
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    text = parser.dump(kept, skip_unset=False)
    built.model.remember(yaml.safe_load(text)["model"])
    return Experiment(built.model, built.data, built.fit, built.evaluation, text)


def plain_settings(settings: Namespace) -> dict[str, Any]:
    """Every setting with its value, by its dotted path; chosen classes are settings too."""
    return _settings(settings, experiment_parser())


def build_model(settings: Namespace) -> InpaintingModule:
    """Build the module of checked settings alone; its first weights are drawn now.

    Raises:
        SettingsError: values that do not fit together.
    """
    try:
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
        data: PhotoDataModule = parser.instantiate(
            parser.parse_object({"data": _plain(settings)["data"]})
        ).data
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    return data


def _plain(settings: Namespace) -> dict[str, Any]:
    plain: dict[str, Any] = yaml.safe_load(experiment_parser().dump(settings, skip_unset=False))
    return plain


def options_from(values: Mapping[str, Any]) -> list[str]:
    """A nested mapping as command-line options, for `parse_experiment`.

    ``{"data": {"size": 64}}`` becomes ``["--data.size=64"]``; dotted keys stay as they are.
    """
    return [f"--{path}={_as_text(value)}" for path, value in _flatten(values)]


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


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    # A class goes first: options of its arguments are checked against it.
    for key in sorted(values, key=lambda name: name != "class_path"):
        path, value = f"{prefix}{key}", values[key]
        if key == "class_path":
            yield prefix.removesuffix("."), value
        elif isinstance(value, Mapping):
            yield from _flatten(value, prefix if key == "init_args" else f"{path}.")
        else:
            yield path, value


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
    unknown = _unknown(
        [option for option in given if _path(option).rsplit(".", 1)[-1] in message],
        _settings(settings, parser),
    )
    return unknown[0] if unknown else message


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
    return dict(_flatten(yaml.safe_load(dumped)))


def _unknown(given: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    """What to say about each option that is none of the known ones."""
    lists = [path for path, value in known.items() if isinstance(value, list)]
    messages = []
    for path in map(_path, given):
        if path in known or any(path.startswith(f"{several}.") for several in lists):
            continue
        within = [other for other in known if other.startswith(f"{path}.")]
        if within:
            messages.append(
                f"--{path} is a group of settings, not one: set --{within[0]} and so on"
            )
            continue
        near = difflib.get_close_matches(path, known, n=1, cutoff=0.5)
        leaf = path.rsplit(".", 1)[-1]
        same_leaf = [other for other in known if other.rsplit(".", 1)[-1] == leaf]
        nearest = min(same_leaf, key=len) if same_leaf else (near[0] if near else None)
        hint = f" The nearest is --{nearest}" if nearest else ""
        messages.append(f"there is no setting --{path}.{hint}")
    return messages
