"""What fills a hole, however it is named: a network's file with its strategy, or a method.

The settings of a run take seconds to import; `lab.strategies.open_method` does without.
"""

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lab.checks import UserError
from lab.contracts import Network
from lab.deployment import load_model
from lab.devices import Device, compute_device
from lab.formats.plain import parse_yaml
from lab.guides import guides_of
from lab.networks import (
    NETWORKS,
    MissingWeightsError,
    UnreadableCheckpointError,
    cache_folder,
    load_with_settings,
)
from lab.parsing import take_packages
from lab.settings import strategy_factory
from lab.strategies import EdgeDrawing, Filler, Tiled, TileReport, open_method

PRESET_NETWORK = "DeepFillv2"
"""The network whose sizes ``--preset`` means: the one that the deployment notes compressed."""

TILE = 512
"""The largest side of what a network is shown at once, in pixels: memory stays that of one tile."""


def open_filler(
    checkpoint: str | Path | None = None,
    method: str | None = None,
    options: Sequence[str] = (),
    tile: int = TILE,
    device: Device = "auto",
    on_tile: TileReport | None = None,
    model: str | Path | None = None,
    preset: str | None = None,
) -> Filler:
    """Open what fills holes.

    A checkpoint completes by the strategy that it was trained with, unless ``options`` name
    another; so does a model that was exported of one. Where they do not, photos above ``tile``
    pixels are cut into tiles that overlap.

    Args:
        checkpoint: a run's network or a published one.
        method: one of `lab.strategies.METHODS`; None without a network is `DEFAULT_METHOD`.
        options: ``--variant=NAME`` of a variant without training, or ``--model.strategy…``; and
            ``"--allow-imports", "PACKAGE"`` for strategies that are not of ``lab``.
        tile: largest side of a tile in pixels; 0 always completes the photo whole.
        device: where it computes; a method without a network on the CPU, unless "gpu" is asked for;
            a model always.
        on_tile: is told of each tile as it begins.
        model: a file that ``lab.export`` wrote: no network is built, onnxruntime computes it.
        preset: a person's own weights in this size (`locate_preset`), a checkpoint or a model.

    Raises:
        UserError: several or an unknown method, options that are not of a strategy, no such device,
            a preset's file that holds another network or size.
        FileNotFoundError, UnreadableCheckpointError: the checkpoint or the model.
        ValueError, MissingWeightsError: there is no such preset, or no file of it.
    """
    if sum(one is not None for one in (checkpoint, method, model, preset)) > 1:
        raise UserError(
            "a checkpoint, a model, a preset and a method all fill the hole: name one of them"
        )
    if preset is not None:
        found = locate_preset(preset)
        checkpoint, model = (None, found) if found.suffix == ".onnx" else (found, None)
    if checkpoint is None and model is None:
        if options:
            raise UserError(
                f"{options[0]} is put on a trained network: name one by checkpoint (--checkpoint)"
            )
        return open_method(method, device)
    path = Path(checkpoint or model or "").expanduser()
    network: Network
    module: nn.Module | None = None
    if model is not None:
        if device == "gpu":
            raise UserError("a model is computed on the processor: leave the device at auto")
        place, opened = torch.device("cpu"), load_model(path)
        network, settings, name = opened, opened.card.settings, opened.card.network
    else:
        place = compute_device(device)
        module, settings = load_with_settings(path)
        network = module = module.to(place)
        name = type(module).__name__
    if preset is not None:
        _refuse_another_size(path, preset, name, module, settings)
    make = strategy_factory(options, _settings_of(path, settings).get("strategy", {}))
    if not tile or take_packages(options)[0]:
        tile = 0
    else:
        shared = tile // 8
        make = partial(
            Tiled,
            inner=make,
            tile=tile,
            overlap=shared,
            context=shared,
            blending="smooth",
            on_tile=on_tile,
        )
    drawing = None if module is None else partial(EdgeDrawing, module, make)
    return Filler(path.name, make(network), place, tile, guides_of(network), drawing)


def locate_preset(preset: str) -> Path:
    """The file with a person's own weights of a preset: a model, or else a checkpoint.

    Raises:
        ValueError: there is no such preset; says the nearest.
        MissingWeightsError: there is no file; says where it is looked for, and how one is made.
    """
    NETWORKS[PRESET_NETWORK].preset(preset)
    names = [f"{PRESET_NETWORK}-{preset}{suffix}" for suffix in (".onnx", ".pt")]
    for name in names:
        if (cache_folder() / name).is_file():
            return cache_folder() / name
    variant = "deepfill_v2" if preset == "full" else f"deepfill_v2_{preset}"
    raise MissingWeightsError(
        f"nobody publishes weights of {PRESET_NETWORK} in the size {preset}, and {cache_folder()} "
        f"has none: train them (python -m lab.train --variant={variant}), and put the checkpoint "
        f"there as {names[1]}, or what python -m lab.export makes of it as {names[0]}; or name a "
        "file by --checkpoint or --model"
    )


def _refuse_another_size(
    path: Path, preset: str, name: str, module: nn.Module | None, settings: str
) -> None:
    """Raise ``UserError`` where a preset's file holds another network, or another size of it.

    A model says its size by the settings of the run that it was made of, if there was one.
    """
    registered = NETWORKS[PRESET_NETWORK]
    if name != PRESET_NETWORK:
        raise UserError(f"{path} is to hold {PRESET_NETWORK} in the size {preset}, but has {name}")
    wanted = registered.preset(preset).arguments
    told = _settings_of(path, settings).get("network", {}).get("init_args", {})
    varied = {argument for other in registered.presets.values() for argument in other.arguments}
    for argument in sorted(varied):
        default = inspect.signature(registered.build).parameters[argument].default
        right = wanted.get(argument, default)
        its = told.get(argument, right) if module is None else getattr(module, argument)
        if its != right:
            raise UserError(
                f"{path} is to hold {PRESET_NETWORK} in the size {preset}, with {argument} "
                f"{right}, but it has {argument} {its}: put it there under the name of its own "
                "size, or name it by --checkpoint or --model"
            )


def _settings_of(checkpoint: Path, text: str) -> Mapping[str, Any]:
    """What a checkpoint's own settings say of its model; empty for a published one."""
    try:
        settings = parse_yaml(text, "the text in it") or {}
        model = settings.get("model", {})
        parts: Mapping[str, Any] = model.get("init_args", model)
        for part in ("network", "strategy"):
            if not isinstance(parts.get(part, {}), Mapping):
                raise TypeError(f"the {part} {parts[part]!r} is no group of settings")
    except (AttributeError, TypeError, ValueError) as error:
        raise UnreadableCheckpointError(checkpoint, f"its settings are damaged: {error}") from error
    return parts
