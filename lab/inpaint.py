"""Take something out of photos: ``python -m lab.inpaint photo.jpg --mask mask.png -o out.png``.

Restores a photo, or a folder of photos, where a mask marks a hole. Pixels outside the hole, the
alpha channel and the EXIF data come back as they were.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.command_line import INTERRUPTED, CommandParser

if TYPE_CHECKING:
    from lab.completion import Completion, Job, Pairing
    from lab.contracts import Strategy

EXAMPLE = """\
  python -m lab.inpaint photo.jpg --mask mask.png -o restored.png --preview preview.png
  python -m lab.inpaint photo.jpg --mask mask.png --checkpoint epoch-050.pt -o restored.png
  python -m lab.inpaint photos/ --mask masks/ -o restored/     (beach.jpg with beach_mask.png)
"""

_SUCCESS, _SOME_FAILED, _USER_ERROR = 0, 1, 2
# What files, masks and checkpoints may be guilty of; anything else is a fault of this program.
_EXPECTED = (ValueError, OSError, MemoryError, RuntimeError)


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("inpaint", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("photo", type=Path, metavar="PHOTO", help="a photo, or a folder of photos")
    # Not `required` in argparse's sense: it would complain of a missing --mask before it could
    # name the misspelt --msak.
    add(
        "--mask",
        type=Path,
        metavar="MASK",
        help="required; white = hole, of the photo's size; for a folder of photos, a folder of "
        "masks named alike: beach.png or beach_mask.png for beach.jpg",
    )
    add(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="required; the file (or folder) to write; PNG and TIFF keep known pixels bit for bit",
    )
    filling = options.add_mutually_exclusive_group()
    filling.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="restore by this trained network"
    )
    filling.add_argument(
        "--method",
        choices=("telea", "navier-stokes"),
        help="restore without a network; default: telea",
    )
    add("--invert-mask", action="store_true", help="black marks the hole")
    add(
        "--preview",
        type=Path,
        metavar="FILE",
        help="also show photo and result side by side, the hole outlined (for a folder, a folder)",
    )
    add("--overwrite", action="store_true", help="replace results that exist")
    add(
        "--lossy",
        action="store_true",
        help="allow an output format that changes known pixels, such as JPEG",
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 if some pairs of a folder failed, 2 on misuse."""
    options = parser()
    given = options.parse_args(arguments)
    for name, value in (("--mask MASK", given.mask), ("-o OUT", given.output)):
        if value is None:
            options.error(f"{name} is missing")
    try:
        return _run(given)
    except _EXPECTED as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return _USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(given: Namespace) -> int:
    """Complete what the options name; a bad pair of a folder does not stop the others."""
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.completion import Job, Pairing, check_targets, complete_file, pair_files
    from lab.networks import load_network
    from lab.strategies import Direct, OpenCVInpainting

    is_folder = given.photo.is_dir()
    if is_folder:
        pairing = pair_files(given.photo, given.mask, given.output, given.preview)
    else:
        job = Job(given.photo, given.mask, given.output, given.preview)
        check_targets(job, given.overwrite)
        pairing = Pairing((job,))
    strategy: Strategy
    if given.checkpoint is not None:
        strategy, method = Direct(load_network(given.checkpoint)), given.checkpoint.name
    else:
        classical = OpenCVInpainting(given.method or "telea")
        strategy, method = classical, classical.method

    failures = list(pairing.ambiguous)
    for job in pairing.jobs:
        try:
            completion = complete_file(
                job, strategy, given.invert_mask, given.overwrite, given.lossy
            )
        except _EXPECTED as error:
            if not is_folder:
                raise
            failures.append((job.photo, _one_line(error)))
        else:
            _report(job, completion, method)
    return _report_folder(pairing, failures) if is_folder else _SUCCESS


def _report(job: "Job", completion: "Completion", method: str) -> None:
    """Say what was done to one photo, and what the user should know."""
    print(
        f"{job.output}: {100 * completion.hole_share:.3g} % of "
        f"{completion.width}x{completion.height} pixels restored by {method} "
        f"in {completion.seconds:.1f} s"
    )
    for note in completion.notes:
        print(f"note: {job.photo.name}: {note}", file=sys.stderr)


def _report_folder(pairing: "Pairing", failures: Sequence[tuple[Path, str]]) -> int:
    """Say what was left over and what failed; return the exit code."""
    for what, paths in (
        ("photos without a mask", pairing.photos_without_mask),
        ("masks without a photo", pairing.masks_without_photo),
    ):
        if paths:
            names = ", ".join(path.name for path in paths)
            print(f"{len(paths)} {what}: {names}", file=sys.stderr)
    for photo, reason in failures:
        print(f"failed: {photo}: {reason}", file=sys.stderr)
    total = len(pairing.jobs) + len(pairing.ambiguous)
    print(f"{total - len(failures)} of {total} pairs completed")
    return _SOME_FAILED if failures else _SUCCESS


def _one_line(error: BaseException) -> str:
    """Return an error's message without line breaks."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
