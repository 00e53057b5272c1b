"""Review a study or a run offline in a browser: ``python -m lab.report runs/loss_weights``.

Writes one folder whose ``index.html`` opens in any browser, or one HTML file: results, pictures by
epoch under a wipe, curves, Optuna's plots, blind votes, and what reproduces each run. Nothing is
loaded or sent. With ``--wandb``, builds a W&B Report of the uploaded runs instead.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lab.command_line import INTERRUPTED, CommandParser, run_command

EXAMPLE = """\
  python -m lab.report runs/loss_weights                   (runs/loss_weights/report/index.html)
  python -m lab.report runs/loss_weights --single-file -o review.html
  python -m lab.report runs/loss_weights --wandb --entity my-team
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("report", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("folder", type=Path, metavar="STUDY|RUN", help="what lab.sweep or lab.train wrote")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="OUT",
        help="the folder or file to write; default: report/ or report.html in STUDY",
    )
    add("--single-file", action="store_true", help="one HTML file, pictures inside, lossless")
    add("--storage", metavar="WHERE", help="the study's, if lab.sweep was given one")
    add("--wandb", action="store_true", help="build a W&B Report and print its address")
    add("--entity", metavar="E", help="W&B user or team; default: your own")
    add("--project", metavar="P", help="W&B project; default: the one that runs are sent to")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given = options.parse_args(arguments)
    if given.wandb and (given.single_file or given.output):
        options.error("--wandb writes no file: leave -o and --single-file out")
    if not given.wandb and (given.entity or given.project):
        options.error("--entity and --project go with --wandb")
    # After parsing: what reads a study takes seconds to import, and --help should not wait for it.
    from lab.checks import UserError
    from lab.reporting import write_report
    from lab.results import open_study

    try:
        study = open_study(given.folder, given.storage)
        if given.wandb:
            from lab.reporting.wandb_report import publish_wandb_report

            print(publish_wandb_report(study, given.entity, given.project))
            return 0
        name = "report.html" if given.single_file else "report"
        output = given.output or given.folder / name
        for note in write_report(study, output, given.single_file):
            print(note, file=sys.stderr)
        page = output if given.single_file else output / "index.html"
        print(f"Open {page} in a browser ({_megabytes(output):.1f} MB, works offline)")
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted; nothing was written.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


if __name__ == "__main__":
    run_command(main)
