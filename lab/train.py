"""Train one network: ``python -m lab.train --config run.yaml``.

Every setting is an option, ``--data.size=64``; ``--print-config`` prints them all with their
values. A run that was interrupted goes on when the same command is given again.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from lab.command_line import INTERRUPTED, CommandParser

EXAMPLE = """\
  python -m lab.train --fit.epochs=5 --data.size=64 --name first
  python -m lab.train --config runs/loss_weights/trials/trial-003/config.yaml --name again
  python -m lab.train --data.photos=/path/to/photos --model.network.width=16 --print-config
"""


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("train", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("--config", type=Path, metavar="FILE", help="settings in YAML; options go on top")
    add("--name", default="train", metavar="RUN", help="the run's folder below --runs")
    add("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie")
    add("--print-config", action="store_true", help="print every setting as YAML, and end")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given, options = parser().parse_with_settings(arguments)
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from rich.console import Console

    from lab.files import lock_run
    from lab.runs import StepProgress, fit_run, refuse_missing_device, refuse_other_settings
    from lab.settings import SettingsError, build_experiment, parse_experiment
    from lab.tracking import EpochScore
    from lab.variants import NonFiniteLossError

    folder = given.runs / given.name
    console = Console()
    try:
        experiment = build_experiment(parse_experiment(options, given.config))
        if given.print_config:
            print(experiment.yaml, end="")
            return 0
        refuse_missing_device(experiment.fit)
        refuse_other_settings(experiment, folder)
        console.print(experiment.read_photos(), soft_wrap=True, highlight=False)
        with console.status("starting") as status:

            def on_step(progress: StepProgress) -> None:
                status.update(
                    f"epoch {progress.epoch}/{progress.epochs}, "
                    f"step {progress.step}/{progress.steps}"
                )

            def on_epoch(score: EpochScore) -> None:
                shown = ("hole_psnr", "hole_ssim", "rim_ssim", "whole_psnr")
                values = ", ".join(f"{name} {score.means[name]:.4f}" for name in shown)
                console.print(f"epoch {score.epoch}: {values}", soft_wrap=True, highlight=False)

            lock = lock_run(folder)
            if lock is None:
                raise SettingsError(
                    f"another process is writing the run in {folder}: wait until it has ended, or "
                    "give this one another --name"
                )
            with lock:
                fit_run(experiment, folder, given.name, on_step=on_step, on_epoch=on_epoch)
    except (SettingsError, NonFiniteLossError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nInterrupted. Give the same command again to go on from the last finished epoch.",
            file=sys.stderr,
        )
        return INTERRUPTED
    console.print(f"Everything is in {folder}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
