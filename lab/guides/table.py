"""The one table of guides."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from lab.checks import UserError, unknown_name_message
from lab.guides.edges import EDGES
from lab.guides.guide import Guide
from lab.guides.instances import INSTANCES
from lab.guides.noise import NOISE
from lab.guides.sketch import SKETCH

GUIDES: Mapping[str, Guide] = MappingProxyType(
    {"edges": EDGES, "sketch": SKETCH, "instances": INSTANCES, "noise": NOISE}
)
"""By the name that networks, settings and batches call it."""


def check_guide_names(names: Iterable[str]) -> None:
    """Raise ``UserError`` for a guide that there is not; names the nearest."""
    for name in names:
        if name not in GUIDES:
            raise UserError(unknown_name_message("guide", name, GUIDES))
