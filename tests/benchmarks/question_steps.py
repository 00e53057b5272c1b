"""What a training step costs under the settings of a question, each against the first's.

python -m tests.benchmarks.question_steps balancing --rounds 5
python -m tests.benchmarks.question_steps networks --rounds 1
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import optuna

from lab.parsing import options_from
from lab.runs import fit_run
from lab.settings import build_experiment, parse_experiment
from lab.studies import read_question

SWEEPS = Path(__file__).parents[2] / "sweeps"
STEPS = 12
"""At least so many in all; the question's epochs are kept, for phases may differ in cost."""


def step_seconds(question, values):
    """The mean seconds of a step after an epoch's first, by the processor and by the clock."""
    each_epoch = max(3, STEPS // question.epochs + 1)
    options = [
        *options_from(question.base),
        *options_from(question.options_for(values)),
        f"--fit.epochs={question.epochs}",
        *("--fit.threads=1", "--fit.device=cpu", "--data.validation_photos=1"),
        *("--data.validation_crops=1", "--data.batch_size=8"),
        f"--data.samples_per_epoch={8 * each_epoch}",
    ]
    if "FillSelector" in " ".join(options):
        # Its fill takes longer than a step, and only the first time.
        options.append("--model.network.patch_match=false")
    stamps = []

    def stamp(_):
        stamps.append((time.process_time(), time.perf_counter()))

    with tempfile.TemporaryDirectory() as folder:
        fit_run(build_experiment(parse_experiment(options)), Path(folder), "bench", on_step=stamp)
    steps = [
        [after - before for before, after in zip(one, other, strict=True)]
        for first in range(0, len(stamps), each_epoch)
        for one, other in itertools.pairwise(stamps[first : first + each_epoch])
    ]
    return [statistics.mean(kind) for kind in zip(*steps, strict=True)]


def completed(question, values):
    """A first trial's values with those that the study draws for the rest."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=question.directions)
    study.enqueue_trial(values)
    return question.draw(study.ask())


def main(arguments=None):
    """Measure every row in turn, round after round."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("question")
    options.add_argument("--rounds", type=int, default=5)
    options = options.parse_args(arguments)
    question = read_question(options.question, SWEEPS)
    rows = {
        " ".join(str(value).rpartition(".")[2] for value in values.values()): completed(
            question, values
        )
        for values in question.first or question.combinations
    }
    seconds = {name: [] for name in rows}
    for _ in range(options.rounds):
        for name, values in rows.items():
            seconds[name].append(step_seconds(question, values))
    first = next(iter(seconds.values()))
    for name, measured in seconds.items():
        processor, clock = (statistics.median(kind) for kind in zip(*measured, strict=True))
        ratio = statistics.median(
            one[0] / other[0] for one, other in zip(measured, first, strict=True)
        )
        print(
            f"{name:48} {1000 * processor:.0f} ms of the processor, {1000 * clock:.0f} by the "
            f"clock, {ratio:.2f} of the first",
            flush=True,
        )


if __name__ == "__main__":
    main()
