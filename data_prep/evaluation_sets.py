"""Fix what is judged by: ``python -m data_prep.evaluation_sets PHOTOS DEST --set valid``.

Writes pairs of photo and mask, so many in each bin of hole ratio as the deployment notes say: valid
and test1 of 1000, test2 of 800. The same photos and options give the same files; DEST/manifest.json
lists them with hashes. The sets have no photo in common where PHOTOS has enough for all three.
Where training on PHOTOS leaves its photos for validation alone, or for tests, only those are taken.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from data_prep.commands import answer
from lab.command_line import CommandParser, run_command, say

EXAMPLE = """\
  python -m data_prep.evaluation_sets places2/ sets/valid --set valid
  python -m data_prep.evaluation_sets photos/ sets/test1 --set test1 --total 100 --masks people.npz
  python -m data_prep.evaluation_sets photos/ sets/test2 --set test2 --masks masks/ person_mixture
"""

_LEAST_SIZE = 32


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("data_prep.evaluation_sets", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("photos", type=Path, metavar="PHOTOS", help="a folder of photos, or of Places2 shards")
    add("dest", type=Path, metavar="DEST", help="the folder to write")
    add("--set", choices=("valid", "test1", "test2"), help="required; which of the three")
    add("--total", type=int, metavar="N", help="pairs, if not the documented number")
    add(
        "--masks",
        nargs="+",
        default=["person_mixture"],
        metavar="MASKS",
        help="mask generators by name, folders of masks (white = hole), libraries of silhouettes; "
        "several take turns; default: person_mixture",
    )
    add("--size", type=int, default=256, metavar="N", help="of photos and masks; default: 256")
    add("--seed", type=int, default=0, metavar="N", help="of the masks; default: 0")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given = options.parse_args(arguments)
    if given.set is None:
        options.error("--set is missing: valid, test1 or test2")
    least = {"total": 1, "size": _LEAST_SIZE, "seed": 0}
    for name, lowest in least.items():
        value = getattr(given, name)
        if value is not None and value < lowest:
            options.error(f"--{name} is {value}, but must be at least {lowest}")
    return answer(_run, given)


def _run(given: Namespace) -> int:
    # After parsing: these take seconds to import, and --help should not wait for them.
    import torch

    from data_prep.progress import ProgressLine
    from data_prep.stratified_sets import SetSettings, write_set

    torch.set_num_threads(1)  # masks are too small to be shared out
    line = ProgressLine("pairs")
    settings = SetSettings(given.set, given.total, given.size, tuple(given.masks), given.seed)
    manifest = write_set(given.photos, given.dest, settings, line.update)
    line.close()
    bins = ", ".join(f"{count} in {name}" for name, count in manifest["bins"].items())
    say(f"{given.dest}: {len(manifest['pairs'])} pairs of {given.size} pixels ({bins})")
    if manifest["split"] is None:
        say("note: all of PHOTOS was taken: a network trained on this folder has seen most of it")
    else:
        say(f"the photos are of the split {manifest['split']}, which training on PHOTOS leaves out")
    if manifest["shared"]:
        say("note: PHOTOS has too few photos for three sets: they have some in common")
    return 0


if __name__ == "__main__":
    run_command(main)
