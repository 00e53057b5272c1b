"""Take something out of photos: ``python -m lab.inpaint photo.jpg --mask mask.png -o out.png``.

Restores a photo, or a folder of photos, where a mask marks a hole, or where --person finds the
person to remove. Pixels outside the hole, the alpha channel and the EXIF data come back as they
were.
"""

from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command, say
from lab.untrusted import printable

if TYPE_CHECKING:
    from rich.status import Status

    from lab.completion import Completion, Guidance, Job, Pairing
    from lab.strategies import Filler, TileReport

EXAMPLE = """\
  python -m lab.inpaint photo.jpg --mask mask.png -o restored.png --preview preview.png
  python -m lab.inpaint photo.jpg --mask mask.png -o learned.png \\
      --checkpoint runs/first/checkpoints/epoch-005.pt
  python -m lab.inpaint photo.jpg --mask mask.png -o tiled.png \\
      --checkpoint runs/first/checkpoints/epoch-005.pt --variant=tiled
  python -m lab.inpaint photo.jpg --mask mask.png --model model.onnx -o exported.png
  python -m lab.inpaint photo.jpg --mask mask.png --method smooth -o smooth.png
  python -m lab.inpaint photos/ --mask masks/ -o restored/    # beach.jpg with beach_mask.png
  python -m lab.inpaint photos/ --person u2net -o emptied/ --preset 600m --times
  python -m lab.inpaint photo.jpg --person u2net -o nobody.png --save-mask person.png
  python -m lab.inpaint photo.jpg --person grabcut --box 120,40,200,410 -o gone.png
  python -m lab.inpaint photo.jpg --mask mask.png --sketch strokes.png -o drawn.png \\
      --checkpoint runs/sketched/checkpoints/epoch-050.pt
  python -m lab.inpaint photo.jpg --mask mask.png -o painted.png --save-edges drawn_edges.png \\
      --checkpoint runs/edges/checkpoints/epoch-050.pt
  python -m lab.inpaint photo.jpg --mask mask.png --samples 4 -o answer.png \\
      --checkpoint runs/noisy/checkpoints/epoch-050.pt    # answer-1.png to answer-4.png
"""

_SUCCESS, _SOME_FAILED, _USER_ERROR = 0, 1, 2
# The largest tile of a photo, and the least that leaves a network something to see, in pixels.
_TILE, _LEAST_TILE = 512, 64
_GUIDE_FILES = {
    "sketch": "lines that say what is to be in the hole, dark on light or light on dark, of the "
    "photo's size or scaled",
    "edges": "lines where the known pixels have edges; default: Canny's",
    "instances": "a PNG in which every object has one value or colour, of the photo's size",
}
# What files, masks and checkpoints may be guilty of; anything else is a fault of this program, by
# which no photo of a folder stops the others.
_EXPECTED = (ValueError, OSError, MemoryError, RuntimeError)


class _MethodOrList(Action):
    """Takes a method's name; ``list`` ends the command as ``--help`` does, without a photo."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        if values == "list":
            from lab.strategies import print_methods

            print_methods()
            parser.exit()
        setattr(namespace, self.dest, values)


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("inpaint", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("photo", type=Path, metavar="PHOTO", help="a photo, or a folder of photos")
    # Not `required` in argparse's sense: it would complain of a missing --mask before it could
    # name the misspelt --msak.
    hole = options.add_mutually_exclusive_group()
    hole.add_argument(
        "--mask",
        type=Path,
        metavar="MASK",
        help="this or --person is required; white = hole, of the photo's size; for a folder of "
        "photos, a folder of masks named alike: beach.png or beach_mask.png for beach.jpg",
    )
    hole.add_argument(
        "--person",
        choices=("u2net", "u2net-small", "grabcut"),
        help="find the person: by U2-Net, whose published weights are downloaded once (168 or 4 "
        "MiB), or by GrabCut in a --box, without weights",
    )
    add("--box", type=_box, metavar="X,Y,W,H", help="for grabcut: around the person, in pixels")
    add(
        "--threshold",
        type=float,
        metavar="T",
        help="for u2net: hole from this probability on; lower takes more away; default: 0.1",
    )
    add(
        "--dilate",
        type=_pixels,
        metavar="N",
        help="grow the hole by N pixels; a rim of the person that is left spoils the result, and "
        "large photos want more; default: 10 with --person, 0 with --mask",
    )
    add(
        "--save-mask",
        type=Path,
        metavar="FILE",
        help="also write the mask that was used, dilated (for a folder, a folder)",
    )
    add(
        "--save-edges",
        type=Path,
        metavar="FILE",
        help="for networks that complete edges, as EdgeConnect: also write the known ones with "
        "those drawn in the hole, white on black (for a folder, a folder)",
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
        "--model",
        type=Path,
        metavar="FILE",
        help="restore by an exported network, model.onnx of python -m lab.export: no network is "
        "built, onnxruntime computes it on the processor",
    )
    filling.add_argument(
        "--preset",
        metavar="NAME",
        help="restore by your own weights of DeepFillv2 in this size (full, 4g, 1g, 600m, 300m: "
        "python -m lab.networks --ladder); none are published, and none come with the workbench",
    )
    filling.add_argument(
        "--method",
        action=_MethodOrList,
        metavar="NAME",
        help="restore without a network: patch-match, the default without a network, is for "
        "taking things out; `list` lists all, with what they are good for",
    )
    add(
        "--tile",
        type=int,
        metavar="N",
        help="with a network: complete larger photos in overlapping tiles of at most N pixels a "
        f"side, so that memory does not grow with the photo; 0: always whole; default: {_TILE}, "
        "and with a --variant or --model.strategy, whole",
    )
    options.add_variant()
    for guide, what in _GUIDE_FILES.items():
        add(f"--{guide}", type=Path, metavar="FILE", help=f"for networks that read it: {what}")
    add(
        "--samples",
        type=int,
        default=1,
        metavar="N",
        help="for networks that read noise: N answers, written as OUT-1.png and so on; default: 1",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="of the noise; an answer of the same number is the same again; default: 0",
    )
    add(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="where to compute; default: a network on a GPU where there is one, and a method "
        "without a network on the processor",
    )
    add(
        "--times",
        action="store_true",
        help="also print what each step took: reading, finding the person, filling, writing",
    )
    add("--invert-mask", action="store_true", help="black marks the hole")
    add(
        "--preview",
        type=Path,
        metavar="FILE",
        help="also show photo and result side by side, the hole outlined (for a folder, a folder)",
    )
    existing = options.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="replace results that exist")
    existing.add_argument(
        "--skip-existing",
        action="store_true",
        help="with a folder: leave out photos whose files are all there, as after an interruption",
    )
    add(
        "--lossy",
        action="store_true",
        help="allow an output format that changes known pixels, such as JPEG",
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 if some pairs of a folder failed, 2 on misuse."""
    options = parser()
    given, settings = options.parse_with_settings(arguments)
    if "list" in given.variant:
        from lab.variants import print_variants

        print_variants()
        return 0
    if given.mask is None and given.person is None:
        options.error("--mask MASK is missing, or --person to find who is to be removed")
    if given.output is None:
        options.error("-o OUT is missing")
    _check_person(options, given)
    _check_guidance(options, given)
    if given.save_edges is not None and given.checkpoint is None and given.preset is None:
        options.error("--save-edges goes with --checkpoint: methods without a network draw none")
    if given.skip_existing and not given.photo.is_dir():
        options.error("--skip-existing goes with a folder of photos")
    if given.tile is not None and not _has_network(given):
        options.error("--tile goes with --checkpoint: methods without a network need no tiles")
    strategy = [word for word in settings if word.startswith(("--variant=", "--model."))]
    if given.tile and strategy:
        options.error(
            f"--tile and {strategy[0]} do not go together: a strategy says itself how a photo is "
            "completed. Leave one out, or take --variant=tiled and its settings"
        )
    if given.tile is None:
        given.tile = _TILE
    if given.tile != 0 and given.tile < _LEAST_TILE:
        options.error(f"--tile is {given.tile}, but must be at least {_LEAST_TILE}, or 0 for none")
    try:
        return _run(given, settings)
    except _EXPECTED as error:
        complain(_one_line(error))
        return _USER_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _box(text: str) -> tuple[int, ...]:
    """Read ``x,y,w,h``."""
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise ArgumentTypeError(
            f"{text!r} must be four whole numbers x,y,w,h: the upper left corner of the box, "
            "counted from 0, its width and its height, in pixels"
        )
    return tuple(int(part) for part in parts)


def _pixels(text: str) -> int:
    """Read a number of pixels."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} must be a whole number of pixels, 0 or more")
    return int(text)


def _check_person(options: CommandParser, given: Namespace) -> None:
    """End the command where an option has no meaning beside ``--person`` or its absence."""
    if (given.box is None) == (given.person == "grabcut"):
        options.error("--person grabcut and --box X,Y,W,H go together: cut out whom, and where")
    if given.threshold is not None:
        if given.person not in ("u2net", "u2net-small"):
            options.error("--threshold goes with --person u2net or u2net-small")
        if not 0.0 < given.threshold < 1.0:
            options.error(f"--threshold is {given.threshold:g}, but must lie between 0 and 1")
    if given.person is not None and given.invert_mask:
        options.error("--invert-mask goes with --mask: --person has no colours to invert")
    if given.person == "grabcut" and given.photo.is_dir():
        options.error(f"{given.photo} is a folder, but a --box belongs to one photo")


def _check_guidance(options: CommandParser, given: Namespace) -> None:
    """End the command where guides or samples are asked for that cannot be."""
    files = [guide for guide in _GUIDE_FILES if getattr(given, guide) is not None]
    has_network = _has_network(given)
    if files and not has_network:
        options.error(f"--{files[0]} goes with --checkpoint: methods without a network read none")
    if files and given.photo.is_dir():
        options.error(f"{given.photo} is a folder, but --{files[0]} belongs to one photo")
    if given.samples < 1:
        options.error(f"--samples is {given.samples}, but must be at least 1")
    if given.samples > 1 and not has_network:
        options.error(
            f"--samples {given.samples} goes with --checkpoint: all samples of a method without a "
            "network would be the same"
        )
    if given.seed < 0:
        options.error(f"--seed is {given.seed}, but must not be negative")


def _has_network(given: Namespace) -> bool:
    return any(one is not None for one in (given.checkpoint, given.model, given.preset))


def _guidance(given: Namespace) -> "Guidance":
    from lab.completion import Guidance

    files = {guide: getattr(given, guide) for guide in _GUIDE_FILES}
    there = {guide: path for guide, path in files.items() if path is not None}
    return Guidance(there, given.samples, given.seed)


def _run(given: Namespace, settings: Sequence[str]) -> int:
    """Complete what the options name; a bad pair of a folder does not stop the others."""
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from rich.console import Console

    from lab.completion import Job, Pairing, check_targets, pair_files

    is_folder = given.photo.is_dir()
    files = (given.photo, given.mask, given.output, given.preview, given.save_mask)
    if is_folder:
        pairing = pair_files(*files, given.save_edges)
    else:
        job = Job(*files, given.save_edges)
        check_targets(job, given.overwrite, _guidance(given))
        pairing = Pairing((job,))
    with Console(stderr=True).status("") as status:
        return _fill(given, settings, pairing, status, is_folder)


def _fill(
    given: Namespace,
    settings: Sequence[str],
    pairing: "Pairing",
    status: "Status",
    is_folder: bool,
) -> int:
    """Complete every photo, and say so."""
    from lab.completion import complete_file
    from lab.mask_sources import DILATION, open_mask_source

    busy = ""

    def on_tile(number: int, count: int) -> None:
        status.update(f"{busy}, tile {number} of {count}")

    filler = _open_filler(given, settings, on_tile)
    guidance = _guidance(given)
    guidance.check(filler.reads, filler.name)
    mask_source, dilation = None, given.dilate or 0
    if given.person is not None:
        mask_source = open_mask_source(given.person, given.box, given.threshold)
        dilation = DILATION if given.dilate is None else given.dilate

    failures, skipped = list(pairing.ambiguous), 0
    steps: list[Mapping[str, float]] = []
    for number, job in enumerate(pairing.jobs, start=1):
        answers = [answer.output for answer in job.answers(given.samples)]
        if given.skip_existing and job.is_done(given.samples):
            skipped += 1
            continue
        of = f" ({number} of {len(pairing.jobs)})" if is_folder else ""
        busy = f"restoring {job.photo.name}{of}"
        status.update(busy)
        try:
            completion = complete_file(
                job,
                filler,
                given.invert_mask,
                # An interruption may have left some of a photo's files, which come again the same.
                given.overwrite or given.skip_existing,
                given.lossy,
                dilation,
                mask_source,
                guidance,
                filler.reads,
                filler.draw_edges,
            )
        except Exception as error:
            if not is_folder:
                raise
            kind = "" if isinstance(error, _EXPECTED) else f"{type(error).__name__}: "
            failures.append((job.photo, f"{kind}{_one_line(error)}"))
        else:
            _report(answers, job, completion, filler)
            steps.append(completion.steps)
    if given.times and steps:
        _report_times(steps)
    return _report_folder(pairing, failures, skipped) if is_folder else _SUCCESS


def _open_filler(given: Namespace, settings: Sequence[str], on_tile: "TileReport") -> "Filler":
    if not _has_network(given) and not settings:
        from lab.strategies import open_method

        return open_method(given.method, given.device)
    # The settings of runs, by which a network is put to use, take seconds to import.
    from lab.fillers import open_filler

    return open_filler(
        given.checkpoint,
        given.method,
        settings,
        given.tile,
        given.device,
        on_tile,
        given.model,
        given.preset,
    )


def _report(
    answers: Sequence[Path], job: "Job", completion: "Completion", filler: "Filler"
) -> None:
    """Say what was done to one photo, and what the user should know."""
    method = filler.name
    if 0 < filler.tile < max(completion.width, completion.height):
        method += f" in tiles of {filler.tile} pixels"
    written = printable(answers[0])
    if len(answers) > 1:
        written += f" to {printable(answers[-1].name)}"
    say(
        f"{written}: {100 * completion.hole_share:.3g} % of "
        f"{completion.width}x{completion.height} pixels restored by {method} "
        f"in {completion.seconds:.1f} s"
    )
    for note in completion.notes:
        say(f"note: {printable(job.photo.name)}: {note}", error=True)


def _report_times(steps: "Sequence[Mapping[str, float]]") -> None:
    """Print what each step took, over all photos."""
    from rich import box
    from rich.table import Table

    from lab.deployment import Timing
    from lab.terminal import Terminal

    columns = {name: [photo.get(name, 0.0) for photo in steps] for each in steps for name in each}
    columns["all"] = [sum(photo.values()) for photo in steps]
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("ms a photo")
    for heading in ("mean", "p50", "p95"):
        table.add_column(heading, justify="right")
    table.add_column("share", justify="right")
    whole = sum(columns["all"])
    for name, seconds in columns.items():
        timing = Timing.of(seconds)
        cells = (f"{value:.0f}" for value in (timing.mean, timing.median, timing.slowest))
        table.add_row(name, *cells, f"{sum(seconds) / whole:.0%}")
    photos = "1 photo" if len(steps) == 1 else f"{len(steps)} photos"
    say(f"{photos}, the loading of networks not counted:")
    Terminal().print(table)


def _report_folder(pairing: "Pairing", failures: Sequence[tuple[Path, str]], skipped: int) -> int:
    """Say what was left over and what failed; return the exit code."""
    for what, paths in (
        ("photos without a mask", pairing.photos_without_mask),
        ("masks without a photo", pairing.masks_without_photo),
    ):
        if paths:
            names = ", ".join(printable(path.name) for path in paths)
            say(f"{len(paths)} {what}: {names}", error=True)
    for photo, reason in failures:
        say(f"failed: {printable(photo)}: {reason}", error=True)
    total = len(pairing.jobs) + len(pairing.ambiguous)
    what = "photos" if any(job.mask is None for job in pairing.jobs) else "pairs"
    there = f", {skipped} were there already" if skipped else ""
    say(f"{total - len(failures) - skipped} of {total} {what} completed{there}")
    return _SOME_FAILED if failures else _SUCCESS


def _one_line(error: BaseException) -> str:
    """Return an error's message without line breaks."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{printable(error.filename)}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


if __name__ == "__main__":
    run_command(main)
