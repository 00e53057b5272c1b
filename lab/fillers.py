"""What fills a hole, however it is named: a network's file with its strategy, or a method.

The settings of a run take seconds to import; `lab.strategies.open_method` does without.
"""

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

    Raises:
        UserError: several or an unknown method, options that are not of a strategy, no such device.
        FileNotFoundError, UnreadableCheckpointError: the checkpoint or the model.
    """
    if sum(one is not None for one in (checkpoint, method, model)) > 1:
        raise UserError("a checkpoint, a model and a method all fill the hole: name one of them")
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
        network, settings = opened, opened.card.settings
    else:
        place = compute_device(device)
        module, settings = load_with_settings(path)
        network = module = module.to(place)
    make = strategy_factory(options, _trained_with(path, settings))
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


def _trained_with(checkpoint: Path, text: str) -> Mapping[str, Any]:
    """The strategy in a checkpoint's own settings; empty for a published one."""
    try:
        settings = parse_yaml(text, "the text in it") or {}
        model = settings.get("model", {})
        strategy = model.get("init_args", model).get("strategy", {})
        if not isinstance(strategy, Mapping):
            raise TypeError(f"the strategy {strategy!r} is no group of settings")
    except (AttributeError, TypeError, ValueError) as error:
        raise UnreadableCheckpointError(checkpoint, f"its settings are damaged: {error}") from error
    return strategy
