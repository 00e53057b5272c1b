"""Review a study or a run offline in a browser: ``python -m lab.report runs/loss_weights``.

Writes one folder whose ``index.html`` opens in any browser, or one HTML file: verdict, pictures by
epoch under a wipe, curves, Optuna's plots, blind votes, and what reproduces each run. Nothing is
loaded or sent. A folder with studies in it gets an index of them all. With ``--wandb``, builds a
W&B Report of the uploaded runs instead.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command, say

EXAMPLE = """\
  python -m lab.report runs/loss_weights                # runs/loss_weights/report/index.html
  python -m lab.report runs/loss_weights --watch        # written again as the study goes on
  python -m lab.report runs/loss_weights --pictured 24  # more photos than the twelve of each run
  python -m lab.report runs/                            # an index of all studies and runs
  python -m lab.report runs/loss_weights --single-file -o review.html
  python -m lab.report runs/loss_weights --storage WHERE  # of other machines, fetched
  python -m lab.report runs/loss_weights --wandb --entity my-team
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("report", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("folder", type=Path, metavar="STUDY|RUN|RUNS", help="what lab.sweep or lab.train wrote")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="the folder or file to write; default: report/ or report.html in the folder",
    )
    add("--single-file", action="store_true", help="one HTML file, pictures inside, lossless")
    add("--watch", action="store_true", help="write again after every change, until it is done")
    add("--pictured", type=int, metavar="N", help="picture the first N validation samples")
    add("--sample", nargs="+", default=[], metavar="NAME", help="picture these samples too")
    add("--photos", type=Path, metavar="DIR", help="with those: the photos, if they lie elsewhere")
    add(
        "--storage",
        metavar="WHERE",
        help="the study's, if lab.sweep was given one; fetches it into a folder that is missing",
    )
    add(
        "--artifacts",
        metavar="WHERE",
        help="where its files come together as this machine reaches it, if not as the study says",
    )
    add("--wandb", action="store_true", help="build a W&B Report and print its address")
    add("--entity", metavar="E", help="W&B user or team; default: your own")
    add("--project", metavar="P", help="W&B project; default: the one that runs are sent to")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given = options.parse_args(arguments)
    _refuse_contradictions(options, given)
    # After parsing: what reads a study takes seconds to import, and --help should not wait for it.
    from lab.checks import UserError
    from lab.imaging import UnreadablePhotoError
    from lab.results import open_study

    try:
        if given.wandb:
            from lab.reporting.wandb_report import publish_wandb_report

            study = open_study(given.folder, given.storage, given.artifacts, networks=False)
            say(publish_wandb_report(study, given.entity, given.project))
        else:
            _write_pages(given)
    except (UserError, UnreadablePhotoError, OSError) as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        kept = "The page stays as it was last written." if given.watch else "Nothing was written."
        print(f"\nInterrupted. {kept}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _refuse_contradictions(options: CommandParser, given: argparse.Namespace) -> None:
    writes = given.single_file or given.output or given.watch or given.pictured or given.sample
    if given.wandb and writes:
        options.error("--wandb writes no page: leave the options of the page out")
    if not given.wandb and (given.entity or given.project):
        options.error("--entity and --project go with --wandb")
    if given.watch and given.single_file:
        options.error("--watch writes a folder, which the open page can look at: no --single-file")
    if given.watch and (given.pictured or given.sample):
        options.error("--watch shows what runs picture themselves: picture more when it has ended")
    if given.photos is not None and not (given.pictured or given.sample):
        options.error("--photos goes with --pictured or --sample, which complete them again")
    if given.pictured is not None and given.pictured < 1:
        options.error(f"--pictured must be at least 1, not {given.pictured}")


def _write_pages(given: argparse.Namespace) -> None:
    """Write the page of a study or run, or the index of a folder of them, once or watching."""
    from lab.reporting import all_done, is_done, picture_more, watch, write_index, write_report
    from lab.results import ResultsError, find_studies, open_study

    completes = bool(given.pictured or given.sample)
    output = given.output or given.folder / ("report.html" if given.single_file else "report")
    page = output if given.single_file else output / "index.html"
    is_index = bool(find_studies(given.folder))
    if is_index and (given.single_file or given.storage or given.artifacts or completes):
        raise ResultsError(
            f"{given.folder} holds studies, and gets an index: give the folder of one of them for "
            "--single-file, --storage, --artifacts, --pictured or --sample"
        )

    def note(text: str) -> None:
        say(text, error=True)

    def write(serial: int | None = None) -> bool:
        if is_index:
            return all_done(write_index(given.folder, output, note, serial))
        study = open_study(given.folder, given.storage, given.artifacts, networks=completes)
        if completes:
            picture_more(study, given.pictured or 0, given.sample, given.photos, note)
            study = open_study(given.folder, given.storage, given.artifacts, networks=False)
        for text in write_report(study, output, given.single_file, serial):
            note(text)
        return is_done(study)

    if given.watch:
        say(f"Open {page} in a browser: it follows what is written. Ctrl-C ends this.")
        folders = find_studies if is_index else lambda folder: [folder]
        watch(lambda: folders(given.folder), write, note)
        say(f"Done: {page} is complete")
    else:
        write()
        say(f"Open {page} in a browser ({_megabytes(output):.1f} MB, works offline)")


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    run_command(main)
