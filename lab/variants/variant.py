"""What a documented variant is: a choice of the parts that combine, under a name; and its call."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, TypeVar

from lab.checks import UserError, unknown_name_message
from lab.formats.plain import parse_yaml
from lab.losses import INPAINT_SANET_WEIGHTS
from lab.parsing import (
    ArgumentParser,
    SettingsError,
    flat_settings,
    options_from,
    parse_options,
)
from lab.training import CompletionModule, build_module

# Settings read from YAML try the types from left to right: 1 stays a whole number.
Value = bool | int | float | str | None

Setting = Value | list[Any]
"""What a variant sets: a value; or several, such as phases and guides."""

Make = TypeVar("Make", bound=Callable[..., CompletionModule])


@dataclass(frozen=True)
class Variant:
    """An idea of the background notes, or the training of a published network, as settings.

    ``--variant=NAME`` puts ``settings`` in its place: options after it go on top, and several
    variants combine.

    Attributes:
        name: of its function, and what ``--variant`` takes.
        number: in the notes, such as ``"V3.1.1"``; what is not in them has its system's name.
        title: what it changes, in a few words.
        card: what was tried, found and wrong: the docstring of its function.
        settings: by dotted path, as on the command line of ``lab.train``.
        is_trained: whether it changes the training. If not, it is put on a network that is there.
    """

    name: str
    number: str
    title: str
    card: str
    settings: Mapping[str, Setting]
    is_trained: bool

    def of_group(self, group: str) -> dict[str, Setting]:
        """Its settings of one group (``model``, ``data``, ``evaluation``), by path below it."""
        return {
            path.removeprefix(f"{group}."): value
            for path, value in self.settings.items()
            if path.startswith(f"{group}.")
        }


DOCUMENTED: dict[str, Variant] = {}
"""Every variant by its name, as its file says it."""


def documented(
    number: str, title: str, settings: Mapping[str, Setting], is_trained: bool = True
) -> Callable[[Make], Make]:
    """Enter a function as a documented variant; its docstring is the card.

    Args:
        number: in the notes, or the system's name.
        title: what it changes, in a few words.
        settings: by dotted path.
        is_trained: whether it changes the training.
    """

    def enter(make: Make) -> Make:
        card = cleandoc(make.__doc__ or "")
        DOCUMENTED[make.__name__] = Variant(
            make.__name__, number, title, card, settings, is_trained
        )
        return make

    return enter


def weighted(**weights: float) -> dict[str, Setting]:
    """Settings of an objective that has these terms and no others, by their weights."""
    others = dict.fromkeys(INPAINT_SANET_WEIGHTS.active(), 0.0)
    return {f"model.objective.weights.{term}": value for term, value in (others | weights).items()}


def adam(
    generator: float, discriminator: float | None, betas: tuple[float, float]
) -> dict[str, Setting]:
    """Settings of Adam: its learning rates and its two decay rates.

    Args:
        generator: learning rate of the network.
        discriminator: of the judges; None where there are none.
        betas: of both.
    """
    settings: dict[str, Setting] = {
        "model.optimization.generator_learning_rate": generator,
        "model.optimization.betas": list(betas),
    }
    if discriminator is not None:
        settings["model.optimization.discriminator_learning_rate"] = discriminator
    return settings


def build_variants(
    names: Sequence[str],
    options: Mapping[str, object] | None = None,
    settings: Mapping[str, object] | None = None,
) -> CompletionModule:
    """Build the LightningModule that variants train by, ready for any trainer.

    The first weights come from PyTorch's generator: `pytorch_lightning.seed_everything` before it
    makes them the same again. What a variant says of the photos, the module holds its trainer to.

    Args:
        names: of variants; later ones go on top. None is the published network.
        options: settings by their last word: ``{"width": 16}`` is the network's width.
        settings: by dotted path below ``model``, such as ``{"objective.weights.ms_ssim": 1.0}``.

    Raises:
        UserError: an unknown variant or setting, with the nearest; a word that several settings end
            with; a variant about how photos are scored, and not about the module.
    """
    chosen = [_variant(name) for name in names]
    parser = _parser()
    of_variants = [
        option
        for variant in chosen
        for path, value in variant.settings.items()
        if path == "model" or path.startswith("model.")
        for option in options_from({path: value})
    ]
    known = flat_settings(parse_options(of_variants, parser), parser)
    changed = {f"model.{path}": value for path, value in (settings or {}).items()}
    changed |= {_path_of(word, known): value for word, value in (options or {}).items()}
    parsed = parse_options([*of_variants, *options_from(changed)], parser)
    plain: dict[str, Any] = parse_yaml(parser.dump(parsed, skip_unset=False))
    try:
        module = build_module(plain["model"])
    except (OSError, TypeError, ValueError) as error:
        raise SettingsError(str(error)) from error
    for variant in chosen:
        module.expected_data |= variant.of_group("data")
    return module


def _variant(name: str) -> Variant:
    if name not in DOCUMENTED:
        raise UserError(unknown_name_message("variant", name, DOCUMENTED))
    variant = DOCUMENTED[name]
    if scoring := variant.of_group("evaluation"):
        raise UserError(
            f"{name} sets evaluation.{next(iter(scoring))}, which is about how photos are scored "
            f"and not about the module: python -m lab.evaluate --variant={name}"
        )
    return variant


def _parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_subclass_arguments(
        CompletionModule,
        "model",
        default={"class_path": "lab.training.AdversarialCompletion"},
        required=False,
    )
    return parser


def _path_of(word: str, known: Mapping[str, object]) -> str:
    """The dotted path of the setting of a module that ends with a word."""
    found = [path for path in known if path.endswith(f".{word}")]
    of_network = f"model.network.{word}"
    if of_network in found or len(found) == 1:
        return of_network if of_network in found else found[0]
    if not found:
        words = {path.rsplit(".", 1)[-1] for path in known}
        raise UserError(unknown_name_message("setting of a module", word, words))
    paths = ", ".join(re.sub(r"^model\.", "", path) for path in found)
    raise UserError(f"{word} could be any of {paths}: give settings={{PATH: VALUE}}")
