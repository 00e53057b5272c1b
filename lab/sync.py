"""Send offline W&B runs to W&B later: ``python -m lab.sync runs/loss_weights``.

Runs go up with their names, groups, epochs and pictures; what was sent before is not sent again.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command, say

EXAMPLE = """\
  python -m lab.sync runs/loss_weights
  python -m lab.sync runs/loss_weights --dry-run
  python -m lab.sync runs/loss_weights/trials/trial-003 --entity my-team
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("sync", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("folder", type=Path, metavar="STUDY|RUN", help="what lab.sweep or lab.train wrote")
    add("--entity", metavar="E", help="W&B user or team; default: your own")
    add("--project", metavar="P", help="W&B project; default: the one the runs were logged for")
    add("--dry-run", action="store_true", help="only say what would be sent")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 if some runs could not be sent, 2 on misuse."""
    given = parser().parse_args(arguments)
    # After parsing: W&B takes seconds to import, and --help should not wait for it.
    from lab.faults import in_one_line
    from lab.reporting import sync_offline_runs

    try:
        summary = sync_offline_runs(given.folder, given.entity, given.project, given.dry_run)
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on with what is left.", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        complain(in_one_line(error))
        return 2
    print(
        f"{'would send' if given.dry_run else 'sent'} {len(summary.sent)}, "
        f"sent earlier {len(summary.earlier)}, still being trained {len(summary.running)}, "
        f"failed {len(summary.failed)}"
    )
    for folder in summary.sent if given.dry_run else summary.failed:
        say(f"  {folder}")
    if summary.failed:
        say(f"W&B said:\n{summary.output}", error=True)
    return 1 if summary.failed else 0


if __name__ == "__main__":
    run_command(main)
