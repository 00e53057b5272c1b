"""The table of networks: what each is, what a photo costs it, and which weights it loads."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import pandas as pd
import torch
from torch import nn

from lab.checks import UserError, unknown_name_message
from lab.cost import count_multiply_adds, count_parameters, measure_cost
from lab.guides import guides_of
from lab.networks import NETWORKS, create
from lab.strategies import Direct

PHOTO_SIZE = 256
"""Side of the photo that costs are of, in pixels, unless another is asked for."""

_LEAST_SIZE = 32


def list_networks(*names: str, measure: bool = False, size: int = PHOTO_SIZE) -> pd.DataFrame:
    """Every network, or those named, as it is built without arguments: a row each, by its name.

    Counting takes about a second a network, measuring up to a minute.

    Args:
        names: of `lab.networks.NETWORKS`; none for all.
        measure: complete photos on the processor for time and memory, too.
        size: side of the photo, in pixels, at least 32.

    Returns:
        pd.DataFrame: with the columns

        - ``paper``: authors, title, where and when;
        - ``code``: the published code that it is equal to; empty for networks of our own;
        - ``licence``: of that code and its weights; empty for networks of our own;
        - ``guides``: the names of what it reads beside photo and mask, a tuple;
        - ``weights``: the pages where weights that it loads are published, a tuple;
        - ``parameters``, ``multiply_adds``, and if measured ``milliseconds`` and ``peak_bytes``: of
          one photo of ``size`` x ``size`` pixels, as `lab.cost.Cost` has them.

    Raises:
        UserError: there is no network of a name; says the nearest. The photo is too small.
    """
    if size < _LEAST_SIZE:
        raise UserError(f"the photo's side is {size}, but must be at least {_LEAST_SIZE} pixels")
    for name in names:
        _check_known(name)
    rows = {name: _row(name, measure, size) for name in names or NETWORKS}
    return pd.DataFrame.from_dict(rows, orient="index")


def list_presets(*names: str, measure: bool = True) -> pd.DataFrame:
    """The compression ladder: every preset of every network, or of those named, a row each.

    A preset is named by what its **convolutions** take, as the deployment notes count; what
    attention takes beside them grows with the square of the pixels.

    Args:
        names: of `lab.networks.NETWORKS`; none for all that have presets.
        measure: complete photos on the processor for time and memory, too: some seconds a preset.

    Returns:
        pd.DataFrame: by network and preset, with the columns

        - ``photo_size``: side of the photo, in pixels;
        - ``stated``: multiply-adds of the convolutions by the preset's name;
        - ``convolutions``, ``multiply_adds``, ``parameters``, and if measured ``milliseconds`` and
          ``peak_bytes``: as `lab.cost.Cost` has them.

    Raises:
        UserError: there is no network of a name, or it has no presets.
    """
    for name in names:
        _check_known(name)
        NETWORKS[name].check_presets()
    rows = {
        (network, name): {
            "photo_size": preset.photo_size,
            "stated": preset.convolutions,
            **_cost(partial(create, network, preset=name), preset.photo_size, measure),
        }
        for network in names or NETWORKS
        for name, preset in NETWORKS[network].presets.items()
    }
    index = pd.MultiIndex.from_tuples(rows, names=["network", "preset"])
    return pd.DataFrame(list(rows.values()), index=index)


def _check_known(name: str) -> None:
    if name not in NETWORKS:
        raise UserError(unknown_name_message("network", name, NETWORKS))


def _row(name: str, measure: bool, size: int) -> dict[str, object]:
    registered = NETWORKS[name]
    # Not its class: what a network reads may depend on its arguments.
    with torch.device("meta"):
        network = registered.build()
    return {
        "paper": registered.paper,
        "code": registered.code,
        "licence": registered.licence,
        "guides": guides_of(network),
        "weights": tuple(dict.fromkeys(form.address for form in registered.published)),
        **{
            what: value
            for what, value in _cost(registered.build, size, measure).items()
            if what != "convolutions"
        },
    }


def _cost(build: Callable[[], nn.Module], size: int, measure: bool) -> dict[str, object]:
    if measure:
        with torch.random.fork_rng(devices=()):
            network = build()
        return asdict(measure_cost(Direct(network), network, size))
    with torch.device("meta"):
        parameters = count_parameters(build())
    return {
        "parameters": parameters,
        **count_multiply_adds(build, size)._asdict(),
    }
