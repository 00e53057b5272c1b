"""Convert published upscalers, once: ``python -m data_prep.upscalers SOURCE DEST``.

Turns the frozen TensorFlow graphs of FSRCNN and ESPCN into files of tensors, named alike, for
``--model.strategy.weights`` of ``lab.strategies.Upscaled``.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from data_prep.commands import DataError, answer
from lab.command_line import CommandParser, run_command, say

EXAMPLE = """\
  python -m data_prep.upscalers superres/ upscalers/
  python -m data_prep.upscalers FSRCNN_x2.pb upscalers/
  python -m data_prep.upscalers fsrcnn_x2 upscalers/      # from the cache folder, or downloaded
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("data_prep.upscalers", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add(
        "source",
        metavar="SOURCE",
        help="a published .pb, a folder of them, or a name: fsrcnn_x2 to _x4, espcn_x2 to _x4",
    )
    add("dest", type=Path, metavar="DEST", help="the folder to write")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return answer(_run, parser().parse_args(arguments))


def _run(given: Namespace) -> int:
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.networks import (
        UPSCALER_WEIGHTS,
        UnreadableCheckpointError,
        WrongHashError,
        convert_upscaler,
        locate_or_download,
    )

    source = Path(given.source)
    try:
        if source.is_dir():
            graphs = sorted(source.glob("*.pb"))
            if not graphs:
                raise DataError(f"{source} holds no .pb file: name a folder of published graphs")
        elif given.source in UPSCALER_WEIGHTS:
            graphs = [locate_or_download(UPSCALER_WEIGHTS[given.source])]
        elif source.is_file():
            graphs = [source]
        else:
            names = ", ".join(sorted(UPSCALER_WEIGHTS))
            raise DataError(f"there is no file or folder {source}, and the names are {names}")
        for graph in graphs:
            target = given.dest / f"{graph.stem}.pt"
            convert_upscaler(graph, target)
            say(target)
    except (UnreadableCheckpointError, WrongHashError) as error:
        raise DataError(str(error)) from error
    return 0


if __name__ == "__main__":
    run_command(main)
