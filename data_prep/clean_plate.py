"""Find what people hid: ``python -m data_prep.clean_plate CLIP DEST``.

From a clip filmed by a camera that stands, or is held in the hand on one view, writes the
background behind the people, and for frames twice a second a triplet: the frame, the mask of
everybody who moves, and what was really behind them. So a removal can be scored against the truth.
DEST/manifest.json lists them with hashes; DEST/coverage.png shows where the background is sure.

Frames from the hand are aligned to one of them and cut to what all of them show; how exactly, is
said and stands in the manifest. A camera that pans or walks is refused.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from data_prep.commands import answer
from lab.command_line import CommandParser, run_command, say

EXAMPLE = """\
  python -m data_prep.clean_plate campus.avi triplets/ --crop 128
  python -m data_prep.clean_plate campus.avi frames/ --every 2 --sheet sheet.png
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("data_prep.clean_plate", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add(
        "clip",
        type=Path,
        metavar="CLIP",
        help="a video of one view, by a camera that stands or is held",
    )
    add("dest", type=Path, metavar="DEST", help="the folder to write")
    add(
        "--crop",
        type=int,
        metavar="N",
        help="squares of N pixels round each person; more is shown of larger people, and shrunk; "
        "default: whole frames",
    )
    add("--every", type=float, default=0.5, metavar="SECONDS", help="between frames; default: 0.5")
    add("--dilate", type=int, default=4, metavar="N", help="pixels that masks grow by; default: 4")
    add("--sheet", type=Path, metavar="FILE", help="also draw some triplets on a contact sheet")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given = options.parse_args(arguments)
    for name, value, least in (("crop", given.crop, 16), ("dilate", given.dilate, 0)):
        if value is not None and value < least:
            options.error(f"--{name} is {value}, but must be at least {least}")
    if given.every < 0:
        options.error(f"--every is {given.every:g}, but must be at least 0 (every frame)")
    return answer(_run, given)


def _run(given: Namespace) -> int:
    # After parsing: these take seconds to import, and --help should not wait for them.
    from data_prep.progress import ProgressLine
    from data_prep.triplet_sheet import write_sheet
    from data_prep.triplets import TripletSettings, write_triplets

    line = ProgressLine("triplets")
    settings = TripletSettings(given.crop, given.every, given.dilate)
    manifest = write_triplets(given.clip, given.dest, settings, line.update)
    line.close()
    camera, coverage = manifest["camera"], manifest["coverage"]
    say(f"{given.dest}: {len(manifest['triplets'])} triplets")
    for reason, count in manifest["left_out"].items():
        say(f"left out: {count} {reason}")
    say(f"camera: {_said_of(camera)}")
    say(
        f"background: from {manifest['plate']['frames']} frames; "
        f"{100 * coverage['share_not_trusted']:.2g} % of it not to be trusted, "
        f"{100 * coverage['share_never_changed']:.0f} % where nothing ever moved "
        f"(see {given.dest / coverage['file']})"
    )
    if given.sheet:
        write_sheet(given.dest, given.sheet)
        say(f"contact sheet: {given.sheet}")
    return 0


def _said_of(camera: dict) -> str:
    """Return the line on how the clip was held, and how far its frames are from the plate."""
    held = "stands"
    if camera["compensated"]:
        area, swing = camera["area"], camera["swing"]
        held = (
            f"held in the hand; swings by {swing['median']:.1f} pixels (at most "
            f"{swing['largest']:.1f}); aligned to frame {camera['reference_frame']} and cut to "
            f"{area['width']}x{area['height']}"
        )
    displacement = camera["displacement"]
    if displacement is None:
        return f"{held}, as far as a picture without corners can tell"
    return (
        f"{held}; the background lies within {displacement['median']:.2f} pixels of the plate "
        f"(at most {displacement['largest']:.2f})"
    )


if __name__ == "__main__":
    run_command(main)
