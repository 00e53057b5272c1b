"""Train one network: ``python -m lab.train --name NAME``.

Every setting is an option, ``--data.size=64``; ``--print-config`` prints them all with their
values. A run that was interrupted goes on when the same command is given again.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command, say

EXAMPLE = """\
  python -m lab.train --name first --data.size=64 --fit.epochs=5
  python -m lab.train --name mine --data.photos=$HOME/photos --model.network.width=16
  python -m lab.train --name again --config runs/loss_weights/trials/trial-003/config.yaml
  python -m lab.train --variant=both_gates --print-config
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("train", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("--config", type=Path, metavar="FILE", help="settings in YAML; options go on top")
    options.add_variant()
    add("--name", default="train", metavar="RUN", help="the run's folder below --runs")
    add("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    add("--print-config", action="store_true", help="print every setting as YAML, and end")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given, options = parser().parse_with_settings(arguments)
    if "list" in given.variant:
        from lab.variants import print_variants

        print_variants()
        return 0
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.faults import in_one_line
    from lab.files import clear_litter
    from lab.formats.runs import SETTINGS
    from lab.runs import (
        StepProgress,
        TimeLeft,
        change_of_devices,
        fit_run,
        has_ended,
        holding_run,
        is_first_machine,
        refuse_evaluation,
        refuse_missing_means,
        refuse_other_settings,
    )
    from lab.settings import build_experiment, parse_experiment
    from lab.terminal import Terminal
    from lab.tracking import EpochScore
    from lab.training import NonFiniteLossError

    folder = given.runs / given.name
    console = Terminal()
    try:
        experiment = build_experiment(parse_experiment(options, given.config))
        if given.print_config:
            print(experiment.yaml, end="")
            return 0
        refuse_missing_means(experiment.fit)
        refuse_other_settings(experiment, folder)
        if not (folder / SETTINGS).exists():  # a run of an earlier version goes on as it was begun
            refuse_evaluation(experiment)
        console.print(experiment.read_photos(), soft_wrap=True, highlight=False)
        if has_ended(experiment, folder):
            # Nobody writes there again, and a kill after the last network may have left half of
            # what goes on from it.
            clear_litter(folder / "checkpoints")
            console.print(
                f"The run in {folder} has its {experiment.fit.epochs} epochs already: more go on "
                "with it (--fit.epochs=N)",
                soft_wrap=True,
            )
            print_next_steps(folder)
            return 0
        changes = change_of_devices(experiment, folder)
        if changes is not None:
            console.print(changes, soft_wrap=True, highlight=False)
        with console.status("starting") as status:
            left = TimeLeft()

            def on_step(progress: StepProgress) -> None:
                loss = "judges alone" if progress.loss is None else f"loss {progress.loss:.4g}"
                status.update(
                    f"epoch {progress.epoch}/{progress.epochs}, "
                    f"step {progress.step}/{progress.steps}, {loss}, "
                    f"time left {left.after(progress)}"
                )

            def on_epoch(score: EpochScore) -> None:
                shown = ("hole_psnr", "hole_ssim", "rim_ssim", "whole_psnr")
                values = ", ".join(f"{name} {score.means[name]:.4f}" for name in shown)
                console.print(f"epoch {score.epoch}: {values}", soft_wrap=True, highlight=False)

            with holding_run(folder, experiment.fit):
                fit_run(
                    experiment,
                    folder,
                    given.name,
                    on_step=on_step,
                    on_epoch=on_epoch,
                    on_start=lambda said: console.print(said, soft_wrap=True, highlight=False),
                )
        if is_first_machine(experiment.fit):
            print_next_steps(folder)
    except NonFiniteLossError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        print(
            "\nInterrupted. Give the same command again to go on from what was kept last.",
            file=sys.stderr,
        )
        return INTERRUPTED
    except Exception as error:
        complain(in_one_line(error))
        return 2
    return 0


def print_next_steps(folder: Path) -> None:
    """Say how to look at a run, and how to use its best epoch."""
    from lab.results import open_run

    run = open_run(folder)
    say(f"Look at it: python -m lab.report {folder}")
    if run.checkpoint is not None:
        say(f"Best by {run.goal}: epoch {run.best}, {run.mean(run.goal):.4f}")
        say(f"Use it: python -m lab.inpaint PHOTO --mask MASK --checkpoint {run.checkpoint} -o OUT")
    say(f"Everything is in {folder}")


if __name__ == "__main__":
    run_command(main)
