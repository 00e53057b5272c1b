"""The table of networks: what each is, what a photo costs it, and which weights it loads."""

from collections.abc import Callable

import pandas as pd
import torch
from torch import nn

from lab.checks import UserError, unknown_name_message
from lab.cost import count_multiply_adds, count_parameters, measure_cost
from lab.guides import guides_of
from lab.networks import NETWORKS
from lab.strategies import Direct

PHOTO_SIZE = 256
"""Side of the photo that costs are of, in pixels."""


def list_networks(*names: str, measure: bool = False) -> pd.DataFrame:
    """Every network, or those named, as it is built without arguments: a row each, by its name.

    Counting takes about a second a network, measuring up to a minute.

    Args:
        names: of `lab.networks.NETWORKS`; none for all.
        measure: complete photos on the processor for time and memory, too.

    Returns:
        pd.DataFrame: with the columns

        - ``paper``: authors, title, where and when;
        - ``code``: the published code that it is equal to; empty for networks of our own;
        - ``licence``: of that code and its weights; empty for networks of our own;
        - ``guides``: the names of what it reads beside photo and mask, a tuple;
        - ``weights``: the pages where weights that it loads are published, a tuple;
        - ``parameters``, ``multiply_adds``, and if measured ``milliseconds`` and ``peak_bytes``: of
          one photo of 256x256 pixels, as `lab.cost.Cost` has them.

    Raises:
        UserError: there is no network of a name; says the nearest.
    """
    for name in names:
        if name not in NETWORKS:
            raise UserError(unknown_name_message("network", name, NETWORKS))
    rows = {name: _row(name, measure) for name in names or NETWORKS}
    return pd.DataFrame.from_dict(rows, orient="index")


def _row(name: str, measure: bool) -> dict[str, object]:
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
        "parameters": count_parameters(network),
        **(_measured(registered.build) if measure else _counted(registered.build)),
    }


def _counted(build: Callable[[], nn.Module]) -> dict[str, object]:
    return {"multiply_adds": count_multiply_adds(build, PHOTO_SIZE)}


def _measured(build: Callable[[], nn.Module]) -> dict[str, object]:
    with torch.random.fork_rng(devices=()):
        network = build()
    cost = measure_cost(Direct(network), network, PHOTO_SIZE)
    return {
        "multiply_adds": cost.multiply_adds,
        "milliseconds": cost.milliseconds,
        "peak_bytes": cost.peak_bytes,
    }
