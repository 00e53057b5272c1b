"""What a busy machine does to a computation by several threads, and how long they wait awake.

``python -m tests.benchmarks.busy`` fills a hole by PatchMatch and trains a few steps, each in a
process of its own: as OpenMP waits by itself, as `lab` has it, and asleep at once; on the machine
as it is, and beside as many busy processes as it has processors.
"""

import os
import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from lab.processors import usable_processors

WAITS: dict[str, dict[str, str]] = {
    "as OpenMP does by itself": {"GOMP_SPINCOUNT": "300000"},
    "as lab has it": {},
    "asleep at once": {"GOMP_SPINCOUNT": "0"},
}
_MEASURED = "import tests.benchmarks.busy as busy; busy.measure()"
_BUSY = "while True: pass"
_PATIENCE = 300.0


def measure() -> None:
    """Print the milliseconds of a fill and of a training step, medians of three."""
    import torch

    from lab.fills import PatchMatch
    from tests.benchmarks.fills import holed_photo
    from tests.benchmarks.steps import Steps

    torch.set_num_threads(usable_processors())
    image, mask = holed_photo(512)
    mask = torch.zeros_like(mask)
    mask[..., 200:300, 220:280] = 1.0
    fill, steps = PatchMatch(), Steps(64, 16, 16, 4)
    for run in (lambda: fill(image, mask), lambda: steps.fast_step(bfloat16=True)):
        times = []
        for _ in range(4):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
        print(f"{1000 * statistics.median(times[1:]):.0f}", flush=True)


def measured(wait: str) -> list[str]:
    """Milliseconds of the fill and the step under a way to wait; what takes too long is said."""
    said = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
    environment = {name: value for name, value in os.environ.items() if name not in said}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURED],
            env={**environment, **WAITS[wait]},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            text=True,
        )
        found = done.stdout.split()
    except subprocess.TimeoutExpired as late:
        found = (late.stdout or b"").decode().split()
    return [*found, *[f"> {1000 * _PATIENCE:.0f}"] * (2 - len(found))]


def _start_busy() -> "subprocess.Popen[bytes]":
    # As from another terminal: the system shares the processors out among sessions.
    return subprocess.Popen([sys.executable, "-c", _BUSY], start_new_session=True)


def main() -> None:
    table = Table(
        "threads wait", "beside", "PatchMatch, hole of 60x100, ms", "training step 64x64, ms"
    )
    processors = usable_processors()
    for others in (0, processors):
        busy = [_start_busy() for _ in range(others)]
        try:
            for wait in WAITS:
                beside = f"{others} busy processes" if others else "nothing of ours"
                table.add_row(wait, beside, *measured(wait))
        finally:
            for process in busy:
                process.kill()
                process.wait()
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
