"""What the commands here share: one error for what the user can mend, and how it is answered."""

import sys
from argparse import Namespace
from collections.abc import Callable

from lab.command_line import INTERRUPTED

USER_ERROR = 2
"""The exit status of a command that could not do what was asked."""


class DataError(ValueError):
    """Files that do not give what a command needs; the message says which, why and what to do."""


def answer(run: Callable[[Namespace], int], given: Namespace) -> int:
    """Run a command; what the user can mend becomes one message, not a traceback.

    Args:
        run: the command; returns its exit status.
        given: its parsed options.
    """
    try:
        return run(given)
    except DataError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
    print(f"error: {message}", file=sys.stderr)
    return USER_ERROR
