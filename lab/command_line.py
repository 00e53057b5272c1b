"""What every command shares: a parser that names the nearest right option, and errors in words.

Commands import their machinery after parsing: PyTorch takes seconds to import, and ``--help`` or
a misspelt option should not wait for it.
"""

import argparse
import difflib
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from lab.untrusted import printable

SETTING_GROUPS = ("model", "data", "fit", "evaluation")
"""What the settings of a run begin with, as in ``--data.size=64``."""

CALLED_ELSEWHERE = {
    "trainer.accelerator": "fit.device",
    "trainer.devices": "fit.device",
    "trainer.max_epochs": "fit.epochs",
    "trainer.precision": "fit.precision",
    "trainer.gradient_clip_val": "model.optimization.gradient_clip",
    "seed_everything": "fit.seed",
    "seed": "fit.seed",
    "epochs": "fit.epochs",
    "batch_size": "data.batch_size",
    "model.discriminator": "model.judges.whole",
    "model.optimization.channel_gate_epochs": "model.phases",
    "model.optimization.normalization_epochs": "model.phases",
    "lr": "model.optimization.generator_learning_rate",
    "learning_rate": "model.optimization.generator_learning_rate",
}
"""What Lightning's own command line, others, and earlier versions call settings, and what they are
called here."""

INTERRUPTED = 130
"""The exit status of a command that was ended by Ctrl-C, as shells have it."""

TOLD_TO_END = 143
"""The exit status of a command that was told to end (SIGTERM), as shells have it."""

NOBODY_READS = 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1
"""The exit status of a command whose output nobody reads to its end, as shells have it."""

# Characters: three screens, where a library quotes all that stood in a file.
_LONGEST_ERROR = 3000


class _Output(io.TextIOWrapper):
    """Standard output that ends the command without a word where its reader has gone (``| head``).

    By `SystemExit`, so that nobody on the way takes it for a fault of the disk. Not by the signal,
    which would end the process for any other pipe or connection, too, and leave its files open.
    """

    def write(self, text: str, /) -> int:
        with self._ended_quietly():
            return super().write(text)

    def flush(self) -> None:
        with self._ended_quietly():
            super().flush()

    @contextmanager
    def _ended_quietly(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            # What is left of the output is written once more as the process ends.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            raise SystemExit(NOBODY_READS) from None


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run a command, and end the process with its status; Ctrl-C is one line at any moment.

    While its machinery is imported, too, and while the process ends. Nor does a reader that goes
    (``| head``) bring about more than the end. To be told to end (SIGTERM: ``kill``, a container
    that is stopped, a job whose time is over) is as Ctrl-C, with a status of its own.
    """
    told_to_end = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told_to_end
        told_to_end = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _Output(
            sys.stdout.buffer,
            encoding=sys.stdout.encoding,
            errors=sys.stdout.errors,
            line_buffering=sys.stdout.line_buffering,
        )
    warn_in_one_line()
    try:
        try:
            status = main()
        finally:
            # Also after --help, which ends in a `SystemExit`.
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        status = INTERRUPTED
        # Python remembers an interruption within such code, of which imports have some, until the
        # next is run: it would end by the signal and not with the status.
        exec("")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(TOLD_TO_END if told_to_end and status == INTERRUPTED else status)


@contextmanager
def without_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back from this process, and for good from those that are started meanwhile.

    A terminal sends it to all of them: one whose modules are still being imported would print a
    traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def say(message: object, error: bool = False) -> None:
    """Print a message, which may hold names from outside, so that it does nothing to a terminal.

    Args:
        message: of one or more lines.
        error: to standard error.
    """
    print(printable(message, lines=True), file=sys.stderr if error else sys.stdout)


def complain(error: object) -> None:
    """Print in one line why a command ends; an error of the system without its number."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        error = f"{printable(error.filename)}: {error.strerror}"
    # A library's message may hold what stood in a file, with its line breaks, and all of it.
    text = " ".join(str(error).split())
    if len(text) > _LONGEST_ERROR:
        text = f"{text[: _LONGEST_ERROR // 2]} … {text[-_LONGEST_ERROR // 2 :]}"
    say(f"error: {text}", error=True)


def warn_in_one_line() -> None:
    """Have this process show our own warnings as ``warning: …``; a library's keep their place."""
    ours, shown_by_python = Path(__file__).parent, warnings.formatwarning

    def shown(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if category is UserWarning and Path(filename).is_relative_to(ours):
            return f"warning: {printable(' '.join(str(message).split()))}\n"
        return shown_by_python(message, category, filename, lineno, line)

    warnings.formatwarning = shown


def end_at_once(error: object) -> NoReturn:
    """End this process with one line, from a thread, where its main one waits and hears nothing.

    Only where nothing is half-written: what is written here is written whole or not at all.
    """
    complain(error)
    if sys.stdout.isatty():
        print("\x1b[?25h", end="", flush=True)  # the cursor, which a progress display hides
    os._exit(2)


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose help keeps its layout and whose errors name the nearest option.

    Args:
        command: the module that runs it; a name without a dot is one of ``lab``.
        description: what it does.
        example: how it is called.
    """

    def __init__(self, command: str, description: str, example: str) -> None:
        super().__init__(
            prog=f"python -m {command if '.' in command else f'lab.{command}'}",
            description=description,
            epilog=f"example:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def add_variant(self) -> None:
        """Take ``--variant NAME``, any number of them."""
        self.add_argument(
            "--variant",
            action="append",
            default=[],
            metavar="NAME",
            help="the settings of a documented variant, below all others; several combine; `list` "
            "lists them",
        )

    def parse_with_settings(
        self, arguments: Sequence[str] | None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the command's own options, and return the settings of the run that are among them.

        Settings are what `SETTING_GROUPS` begin, in one piece: ``--data.size=64``. Variants come
        first, and packages that settings may name classes of (``--allow-imports``), each in two
        words.
        """
        self.add_argument(
            "--allow-imports",
            action="append",
            default=[],
            metavar="PACKAGE",
            help="let settings name classes of this package, which runs it; default: only lab",
        )
        known, rest = self.parse_known_args(arguments)
        variants = getattr(known, "variant", [])
        for option in rest:
            name, equals, _ = option.partition("=")
            if not (name.removeprefix("--").split(".")[0] in SETTING_GROUPS and equals):
                self._refuse(option, settings=True)
        allowed = [word for name in known.allow_imports for word in ("--allow-imports", name)]
        return known, [*allowed, *(f"--variant={name}" for name in variants), *rest]

    def parse_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201, D102
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            self._refuse(rest[0])
        return known

    def _print_message(self, message: str, file: Any = None) -> None:  # noqa: ANN401 (argparse's)
        super()._print_message(printable(message, lines=True), file)

    def _refuse(self, option: str, settings: bool = False) -> NoReturn:
        name = option.split("=")[0]
        if settings and name.removeprefix("--").split(".")[0] in SETTING_GROUPS:
            self.error(f"give the value of {name} in one piece: {name}=VALUE")
        if not option.startswith("-"):
            advice = ". Settings are written in one piece: --data.size=64" if settings else ""
            self.error(f"what is {option!r}? It belongs to no option{advice}")
        here = CALLED_ELSEWHERE.get(name.removeprefix("--"))
        if settings and here is not None:
            self.error(f"there is no option {name}. Here it is a setting: --{here}=VALUE")
        _, dot, rest = name.removeprefix("--").partition(".")
        if settings and dot:
            known = [f"--{known}.{rest}" for known in SETTING_GROUPS]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        else:
            near = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.7)
        hint = f". The nearest option is {near[0]}" if near else ""
        if settings and not near:
            hint = ". A setting begins with its group, such as --fit.epochs=3: see the settings by "
            hint += "python -m lab.train --print-config"
        self.error(f"there is no option {name}{hint}")
