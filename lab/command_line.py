"""What every command shares: a parser that names the nearest right option, and errors in words.

Commands import their machinery after parsing: PyTorch takes seconds to import, and ``--help`` or
a misspelt option should not wait for it.
"""

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

INTERRUPTED = 130
"""The exit status of a command that was ended by Ctrl-C, as shells have it."""


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose help keeps its layout and whose errors name the nearest option."""

    def __init__(self, command: str, description: str, example: str) -> None:
        super().__init__(
            prog=f"python -m lab.{command}",
            description=description,
            epilog=f"example:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse_with_settings(
        self, arguments: Sequence[str] | None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the command's own options; what has a dot in it, a setting of the run, is returned.

        Settings must be written in one piece: ``--data.size=64``.
        """
        known, rest = self.parse_known_args(arguments)
        for option in rest:
            name = option.split("=")[0]
            if not (option.startswith("--") and "." in name and "=" in option):
                self._refuse(option)
        return known, rest

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, D102
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            self._refuse(rest[0])
        return known

    def _refuse(self, option: str) -> NoReturn:
        name = option.split("=")[0]
        if not option.startswith("-"):
            self.error(f"what is {option!r}? Settings are written in one piece: --data.size=64")
        if "." in name:
            self.error(f"give the value of {name} in one piece: {name}=VALUE")
        near = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.5)
        hint = f". The nearest option is {near[0]}" if near else ""
        self.error(f"there is no option {name}{hint}")


def run_command(
    main: Callable[[], int], user_errors: Callable[[], tuple[type[Exception], ...]]
) -> NoReturn:
    """Run a command; its user's mistakes become one message and exit status 2, no traceback.

    Args:
        main: the command; returns its exit status.
        user_errors: gives the exceptions that are the user's mistakes (called late: their modules
            are heavy).
    """
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if isinstance(error, user_errors()):
            print(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        raise
