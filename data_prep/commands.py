"""What the commands here share: one error for what the user can mend, and how it is answered."""

from argparse import Namespace
from collections.abc import Callable

from lab.command_line import INTERRUPTED, complain, say

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
    except (DataError, OSError) as error:
        complain(error)
        return USER_ERROR
    except KeyboardInterrupt:
        say("\nInterrupted.", error=True)
        return INTERRUPTED
