"""The one table of networks. Each network's own file puts itself in, with all that is known of it.

A name outside this table is never built from a checkpoint, so that reading a file runs no code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from lab.checks import UserError, unknown_name_message
from lab.networks.weight_files import WeightFile

State = Mapping[str, Tensor]
"""A network's tensors by name."""

Plan = tuple[Callable[[], nn.Module], State]
"""What builds a network, and its tensors by the names that it calls them."""


@dataclass(frozen=True)
class PublishedForm:
    """One form in which others publish weights of a network.

    Attributes:
        recognizes: whether tensors, by their published names, are of this form.
        plan: what builds the network that they are of, and its tensors renamed; raises KeyError,
            RuntimeError or ValueError for tensors that do not fit.
        address: the page where their authors offer them.
        files: whole files that can be fetched and verified, by a short name; the first is meant by
            ``weights="published"``. Empty where nobody states a SHA-256.
    """

    recognizes: Callable[[State], bool]
    plan: Callable[[State], Plan]
    address: str
    files: Mapping[str, WeightFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Preset:
    """A size of a network under a name.

    Attributes:
        arguments: of its constructor; the others keep their defaults.
        photo_size: side of the photos that it is meant for, in pixels.
        convolutions: multiply-adds that they take there, as its name says it.
    """

    arguments: Mapping[str, Any]
    photo_size: int
    convolutions: float


@dataclass(frozen=True)
class RegisteredNetwork:
    """A network by its name, and what is known of it.

    Attributes:
        build: its class; constructor arguments are kept as attributes of the same names.
        paper: authors, title, where and when.
        code: the published code that it is equal to; empty for networks of our own.
        licence: of that code and its weights; ours where there is none.
        published: the forms in which its weights are published.
        presets: its sizes by name, from the largest.
    """

    build: type[nn.Module]
    paper: str
    code: str
    licence: str
    published: tuple[PublishedForm, ...]
    presets: Mapping[str, Preset] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What settings, checkpoints and tables call it."""
        return self.build.__name__

    @property
    def guides(self) -> tuple[str, ...]:
        """The guides that it reads beside image and mask, such as ``("edges",)``."""
        return tuple(getattr(self.build, "guides", ()))

    def preset(self, name: str) -> Preset:
        """One of its sizes.

        Raises:
            ValueError: it has none at all, or none of this name; says which have, or the nearest.
        """
        self.check_presets()
        if name not in self.presets:
            raise ValueError(unknown_name_message(f"preset of {self.name}", name, self.presets))
        return self.presets[name]

    def check_presets(self) -> None:
        """Raise ``UserError`` where it has no presets; says which networks have."""
        if not self.presets:
            having = ", ".join(each.name for each in NETWORKS.values() if each.presets)
            raise UserError(f"{self.name} has no presets; {having} have")


_registered: dict[str, RegisteredNetwork] = {}

NETWORKS: Mapping[str, RegisteredNetwork] = MappingProxyType(_registered)
"""Every network by its name."""


def register(
    network: type[nn.Module],
    *,
    paper: str,
    code: str = "",
    licence: str = "",
    published: tuple[PublishedForm, ...] = (),
    presets: Mapping[str, Preset] = MappingProxyType({}),
) -> None:
    """Put a network into the table; called once, at the end of the network's own file.

    Raises:
        ValueError: another network has this name.
    """
    found = RegisteredNetwork(network, paper, code, licence, published, presets)
    if found.name in _registered:
        raise ValueError(f"there are two networks called {found.name}: rename one")
    _registered[found.name] = found
