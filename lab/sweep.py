"""Ask a question by training: ``python -m lab.sweep loss_weights``.

Reads ``sweeps/NAME.yaml``, trains its trials (or goes on with them), and prints which settings and
which epoch to keep.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command, say

EXAMPLE = """\
  python -m lab.sweep loss_weights
  python -m lab.sweep loss_weights --trials 20                 # goes on with the trials there are
  python -m lab.sweep loss_weights --photos ~/photos --name my_weights --workers 2
  python -m lab.sweep loss_weights --data.size=128 --name larger    # any setting of lab.train
  python -m lab.sweep mine.yaml                                # your question: docs/questions.md
  python -m lab.sweep erosion --checkpoint runs/first/checkpoints/epoch-005.pt
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("sweep", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("sweep", metavar="NAME", help="of the question, sweeps/NAME.yaml; or a question's file")
    options.add_variant()
    add("--photos", type=Path, metavar="DIR", help="a folder of photos; default: starter photos")
    add("--trials", type=int, metavar="N", help="how many; more than before continues the study")
    add("--epochs", type=int, metavar="N", help="of each trial")
    add("--seeds", type=int, metavar="N", help="from which a setting is trained at most")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="processes that share the cores; default: 1 with a GPU, else one a core, at most 4",
    )
    add(
        "--threads",
        type=int,
        metavar="N",
        help="of each process; a study keeps those that it began with; default: the cores shared "
        "out among the workers",
    )
    add("--goal", metavar="METRIC", help="in place of the question's; A,B for a Pareto front")
    add("--storage", metavar="WHERE", help="journal:FILE or an SQLAlchemy URL; default: SQLite")
    add(
        "--artifacts",
        metavar="WHERE",
        help="where files of trials come together: a folder that all machines reach, or s3://BUCKET",
    )
    add(
        "--lost-after",
        type=float,
        metavar="SECONDS",
        help="without a sign of life, then another machine takes a trial up; of a storage that "
        "machines share; default: 300",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the drawn trials and of training")
    add("--fresh", action="store_true", help="set the study there is aside and begin anew")
    add("--retry-failed", action="store_true", help="try failed trials again, in new folders")
    add("--checkpoint", type=Path, metavar="FILE", help="for questions about a trained network")
    add("--name", metavar="STUDY", help="of the study, if not NAME")
    add("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where studies lie")
    add("--sweeps", type=Path, default=Path("sweeps"), metavar="DIR", help="where questions lie")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 if the study lacks trials, 2 on misuse."""
    given, settings = parser().parse_with_settings(arguments)
    if "list" in given.variant:
        from lab.variants import print_variants

        print_variants()
        return 0
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.faults import in_one_line
    from lab.results import shown_address
    from lab.studies import begin_sweep, default_workers, run_sweep
    from lab.terminal import Terminal

    workers = default_workers() if given.workers is None else given.workers
    words = list(sys.argv[1:] if arguments is None else arguments)
    if given.storage:
        # Without the password, which is for the database only: W&B keeps a run's command.
        words = [word.replace(given.storage, shown_address(given.storage)) for word in words]
        sys.argv[1:] = words
    try:
        sweep = begin_sweep(
            given.sweep,
            name=given.name,
            settings=settings,
            photos=given.photos,
            trials=given.trials,
            epochs=given.epochs,
            seeds=given.seeds,
            goals=None if given.goal is None else given.goal.split(","),
            workers=workers,
            threads=given.threads,
            storage=given.storage,
            lost_after=given.lost_after,
            artifacts=given.artifacts,
            seed=given.seed,
            fresh=given.fresh,
            checkpoint=given.checkpoint,
            runs=given.runs,
            sweeps=given.sweeps,
        )
        results = run_sweep(sweep, workers, Terminal(), given.retry_failed)
    except KeyboardInterrupt:
        words = [word for word in words if word not in ("--fresh", "--retry-failed")]
        say(
            "\nInterrupted. Finished trials are kept, and an interrupted one goes on from its last "
            f"epoch:\n  python -m lab.sweep {shlex.join(words)}",
            error=True,
        )
        return INTERRUPTED
    except Exception as error:
        complain(in_one_line(error))
        return 2
    return 0 if results.is_whole else 1


if __name__ == "__main__":
    run_command(main)
