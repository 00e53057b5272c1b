"""Score a trained network: ``python -m lab.evaluate --checkpoint FILE``.

On the validation photos of the settings, or on a fixed set: photos under holes of every size
(``data_prep.evaluation_sets``), or people really removed from a clip (``data_prep.clean_plate``).
Any strategy can be put around the network.
"""

from collections.abc import Sequence
from pathlib import Path

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command

EXAMPLE = """\
  python -m lab.evaluate --checkpoint runs/first/checkpoints/epoch-005.pt --set sets/test1
  python -m lab.evaluate --checkpoint runs/first/checkpoints/epoch-005.pt --set triplets \\
      --evaluation.dilation=10 --name removals
  python -m lab.evaluate --checkpoint runs/first/checkpoints/epoch-005.pt --data.photos=photos \\
      --variant=tiled --name tiled
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("evaluate", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("--checkpoint", type=Path, metavar="FILE", help="required; a run's epoch-NNN.pt")
    options.add_variant()
    add("--set", type=Path, metavar="DIR", help="a set made by data_prep; default: validation")
    add(
        "--baseline",
        action="append",
        metavar="METHOD",
        help="compare with this method without a network; may be given several times; default: "
        "those that are quick at the samples' size; `lab.inpaint --method list` lists them all",
    )
    add("--name", metavar="RUN", help="the run's folder below --runs; default: evaluation")
    add("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given, settings = options.parse_with_settings(arguments)
    if "list" in given.variant:
        from lab.variants import print_variants

        print_variants()
        return 0
    if given.checkpoint is None:
        options.error("--checkpoint FILE is missing")
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.faults import in_one_line
    from lab.results import open_study
    from lab.runs import evaluate_baselines, evaluate_run, holding_run, open_tasks
    from lab.settings import build_experiment, parse_experiment
    from lab.strategies import baselines
    from lab.studies import print_scores
    from lab.terminal import Terminal

    if given.set is not None:
        settings = [*settings, f"--evaluation.set={given.set.resolve()}"]
    console = Terminal()
    folder = given.runs / (given.name or "evaluation")
    try:
        experiment = build_experiment(parse_experiment(settings))
        tasks = open_tasks(experiment)
        methods = baselines(tasks.side, given.baseline)
        console.print(tasks.summary(), soft_wrap=True, highlight=False)
        with holding_run(folder):
            evaluate_run(experiment, tasks, given.checkpoint, folder, folder.name)
            evaluate_baselines(tasks, methods, folder)
        print_scores(open_study(folder), console)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        complain(in_one_line(error))
        return 2
    return 0


if __name__ == "__main__":
    run_command(main)
