"""Collect people's shapes: ``python -m data_prep.silhouettes SOURCE DEST.npz``.

SOURCE is what data_prep.clean_plate wrote, or a folder of masks, white = person. Every connected
part of a mask becomes a shape of the library, which lab.masks.Silhouettes pastes at random places
and scales; DEST.json says which mask each is from.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from data_prep.commands import answer
from lab.command_line import CommandParser, run_command, say

EXAMPLE = """\
  python -m data_prep.silhouettes triplets/ people.npz
  python -m lab.train --name people --data.masks=lab.masks.Silhouettes \\
      --data.masks.library=people.npz
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("data_prep.silhouettes", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("source", type=Path, metavar="SOURCE", help="triplets, or a folder of masks")
    add("dest", type=Path, metavar="DEST", help="the library to write, .npz")
    add("--cut-off", action="store_true", help="keep shapes that touch the mask's border")
    add("--any-shape", action="store_true", help="keep shapes that are wider than high")
    add("--invert-masks", action="store_true", help="black marks the person")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return answer(_run, parser().parse_args(arguments))


def _run(given: Namespace) -> int:
    # After parsing: these take seconds to import, and --help should not wait for them.
    from data_prep.progress import ProgressLine
    from data_prep.silhouette_library import ShapeSettings, write_library

    line = ProgressLine("shapes")
    settings = ShapeSettings(given.cut_off, given.any_shape, given.invert_masks)
    index = write_library(given.source, given.dest, settings, line.update)
    line.close()
    for reason, count in index["left_out"].items():
        say(f"left out: {count} {reason}")
    size = given.dest.stat().st_size
    say(f"{given.dest}: {len(index['shapes'])} shapes, {size / 1024:.0f} KiB")
    return 0


if __name__ == "__main__":
    run_command(main)
