"""Choose a checkpoint: ``python -m lab.select runs/loss_weights``.

Ranks the checkpoints of a run, or of all trials of a study together, by what their validation
photos scored: how sure it is which is best, which cannot be told apart, which only look good. With
--keep it deletes the networks that nobody will use.
"""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command

EXAMPLE = """\
  python -m lab.select runs/first
  python -m lab.select runs/loss_weights --metric hole_ssim rim_ssim hole_sharpness_error
  python -m lab.select runs/loss_weights --votes
  python -m lab.select runs/loss_weights --keep 3 --dry-run
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("select", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("folder", type=Path, metavar="RUN|STUDY", help="the folder of a run or a study")
    add(
        "--metric",
        nargs="+",
        metavar="METRIC",
        help="the first decides, all make the Pareto set; default: the study's goals, else "
        "hole_ssim, then hole_psnr and rim_ssim",
    )
    add(
        "--votes",
        action="store_true",
        help="print what blind votes in votes/ say, too, and which metric agrees with them",
    )
    add("--keep", type=int, metavar="K", help="delete the networks of all but the K best epochs")
    add("--dry-run", action="store_true", help="with --keep: list what would go, delete nothing")
    add("--seed", type=int, default=0, metavar="N", help="of the bootstrap")
    add(
        "--storage",
        metavar="WHERE",
        help="the study's, where its folder does not say; fetches it into a folder that is missing",
    )
    add(
        "--artifacts",
        metavar="WHERE",
        help="where its files come together as this machine reaches it, if not as the study says",
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given = options.parse_args(arguments)
    if given.keep is not None and given.keep < 1:
        options.error(f"--keep must be at least 1, not {given.keep}")
    if given.seed < 0:
        options.error(f"--seed must not be negative, but is {given.seed}")
    if given.dry_run and given.keep is None:
        options.error("--dry-run says what --keep would delete: give --keep, too")
    # After parsing: what follows takes seconds to import, and --help should not wait for it.
    from lab.faults import in_one_line
    from lab.results import ResultsError, open_study
    from lab.selection.checkpoints import is_evaluation, runs_by_name
    from lab.selection.choosing import choose
    from lab.selection.display import (
        print_selection,
        print_votes,
        write_agreement,
        write_selection,
    )
    from lab.selection.keeping import delete_checkpoints, locked_runs, spare_checkpoints
    from lab.selection.voting import count_votes
    from lab.terminal import Terminal

    console = Terminal()
    try:
        # With all networks: what is chosen, and what is deleted, are files that are there.
        study = open_study(given.folder, given.storage, given.artifacts)
        if is_evaluation(study):
            if not given.votes:
                raise ResultsError(
                    f"{given.folder} is an evaluation, of which no epoch is to be kept: give "
                    "--votes for what blind votes in it say"
                )
            counted = count_votes(study, given.seed)
            print_votes(counted, console)
            write_agreement(counted, given.folder)
            return 0
        named = runs_by_name(study)
        if given.keep is not None and any("checkpoint" in run.record for run in named.values()):
            raise ResultsError(
                f"nothing in {given.folder} was trained there: its network is a file of your own, "
                "which --keep does not delete. Leave --keep out"
            )
        runs = [run.folder for run in named.values()]
        metrics = given.metric or [*study.goals, "hole_ssim", "hole_psnr", "rim_ssim"]
        deletes = given.keep is not None and not given.dry_run
        # The locks first: what is ranked is what is deleted.
        with locked_runs(runs) if deletes else nullcontext():
            study = open_study(given.folder, given.storage, given.artifacts)
            selection = choose(study, list(dict.fromkeys(metrics)), given.seed)
            counted = count_votes(study, given.seed)
            print_selection(selection, console)
            if given.votes:
                print_votes(counted, console)
            write_selection(selection, counted, given.folder)
            if given.keep is not None:
                there = {point.name for point in selection.checkpoints}
                favourites = [v.checkpoint for v in counted.ranked if v.checkpoint in there]
                spare = spare_checkpoints(selection, given.keep, also_keep=favourites[:1])
                size = sum(point.path.stat().st_size for point in spare) / 2**20
                verb = "Deleting" if deletes else "Would delete"
                console.print(f"{verb} {len(spare)} networks, {size:.1f} MiB:", highlight=False)
                for point in spare:
                    console.print(f"  {point.path}", highlight=False, soft_wrap=True)
                if deletes:
                    delete_checkpoints(spare)
    except KeyboardInterrupt:
        print("\nInterrupted. What was not deleted yet is all there.", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        complain(in_one_line(error))
        return 2
    return 0


if __name__ == "__main__":
    run_command(main)
