"""rich's console for texts that hold names from outside, which can do nothing to a terminal."""

from typing import Any

from rich.console import Console
from rich.text import Text

from lab.untrusted import printable


class Terminal(Console):
    r"""A console in which names are only names.

    Escape sequences are shown as ``\x1b``, and nothing in a name is taken for rich's own markup.
    """

    def __init__(self) -> None:
        super().__init__(markup=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 (rich's signature)
        """Every text that is printed, alone or in a table, comes through here."""
        return super().render_str(printable(text, lines=True), **options)
