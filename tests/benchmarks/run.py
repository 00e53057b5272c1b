"""The benchmark table: ``make bench``. Ratios against a yardstick timed in the same run.

Each pair is timed alternately and reported by medians, so that a busy machine slows both alike.
``make bench ARGS="--only networks compiled"`` does some sections alone.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.table import Table

from lab.data import Batch, PhotoDataModule
from lab.data.photo_sets import starter_photos
from lab.fills import OpenCVInpainting
from lab.imaging import decode_photo
from lab.masks import MASK_GENERATORS
from lab.processors import usable_processors
from lab.runs import computes_in_bfloat16, fit_run
from lab.settings import build_experiment, parse_experiment
from lab.tracking import VISUAL_SAMPLES
from tests.benchmarks.feeding import WORKERS, decoding_microseconds, fed, places_like_photos
from tests.benchmarks.fills import FILLS, holed_photo
from tests.benchmarks.masks import median_rate
from tests.benchmarks.networks import network_table
from tests.benchmarks.packing import packing_and_decoding
from tests.benchmarks.pictures import picture_seconds
from tests.benchmarks.steps import Steps


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def alternate(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median seconds of two things, timed in turns after one unmeasured round of each."""
    first()
    second()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        times[0].append(seconds(first))
        times[1].append(seconds(second))
    return statistics.median(times[0]), statistics.median(times[1])


def reading_rates(rounds: int) -> tuple[float, float]:
    """Starter photos read a second: by OpenCV alone, and by `decode_photo`."""
    split = starter_photos()
    paths = [photo.path for photo in (*split.training, *split.validation)]

    def by_opencv() -> None:
        for path in paths:
            cv2.imread(str(path))

    def ours() -> None:
        for path in paths:
            decode_photo(path)

    plain, checked = alternate(by_opencv, ours, rounds)
    return len(paths) / plain, len(paths) / checked


def sample_rate(rounds: int) -> float:
    """Training samples read, cropped and masked a second, from the starter photos, one process."""
    data = build_experiment(parse_experiment(["--data.size=64", "--data.batch_size=16"])).data
    data.samples_per_epoch = 320
    loader = data.train_dataloader()
    list(loader)  # the first pass decodes
    return 320 / statistics.median(seconds(lambda: list(loader)) for _ in range(rounds))


def trainer_options(*further: str) -> list[str]:
    return [
        "--data.size=64",
        "--data.batch_size=16",
        "--data.samples_per_epoch=320",
        "--data.validation_photos=1",
        "--model.network.width=16",
        "--model.judges.whole.width=32",
        "--model.judges.whole.depth=4",
        "--fit.epochs=1",
        *further,
    ]


def fitted_steps(
    options: Sequence[str], data: PhotoDataModule, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """When each step of a run ended, in seconds after it was asked for."""
    experiment = replace(build_experiment(parse_experiment(options)), data=data)
    began, stamps = clock(), []
    with tempfile.TemporaryDirectory() as folder:
        fit_run(
            experiment,
            Path(folder),
            "bench",
            on_step=lambda _: stamps.append(clock() - began),
        )
    return stamps


def trainer_overhead(rounds: int) -> tuple[float, float]:
    """Median seconds a step: the bare loop, and under Lightning with everything it records."""
    data = build_experiment(parse_experiment(trainer_options())).data
    batches: list[Batch] = list(data.train_dataloader())
    bare, bfloat16 = Steps(64, 16, 16, 4), computes_in_bfloat16("cpu")

    def bare_steps() -> None:
        for batch in batches:
            bare.image, bare.mask = batch.image, batch.mask
            bare.fast_step(bfloat16)

    bare_seconds, lightning_seconds = [], []
    for _ in range(rounds):
        bare_seconds.append(seconds(bare_steps) / len(batches))
        stamps = fitted_steps(trainer_options(), data)
        # From the first step's end to the last's: what starting costs is no overhead a step.
        lightning_seconds.append((stamps[-1] - stamps[0]) / (len(stamps) - 1))
    return statistics.median(bare_seconds), statistics.median(lightning_seconds)


def compiled_steps(rounds: int) -> tuple[float, float, float]:
    """Median processor seconds of a run's step: as it is, and compiled; and what compiling adds.

    The last is by the clock: the compiler is other processes.
    """
    data = build_experiment(parse_experiment(trainer_options())).data
    lasted: dict[bool, list[float]] = {False: [], True: []}
    begun: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for compiled, found in lasted.items():
            options = trainer_options(f"--fit.compile={compiled}".lower())
            began = time.perf_counter()
            stamps = fitted_steps(options, data, time.process_time)
            begun[compiled].append(time.perf_counter() - began)
            found += [after - before for before, after in pairwise(stamps)]
    eager, ours = (statistics.median(lasted[compiled]) for compiled in (False, True))
    return eager, ours, begun[True][0] - begun[False][0]


def step_rows(table: Table, rounds: int) -> None:
    """Steps and inference of the network that the notes start from, and what the trainer adds."""
    bfloat16 = computes_in_bfloat16("cpu")
    for size, batch, width, depth in ((64, 16, 32, 4), (128, 4, 32, 5), (256, 2, 32, 6)):
        steps = Steps(size, batch, width, depth)
        plain, fast = alternate(steps.plain_step, partial(steps.fast_step, bfloat16), rounds)
        table.add_row(
            f"training step {size}x{size}, batch {batch}, width {width}",
            f"{1000 * plain:.0f} ms",
            f"{1000 * fast:.0f} ms",
            f"{plain / fast:.2f}",
            "2.2" if bfloat16 else "-",
        )
        ours = partial(steps.fast_inference, bfloat16)
        plain, fast = alternate(steps.plain_inference, ours, 3 * rounds)
        table.add_row(
            f"inference {size}x{size}, width {width}",
            f"{1000 * plain:.0f} ms",
            f"{1000 * fast:.0f} ms",
            f"{plain / fast:.2f}",
            "1.8" if bfloat16 and size == 256 else "-",
        )
    bare, trained = trainer_overhead(max(3, rounds // 2))
    table.add_row(
        "Lightning's overhead on a step",
        f"{1000 * bare:.0f} ms",
        f"{1000 * trained:.0f} ms",
        f"{trained / bare - 1:+.1%}",
        "<= 5 %",
    )


def compiled_rows(table: Table, rounds: int) -> None:
    """A run's steps as they are, and with ``fit.compile``, on one core."""
    torch.set_num_threads(1)
    eager, compiled, further = compiled_steps(max(2, rounds // 3))
    table.add_row(
        f"compiled step 64x64, batch 16, width 16 (compiling: {further:.0f} s)",
        f"{1000 * eager:.0f} ms",
        f"{1000 * compiled:.0f} ms",
        f"{eager / compiled:.2f}",
        "-",
    )


def data_rows(table: Table, rounds: int) -> None:
    """Photos that are read, drawn from, fed and packed."""
    cv_rate, our_rate = reading_rates(rounds)
    table.add_row(
        "photos read upright as RGB (against cv2.imread)",
        f"{cv_rate:,.0f}/s",
        f"{our_rate:,.0f}/s",
        f"{our_rate / cv_rate:.2f}",
        "-",
    )
    table.add_row(
        "training samples, photos in memory", "", f"{sample_rate(rounds):,.0f}/s", "", "-"
    )
    bfloat16, photos_needed = computes_in_bfloat16("cpu"), {}
    for size, batch, depth in ((64, 16, 4), (256, 2, 6)):
        step = partial(Steps(size, batch, 32, depth).fast_step, bfloat16)
        photos_needed[size] = batch / alternate(step, step, rounds)[0]
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with places_like_photos() as sets:
        for size, batch in ((64, 16), (256, 4)):
            for name, photos in sets.items():
                found = [fed(photos, size, batch, workers, 3) for workers in WORKERS]
                table.add_row(
                    f"JPEGs fed from {name} as {size}x{size}, 0, 1, 2 processes (against its step)",
                    f"{photos_needed[size]:,.0f}/s",
                    ", ".join(f"{each.rate:,.0f}" for each in found) + "/s",
                    f"{found[0].rate / photos_needed[size]:.1f}",
                    "> 1",
                )
                table.add_row(
                    "  of a core each, by 2 processes (against decoding alone)",
                    f"{(plain := decoding_microseconds(sets['folder'])):,.0f} us",
                    f"{found[-1].microseconds:,.0f} us",
                    f"{found[-1].microseconds / plain:.2f}",
                    "-",
                )
    ours, alone = packing_and_decoding(10_000, usable_processors(), max(1, rounds // 3))
    table.add_row(
        f"photos packed by places2, {ours.peak_bytes / 2**20:.0f} MiB (against decoding alone)",
        f"{alone.rate:,.0f}/s",
        f"{ours.rate:,.0f}/s",
        f"{ours.rate / alone.rate:.2f}",
        "-",
    )


def fill_rows(table: Table, rounds: int) -> None:
    """Holes that are filled without a network, on one core."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    telea = OpenCVInpainting("telea")
    for name, fill, size, target in FILLS:
        image, mask = holed_photo(size)
        plain, ours = alternate(
            partial(telea, image, mask), partial(fill, image, mask), max(3, rounds // 2)
        )
        table.add_row(
            f"19 % of {size}x{size} filled by {name}, one core (against Telea)",
            f"{1000 * plain:.1f} ms",
            f"{1000 * ours:.1f} ms",
            f"{ours / plain:.1f}",
            target,
        )


def mask_rows(table: Table, rounds: int) -> None:
    """Masks that are drawn, on one core."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    for name, build in MASK_GENERATORS.items():
        rate = f"{median_rate(build()):,.0f}/s"
        table.add_row(f"masks 256x256 on one core: {name}", "", rate, "", "2,000/s")


def picture_rows(table: Table, rounds: int) -> None:
    """The pictures of an epoch, on one core."""
    for size in (64, 256):
        plain, ours = picture_seconds(size, rounds)
        table.add_row(
            f"an epoch's pictures {size}x{size}, {VISUAL_SAMPLES} samples (against PNG by Pillow)",
            f"{1000 * plain:.0f} ms",
            f"{1000 * ours:.0f} ms",
            f"{plain / ours:.2f}",
            "-",
        )


SECTIONS = {
    "steps": step_rows,
    "compiled": compiled_rows,
    "data": data_rows,
    "fills": fill_rows,
    "masks": mask_rows,
    "pictures": picture_rows,
}
NETWORKS = "networks"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    choices = [*SECTIONS, NETWORKS]
    parser.add_argument(
        "--only", nargs="+", choices=choices, default=choices, metavar="SECTION", help=f"{choices}"
    )
    given = parser.parse_args()
    console, threads = Console(width=110), torch.get_num_threads()
    bfloat16 = computes_in_bfloat16("cpu")
    for name, add_rows in SECTIONS.items():
        if name not in given.only:
            continue
        torch.set_num_threads(threads)
        table = Table(title=f"{name}: {threads} threads, bfloat16 instructions: {bfloat16}")
        for column in ("what", "yardstick", "ours", "ratio", "target"):
            table.add_column(column, justify="left" if column == "what" else "right")
        add_rows(table, given.rounds)
        console.print(table)
    if NETWORKS in given.only:
        console.print(network_table(rounds=max(2, given.rounds // 2)))


if __name__ == "__main__":
    main()
