"""YAML files and command-line options to checked objects.

Types and defaults come from the signatures of what is built. A dotted path names an option the
same way on the command line, in a YAML file and in a sweep's search space.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import pytorch_lightning as lightning
from jsonargparse import Namespace

from lab.checks import unknown_name_message
from lab.command_line import SETTING_GROUPS
from lab.contracts import Network, Strategy
from lab.data import PhotoDataModule
from lab.evaluation import Evaluation
from lab.formats.plain import flatten, parse_yaml
from lab.parsing import (
    ArgumentParser,
    SettingsError,
    allowed_imports,
    flat_settings,
    options_from,
    parse_options,
    take_packages,
)
from lab.strategies import Direct
from lab.training import CompletionModule, build_module
from lab.variants import VARIANTS

_PACKAGES = "allowed_imports"
_STRATEGY = "--model.strategy"

StrategyFactory = Callable[[Network], Strategy]
"""How settings name a strategy: a class with options, to be given a network."""


@dataclass(frozen=True)
class Fit:
    """How long and on what a run trains.

    Attributes:
        epochs: passes over the training samples.
        seed: of the networks' first weights and of everything drawn in training.
        precision: "float32"; "bfloat16", which halves memory traffic; or "auto", bfloat16 where the
            processor or GPU computes with it and float32 elsewhere.
        device: "auto" takes a GPU where there is one; or "cpu", "gpu".
        devices: of a machine that train together, a process each: GPUs, or with "cpu" processes.
            `data.batch_size` counts the samples of all.
        nodes: machines that train together, each with so many devices; the same command runs on
            each, and NODE_RANK and MASTER_ADDR in the environment say where it is.
        threads: processor threads of a process; None leaves PyTorch's own choice.
        compile: whether the network is compiled for its training steps, which takes minutes first;
            needs a C++ compiler, or on GPUs Triton. Judges and scoring are not.
        log_every: steps between two records of the training losses.
        checkpoint_minutes: within an epoch that takes longer, everything that going on needs is
            kept after so many minutes, so that a kill costs no more; None keeps it after epochs
            alone.
    """

    epochs: int = 50
    seed: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int | None = None
    compile: bool = False
    log_every: int = 10
    checkpoint_minutes: float | None = 10.0

    def __post_init__(self) -> None:
        """Refuse values with which nothing can run.

        Raises:
            ValueError: naming the value and its rule.
        """
        for name in ("epochs", "log_every", "devices", "nodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"fit.{name} must be at least 1, not {getattr(self, name)}")
        if self.threads is not None and self.threads < 1:
            raise ValueError(f"fit.threads must be at least 1, not {self.threads}")
        if self.checkpoint_minutes is not None and not self.checkpoint_minutes > 0:
            raise ValueError(
                f"fit.checkpoint_minutes must be above 0, not {self.checkpoint_minutes}; null "
                "keeps a run after its epochs alone"
            )
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"fit.seed must lie in 0 to 2**32 - 1, not {self.seed}")


@dataclass(frozen=True)
class Experiment:
    """Everything that one run is made of, built and checked, with the YAML that says the same.

    ``packages`` are those beside ``lab`` whose classes the settings may name; ``files`` the files
    and folders that settings name, by the setting's dotted path.
    """

    model: CompletionModule
    data: PhotoDataModule
    fit: Fit
    evaluation: Evaluation
    yaml: str
    packages: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)

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
        CompletionModule,
        "model",
        default={"class_path": "lab.training.AdversarialCompletion"},
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
    return parse_options(options, parser, config, groups=SETTING_GROUPS)


def build_experiment(settings: Namespace) -> Experiment:
    """Build what checked settings describe; the networks' first weights come from ``fit.seed``.

    Raises:
        SettingsError: values that do not fit together, or a guide that the network reads and
            a stated ``data.guides`` lacks.
    """
    parser = experiment_parser()
    kept = _kept(settings)
    try:
        fit = Fit(**kept.fit.as_dict())
        lightning.seed_everything(fit.seed, workers=True, verbose=False)
        packages = tuple(settings.get(_PACKAGES, ()))
        with allowed_imports(packages):
            built = parser.instantiate(kept)
            text = _dumped(kept, parser)
        built.data.draw_for(built.model.network)
        built.model.prepare(built.data.size)
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    built.model.remember(parse_yaml(text)["model"])
    files = {path: file for path, file in flatten(kept.as_dict()) if isinstance(file, Path)}
    return Experiment(built.model, built.data, built.fit, built.evaluation, text, packages, files)


def build_again(yaml: str, packages: Sequence[str]) -> Experiment:
    """Build what `Experiment.yaml` says, in another process."""
    with allowed_imports(packages):
        settings = experiment_parser().parse_object(parse_yaml(yaml))
    settings[_PACKAGES] = tuple(packages)
    return build_experiment(settings)


def plain_settings(settings: Namespace) -> dict[str, Any]:
    """Every setting with its value, by its dotted path; chosen classes are settings too."""
    return flat_settings(_kept(settings), experiment_parser())


def build_model(settings: Namespace) -> CompletionModule:
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


def strategy_factory(
    options: Sequence[str], trained_with: Mapping[str, Any] = MappingProxyType({})
) -> StrategyFactory:
    """What makes the strategy that options name; nothing else is parsed or built.

    Args:
        options: ``--model.strategy…``, ``--variant=NAME`` of a variant without training, and
            ``"--allow-imports", "PACKAGE"``.
        trained_with: the strategy in the settings of a run, which the options go on top of.

    Raises:
        SettingsError: options that change more than the strategy, or do not fit it.
    """
    others, packages = take_packages(options)
    asked = _with_variants(others)
    for option in asked:
        name = option.partition("=")[0]
        if name.startswith("--") and not f"{name}.".startswith(f"{_STRATEGY}."):
            raise SettingsError(
                f"{' '.join(others)} changes more than the strategy, and a trained network has "
                f"only that left to choose: give {_STRATEGY}… or a variant without training"
            )
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument(_STRATEGY, type=StrategyFactory, default=Direct)
    trained = options_from({_STRATEGY.removeprefix("--"): trained_with}) if trained_with else []
    try:
        with allowed_imports(packages):
            made = parser.instantiate(parse_options([*trained, *asked], parser))
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    factory: StrategyFactory = made.model.strategy
    return factory


def _plain(settings: Namespace) -> dict[str, Any]:
    plain: dict[str, Any] = parse_yaml(_dumped(_kept(settings), experiment_parser()))
    return plain


def _dumped(kept: Namespace, parser: ArgumentParser) -> str:
    # Values were checked as they were parsed; once more takes three times as long as writing them.
    text: str = parser.dump(kept, skip_unset=False, skip_validation=True)
    return text


def _kept(settings: Namespace) -> Namespace:
    """The settings of a run, without what was asked for besides."""
    return Namespace({key: settings[key] for key in SETTING_GROUPS})


def _with_variants(options: Sequence[str]) -> list[str]:
    """Put the settings of each ``--variant=NAME``, or ``NAME+NAME``, in its place."""
    words: list[str] = []
    remaining = iter(options)
    for option in remaining:
        if option.partition("=")[0] != "--variant":
            words.append(option)
            continue
        names = option.partition("=")[2] if "=" in option else next(remaining, "")
        for name in names.split("+"):
            if name not in VARIANTS:
                raise SettingsError(unknown_name_message("variant", name, VARIANTS))
            words += options_from(VARIANTS[name].settings)
    return words
