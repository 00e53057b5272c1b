"""Network checkpoints: one file that holds a network's weights and what it takes to rebuild it.

Files made here carry the network's name and arguments. Published checkpoints, which carry tensors
alone, are told by their tensor names and turned into ours by a pure renaming function.
"""

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from lab.checks import unknown_name_message
from lab.networks.building import build_with_weights, named_tensors, plain_arguments
from lab.networks.registry import NETWORKS, PublishedForm
from lab.networks.weight_files import (
    MissingWeightsError,
    UnreadableCheckpointError,
    locate_or_download,
    read_checkpoint,
)
from lab.untrusted import printable

CHECKPOINT_FORMAT = "background-inpainting network 1"

_MOST_EPOCHS = 10**6


def create(
    name: str,
    weights: Path | str | None = None,
    preset: str | None = None,
    **arguments: Any,  # noqa: ANN401 (each network has its own)
) -> nn.Module:
    """Build any network by its name.

    Args:
        name: of `NETWORKS`.
        weights: a checkpoint's path; ``"published"``, or the name of one of its published files,
            which is fetched and verified; None draws first weights from PyTorch's generator.
        preset: one of its sizes, such as ``"600m"`` (`RegisteredNetwork.presets`), as arguments.
        arguments: its constructor's. With weights they only say what is expected of them.

    Returns:
        nn.Module: in eval mode if it has weights, else in training mode.

    Raises:
        ValueError: an unknown name or preset, with the nearest; weights of another network, or that
            do not fit the arguments.
        MissingWeightsError: no file of that name can be fetched; says where to look.
        FileNotFoundError, UnreadableCheckpointError: as `load_network`.
    """
    if name not in NETWORKS:
        raise ValueError(unknown_name_message("network", name, NETWORKS))
    registered = NETWORKS[name]
    if preset is not None:
        arguments = {**registered.preset(preset).arguments, **arguments}
    if weights is None:
        return registered.build(**arguments)
    network = load_network(_weight_path(name, weights))
    if type(network) is not registered.build:
        raise ValueError(f"{weights} holds {type(network).__name__}, not {name}")
    for argument, value in arguments.items():
        found = getattr(network, argument, None)
        if found != value:
            raise ValueError(
                f"the weights of {weights} are for {argument}={found!r}, not {value!r}"
            )
    return network


def _weight_path(name: str, weights: Path | str) -> Path:
    forms = NETWORKS[name].published
    files = {short: file for form in forms for short, file in form.files.items()}
    if weights in files:
        return locate_or_download(files[str(weights)])
    if weights != "published":
        return Path(weights)
    if not files:
        pages = " or ".join(form.address for form in forms) or "nowhere"
        raise MissingWeightsError(
            f"no file of {name} can be fetched and verified: its weights are published at {pages}. "
            "Fetch a file there, and give its path as weights"
        )
    return locate_or_download(next(iter(files.values())))


def describe_network(network: nn.Module, epoch: int, settings: str) -> dict[str, Any]:
    """What `load_network` needs to build ``network`` again: tensors, strings and numbers only.

    A network keeps each of its constructor's arguments as an attribute of the same name.

    Args:
        network: one of `NETWORKS`.
        epoch: completed epochs of training.
        settings: the YAML that reproduces the run, kept for whoever finds the file alone.
    """
    arguments = {
        name: getattr(network, name) for name in inspect.signature(type(network)).parameters
    }
    return {
        "format": CHECKPOINT_FORMAT,
        "network": type(network).__name__,
        "arguments": arguments,
        "state": {name: tensor.cpu() for name, tensor in network.state_dict().items()},
        "epoch": epoch,
        "settings": settings,
    }


def load_network(path: Path | str) -> nn.Module:
    """Build the network of a checkpoint, with its weights, in eval mode on the processor.

    Args:
        path: a run's ``checkpoints/epoch-NNN.pt``, or a published checkpoint of a network that the
            workbench knows (`NETWORKS`).

    Raises:
        FileNotFoundError: no such file.
        UnreadableCheckpointError: not a checkpoint, one that holds more than tensors and plain
            values, one of an unknown network, or one whose tensors do not fit.
    """
    return _network_of(Path(path), read_checkpoint(Path(path)))


def load_with_settings(path: Path | str) -> tuple[nn.Module, str]:
    """As `load_network`, with the YAML of the run that wrote the file; empty for a published one.

    Raises:
        FileNotFoundError, UnreadableCheckpointError: as `load_network`.
    """
    content = read_checkpoint(Path(path))
    return _network_of(Path(path), content), _settings_of(content)


def _network_of(path: Path, content: Mapping[str, Any]) -> nn.Module:
    try:
        if content.get("format") == CHECKPOINT_FORMAT:
            name = str(content["network"])
            if name not in NETWORKS:
                raise KeyError(unknown_name_message("network", name, NETWORKS))
            build = partial(NETWORKS[name].build, **plain_arguments(content["arguments"]))
            _epoch_of(content)
            return build_with_weights(path, build, named_tensors(content["state"]))
        state = named_tensors(_unwrapped(content))
        for form in _published_forms():
            if form.recognizes(state):
                return build_with_weights(path, *form.plan(state))
    except UnreadableCheckpointError:
        raise
    # What a file says of its network can be wrong in any way.
    except Exception as error:
        raise UnreadableCheckpointError(path, f"its tensors do not fit: {error}") from error
    found = ", ".join(map(printable, list(content)[:4]))
    raise UnreadableCheckpointError(
        path,
        f"no network of the workbench has such tensors (it begins with: {found}). A run's network "
        "checkpoints are its checkpoints/epoch-NNN.pt; its .ckpt files only resume training",
    )


def checkpoint_epoch(path: Path | str) -> int:
    """After how many epochs a run wrote the checkpoint; 0 for a published one.

    Raises:
        FileNotFoundError, UnreadableCheckpointError: as `load_network`.
    """
    content = read_checkpoint(Path(path))
    if content.get("format") != CHECKPOINT_FORMAT:
        return 0
    try:
        return _epoch_of(content)
    except ValueError as error:
        raise UnreadableCheckpointError(path, str(error)) from error


def _settings_of(content: Mapping[str, Any]) -> str:
    return str(content.get("settings", "")) if content.get("format") == CHECKPOINT_FORMAT else ""


def _published_forms() -> list[PublishedForm]:
    return [form for network in NETWORKS.values() for form in network.published]


def _epoch_of(content: Mapping[str, Any]) -> int:
    epoch = content.get("epoch")
    if type(epoch) is not int or not 0 <= epoch < _MOST_EPOCHS:
        raise ValueError(f"its epoch is {epoch!r}, but must be a whole number from 0 on")
    return epoch


def _unwrapped(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dict of a published file, which may wrap it under a name of its own."""
    for wrapper in ("netG_state_dict", "state_dict", "generator", "model", "G"):
        if isinstance(content.get(wrapper), Mapping):
            wrapped: Mapping[str, Any] = content[wrapper]
            return wrapped
    return content
