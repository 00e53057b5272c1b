"""Turn Places2 into WebDataset shards: ``python -m data_prep.places2 SOURCE DEST``.

SOURCE is an official archive (places365standard_easyformat.tar, train_256_places365standard.tar,
val_256.tar and their larger kin; plain or compressed) or the folder unpacked from one. It is
streamed and never unpacked. Every photo is decoded once; what cannot be read, and what does not lie
safely below SOURCE, is left out and listed in DEST/index.json. A command that was interrupted or
killed goes on when it is given again.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from data_prep.commands import DataError, answer
from lab.command_line import CommandParser, run_command, say

EXAMPLE = """\
  python -m data_prep.places2 places365standard_easyformat.tar places2/
  python -m data_prep.places2 train_large_places365standard.tar places2_large/ --size 384
"""

_SHOWN = 5


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("data_prep.places2", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("source", type=Path, metavar="SOURCE", help="an archive, or the folder unpacked from it")
    add("dest", type=Path, metavar="DEST", help="the folder for shards, listings and index")
    add(
        "--size",
        type=int,
        metavar="N",
        help="shrink photos whose shorter side is above N pixels; default: keep every byte",
    )
    add("--shard-size", type=int, default=2000, metavar="N", help="photos in a shard")
    add("--workers", type=int, metavar="N", help="threads that decode; default: one a core")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given = options.parse_args(arguments)
    for name in ("size", "shard-size", "workers"):
        value = getattr(given, name.replace("-", "_"))
        if value is not None and value < 1:
            options.error(f"--{name} is {value}, but must be at least 1")
    return answer(_run, given)


def _run(given: Namespace) -> int:
    # After parsing: these take seconds to import, and --help should not wait for them.
    import cv2

    from data_prep.packing import pack_photos
    from data_prep.photo_sources import FolderSource, PhotoSource
    from data_prep.progress import ProgressLine, duration
    from data_prep.tar_source import TarSource
    from lab.formats.shards import INDEX
    from lab.processors import usable_processors

    if not given.source.exists():
        raise DataError(f"there is no {given.source}")
    if given.source.is_dir() and given.dest.resolve().is_relative_to(given.source.resolve()):
        raise DataError(
            f"DEST {given.dest} lies in SOURCE {given.source}, which each shard would make "
            "another source: name a folder outside of it"
        )
    source: PhotoSource = (
        FolderSource(given.source) if given.source.is_dir() else TarSource(given.source)
    )
    cv2.setNumThreads(1)  # the threads here are enough
    line = ProgressLine("photos")
    workers = given.workers or usable_processors()
    index = pack_photos(source, given.dest, given.size, given.shard_size, workers, line.update)
    line.close()
    for name, split in index["splits"].items():
        say(f"{name}: {split['photos']:,} photos in {len(split['shards'])} shards")
    if index["left_out"]:
        say(f"{len(index['left_out'])} left out, all listed in {given.dest / INDEX}:")
        for name, reason in index["left_out"][:_SHOWN]:
            say(f"  {name}: {reason}")
    say(f"{given.dest}: {index['photos']:,} photos, {duration(line.seconds)}")
    return 0


if __name__ == "__main__":
    run_command(main)
