"""What balancing costs: a training step of `sweeps/balancing.yaml`, against stated weights.

python -m tests.benchmarks.balancing --rounds 5
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

from lab.parsing import options_from
from lab.runs import fit_run
from lab.settings import build_experiment, parse_experiment
from lab.studies import read_question

QUESTION = read_question("balancing", Path(__file__).parents[2] / "sweeps")
STEPS = 12


def step_seconds(values):
    """The median seconds of a step after the first, by the processor and by the clock."""
    options = [
        *options_from(QUESTION.base),
        *options_from(QUESTION.options_for(values)),
        # Its fill takes longer than a step, and only the first time.
        "--model.network.patch_match=false",
        *("--fit.epochs=1", "--fit.threads=1", "--fit.device=cpu", "--data.validation_photos=1"),
        f"--data.samples_per_epoch={8 * STEPS}",
        "--data.validation_crops=1",
    ]
    stamps = []

    def stamp(_):
        stamps.append((time.process_time(), time.perf_counter()))

    with tempfile.TemporaryDirectory() as folder:
        fit_run(build_experiment(parse_experiment(options)), Path(folder), "bench", on_step=stamp)
    steps = [
        [after - before for before, after in zip(one, other, strict=True)]
        for one, other in itertools.pairwise(stamps)
    ]
    return [statistics.median(kind) for kind in zip(*steps, strict=True)]


def main():
    """Measure every row in turn, round after round."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    rows = {
        str(values["model.objective.balancing"]).rpartition(".")[2]: values
        for values in QUESTION.combinations
    }
    seconds = {name: [] for name in rows}
    for _ in range(rounds):
        for name, values in rows.items():
            seconds[name].append(step_seconds(values))
    stated = seconds["StatedWeights"]
    for name, measured in seconds.items():
        processor, clock = (statistics.median(kind) for kind in zip(*measured, strict=True))
        ratio = statistics.median(
            one[0] / other[0] for one, other in zip(measured, stated, strict=True)
        )
        print(
            f"{name:22} {1000 * processor:.0f} ms of the processor, {1000 * clock:.0f} by the "
            f"clock, {ratio:.2f} of stated weights"
        )


if __name__ == "__main__":
    main()
