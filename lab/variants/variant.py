"""What a documented variant is: a choice of the parts that combine, under a name."""

from collections.abc import Mapping
from dataclasses import dataclass

# Settings read from YAML try the types from left to right: 1 stays a whole number.
Value = bool | int | float | str | None


@dataclass(frozen=True)
class Variant:
    """One idea of the background notes as settings; its card is the docstring of its file.

    ``--variant=NAME`` puts ``settings`` in its place: options after it go on top, and several
    variants combine.

    Attributes:
        number: in the notes, such as ``"V3.1.1"``.
        title: what it changes, in a few words.
        settings: by dotted path, as on the command line of ``lab.train``.
        is_trained: whether it changes the training. If not, it is put on a network that is there.
    """

    number: str
    title: str
    settings: Mapping[str, Value]
    is_trained: bool = True
