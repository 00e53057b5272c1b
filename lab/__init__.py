"""The workbench for background inpainting: take a person out, restore, measure.

In a notebook, each one line::

    module = lab.variant("both_gates", width=16)    # a LightningModule
    photos = lab.photos("folder", size=64)          # a LightningDataModule
    study = lab.open_study("runs/loss_weights")     # .results, .scores, .losses, .epochs
    result = lab.complete("photo.jpg", "mask.png", checkpoint="epoch-008.pt")
    lab.compare(["a.pt", "b.pt", "telea"], "photo.jpg", "mask.png")
    lab.show(result)
    lab.list_networks("LaMa", "RFR")                # what they cost, what they load

Nothing heavy is imported before a name is used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.network_table import list_networks
    from lab.results import open_run, open_study
    from lab.shortcuts import compare, complete, list_variants, photos, variant
    from lab.widgets import show

# Read by OpenMP when PyTorch is imported. Threads that wait for each other turn round and round
# before they sleep, 300,000 times by default; beside other work on the machine, what they wait for
# cannot run meanwhile, and a fill takes many times as long (`python -m tests.benchmarks.busy`).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__all__ = [
    "compare",
    "complete",
    "list_networks",
    "list_variants",
    "open_run",
    "open_study",
    "photos",
    "show",
    "variant",
]

_HOMES = {
    "list_networks": "lab.network_table",
    "open_run": "lab.results",
    "open_study": "lab.results",
    "show": "lab.widgets",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"lab has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES.get(name, "lab.shortcuts")), name)


def __dir__() -> list[str]:
    return __all__
