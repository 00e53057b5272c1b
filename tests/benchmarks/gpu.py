"""A whole training step on a GPU, against the published form in the same run.

Of the network and its judge at full width: images a second, and which share of the GPU's peak that
is, in float32, in bfloat16, and compiled as `fit.compile` does.

python -m tests.benchmarks.gpu --batch 16
python -m tests.benchmarks.gpu --device cpu --size 32 --width 8 --batch 2 --product 256 --no-compile

The second tries the command out where there is no GPU.

All forms take turns, round after round, and the medians are shown. A round begins and ends with an
idle GPU. Each form's first step, which compiles and makes Adam's state, and one step more are not
in the medians; how long the first took is shown. Every step copies its photos to the GPU: ours as
runs do, as bytes from pinned memory, the published form as floats from ordinary memory.

FLOPs are counted by PyTorch over the same step on the meta device, two for a multiply-add; zeros
that our attention pads its keys with are among them. The peak is the datasheet's, dense; beside it
stands what a large matrix product reaches in the same rounds. Memory is the most that was allocated
during the steps, the weights and Adam's state of both forms included.
"""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from rich.console import Console
from rich.table import Table
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lab.command_line import complain
from lab.compiling import compile_call, why_nothing_compiles
from lab.data import Batch
from lab.guides import ask_network
from lab.networks.patch_discriminator import halvings_of
from lab.runs import computes_in_bfloat16
from tests.benchmarks.steps import Ask, Steps

FORMS = {"published": Steps.plain_step, "ours": Steps.fast_step}
COLUMNS = (
    "",
    "images/s",
    "to published,\nsame way",
    "to published,\nfloat32",
    "GFLOP\nan image",
    "TFLOP/s",
    "of the\npeak",
    "of the\nproduct",
    "GiB",
    "first\nstep, s",
)


@dataclass(frozen=True)
class Peak:
    """Dense TFLOP/s by a datasheet; None where the GPU has no such instructions."""

    float32: float
    tf32: float | None
    bfloat16: float | None


# By what PyTorch calls the whole GPU: a slice of one (MIG), or a relative of the same name (A10G,
# RTX 4090 Laptop), has another peak. Datasheets give most with sparsity, twice these; so does
# Lightning's own table, for H200 and H100 NVL.
PEAKS = {
    r"Tesla T4": Peak(8.1, None, None),
    r"Tesla V100-PCIE-\d+GB": Peak(14.0, None, None),
    r"Tesla V100-SXM2-\d+GB": Peak(15.7, None, None),
    r"NVIDIA A10": Peak(31.2, 62.5, 125.0),
    r"(NVIDIA )?A100-(SXM4|PCIE)-\d+GB|NVIDIA A100 80GB PCIe": Peak(19.5, 156.0, 312.0),
    r"NVIDIA L4": Peak(30.3, 60.0, 121.0),
    r"NVIDIA L40S": Peak(91.6, 183.0, 362.0),
    # Products of bfloat16 that are added up in float32, as PyTorch does.
    r"NVIDIA GeForce RTX 4090": Peak(82.6, 82.6, 165.2),
    r"NVIDIA H100 PCIe": Peak(51.2, 378.0, 756.0),
    r"NVIDIA H100 NVL|NVIDIA H200 NVL": Peak(60.0, 417.5, 835.5),
    r"NVIDIA H100 80GB HBM3|NVIDIA H200": Peak(66.9, 494.7, 989.4),
}


def peak_of(gpu: str, precision: str, tf32: bool) -> float | None:
    """Dense FLOP/s of a GPU by its name; None where it is not known.

    Args:
        gpu: as PyTorch calls it.
        precision: ``"float32"`` or ``"bfloat16"``.
        tf32: whether float32 may be rounded to TF32, where the GPU has that.
    """
    known = next((peak for name, peak in PEAKS.items() if re.fullmatch(name, gpu)), None)
    if known is None:
        return None
    if precision == "bfloat16":
        return None if known.bfloat16 is None else 1e12 * known.bfloat16
    return 1e12 * (known.tf32 if tf32 and known.tf32 else known.float32)


def depth_of(size: int) -> int:
    """How often the judge halves photos of a size."""
    return halvings_of(size, "auto", 6)


def step_flops(form: str, size: int, batch: int, width: int) -> int:
    """What a training step takes, counted by shapes alone: nothing is computed."""
    steps = Steps(size, batch, width, depth_of(size), device="meta")
    # As its two products: what is counted of a fused attention depends on the device.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        FORMS[form](steps)
    return counter.get_total_flops()


@dataclass
class Timed:
    """A training step or a matrix product, and how long it took in each round.

    Attributes:
        name: of its row.
        precision: ``"float32"`` or ``"bfloat16"``.
        begin: makes what a turn needs and frees afterwards; returns what does it once.
        flops: of doing it once.
        images: that it trains on.
        published: the published form's in the same precision; for a step.
        first: seconds of the very first time.
        seconds: of one time, for each round.
        bytes: the most that was allocated on the GPU during its turns.
    """

    name: str
    precision: str
    begin: Callable[[], Callable[[], object]]
    flops: int
    images: int = 0
    published: "Timed | None" = None
    first: float = 0.0
    seconds: list[float] = field(default_factory=list)
    bytes: int = 0

    def a_second(self, amount: float) -> float:
        """How much that is a second, of so much each time; by the median round."""
        return amount / statistics.median(self.seconds)


def seconds_of(run: Callable[[], object], times: int, device: torch.device) -> float:
    """How long one time lasts, from an idle device to an idle device."""
    if device.type != "cuda":
        began = time.perf_counter()
        for _ in range(times):
            run()
        return (time.perf_counter() - began) / times
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    first.record()
    for _ in range(times):
        run()
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last) / 1000 / times


def take_turns(timed: Sequence[Timed], rounds: int, times: int, device: torch.device) -> None:
    """Time each in turn, so many times a round, after two times of each that do not count."""
    for each in timed:
        run = each.begin()
        each.first = seconds_of(run, 1, device)
        run()
    for _ in range(rounds):
        for each in timed:
            run = each.begin()
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            each.seconds.append(seconds_of(run, times, device))
            if device.type == "cuda":
                each.bytes = max(each.bytes, torch.cuda.max_memory_allocated())


def fed_steps(steps: Steps) -> dict[str, Callable[[bool, Ask], None]]:
    """Both forms' training steps, each with a batch that comes to the device as it does there."""
    image, mask = steps.image.cpu(), steps.mask.cpu()
    names = [f"{number}" for number in range(len(image))]
    batch = Batch((255 * image).round().byte(), mask.byte(), names, names)
    if steps.device.type == "cuda":
        batch = batch.pin_memory()

    def published(bfloat16: bool, ask: Ask) -> None:
        steps.image, steps.mask = image.to(steps.device), mask.to(steps.device)
        steps.plain_step(bfloat16, ask)

    def ours(bfloat16: bool, ask: Ask) -> None:
        here = batch.to(steps.device)
        steps.image, steps.mask = here.image, here.mask
        steps.fast_step(bfloat16, ask)

    return {"published": published, "ours": ours}


def timed_steps(
    size: int,
    batch: int,
    width: int,
    device: torch.device,
    precisions: Sequence[str],
    compiled: bool,
) -> list[Timed]:
    """Each form in each precision, as it is and compiled."""
    fed = fed_steps(Steps(size, batch, width, depth_of(size), device.type))
    flops = {form: step_flops(form, size, batch, width) for form in FORMS}
    ways: dict[str, Ask] = {"": ask_network}
    if compiled:
        # Once for all of them: compiling anew forgets what was compiled before.
        ways[", compiled"] = compile_call(ask_network)
    found = []
    for precision in precisions:
        for way, ask in ways.items():
            published = None
            for form, step in fed.items():
                run = partial(step, precision == "bfloat16", ask)
                timed = Timed(
                    f"{form}, {precision}{way}",
                    precision,
                    lambda run=run: run,
                    flops[form],
                    batch,
                )
                published = timed.published = published or timed
                found.append(timed)
    return found


@contextmanager
def tf32_in_products(allowed: bool) -> Iterator[None]:
    """Have matrix products of float32 rounded to TF32, as convolutions are by default."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def timed_product(side: int, precision: str, tf32: bool, device: torch.device) -> Timed:
    """The product of two square matrices, in the precision that convolutions have."""
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32

    def begin() -> Callable[[], None]:
        left, right = (torch.rand(side, side, device=device, dtype=kind) for _ in range(2))
        answer = torch.empty_like(left)

        def multiply() -> None:
            with tf32_in_products(tf32):
                torch.mm(left, right, out=answer)

        return multiply

    return Timed(f"matrix product, {precision}", precision, begin, 2 * side**3)


def add_rows(
    table: Table,
    steps: Sequence[Timed],
    products: Mapping[str, Timed],
    peaks: Mapping[str, float | None],
) -> None:
    """A row for each; products and peaks by precision."""
    for each in (*steps, *products.values()):
        reached, peak = each.a_second(each.flops), peaks[each.precision]
        product = products[each.precision]
        of_step, first = [""] * 4, ""
        if each.published is not None:
            rate = each.a_second(each.images)
            of_step = [
                f"{rate:,.1f}",
                f"{rate / each.published.a_second(each.images):.2f}",
                f"{rate / steps[0].a_second(each.images):.2f}",
                f"{each.flops / each.images / 1e9:,.1f}",
            ]
            first = f"{each.first:.1f}"
        table.add_row(
            each.name,
            *of_step,
            f"{reached / 1e12:.3g}",
            "-" if peak is None else f"{reached / peak:.1%}",
            f"{reached / product.a_second(product.flops):.1%}",
            f"{each.bytes / 2**30:.2f}" if each.bytes else "-",
            first,
        )


def report(given: argparse.Namespace, device: torch.device) -> None:
    """Measure what was asked for, and print the table."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    if given.no_tf32:
        torch.backends.cudnn.allow_tf32 = False
    # As runs train: PyTorch allows it in convolutions, and not in other products.
    tf32 = gpu is not None and torch.backends.cudnn.allow_tf32
    precisions = ["float32"]
    # Emulated, it is slower, and runs train without; on the processor this is but a try.
    if gpu is None or computes_in_bfloat16("gpu"):
        precisions.append("bfloat16")
    why_not = "not asked for" if given.no_compile else why_nothing_compiles(device)
    steps = timed_steps(
        given.size, given.batch, given.width, device, precisions, compiled=why_not is None
    )
    products = {each: timed_product(given.product, each, tf32, device) for each in precisions}
    take_turns([*steps, *products.values()], given.rounds, given.steps, device)
    peaks = {each: None if gpu is None else peak_of(gpu, each, tf32) for each in precisions}

    table = Table(
        title=f"{gpu or 'processor'}, PyTorch {torch.__version__}: training steps of {given.batch} "
        f"photos of {given.size}x{given.size}, width {given.width}"
    )
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left", no_wrap=not column)
    add_rows(table, steps, products, peaks)
    console = Console(width=130)
    console.print(table)
    console.print(f"product: of two matrices of {given.product}x{given.product}")
    if why_not is not None:
        console.print(f"compiled: {why_not}")
    if gpu is None:
        return
    allowed = "TF32 in convolutions alone, where the GPU has it" if tf32 else "without TF32"
    console.print(f"float32: {allowed}")
    if "bfloat16" not in precisions:
        console.print("bfloat16: this GPU has no instructions for it")
    for precision, peak in peaks.items():
        said = "not known here" if peak is None else f"{peak / 1e12:g} TFLOP/s by the datasheet"
        console.print(f"peak in {precision}: {said}")


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options.add_argument("--size", type=int, default=256, help="pixels a side; default %(default)s")
    options.add_argument("--width", type=int, default=32, help="32 (the default) is full")
    options.add_argument("--batch", type=int, default=16, help="images a step; default %(default)s")
    options.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    options.add_argument("--steps", type=int, default=10, help="in a round; default %(default)s")
    options.add_argument(
        "--product", type=int, default=8192, help="side of the matrices; default %(default)s"
    )
    options.add_argument("--no-tf32", action="store_true", help="float32 without TF32")
    options.add_argument("--no-compile", action="store_true", help="leave out what is compiled")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        complain(
            "there is no GPU here that PyTorch computes on by CUDA, and nothing is measured. "
            "--device cpu with a small --size, --width, --batch and --product tries the command out"
        )
        return 2
    try:
        report(given, device)
    except torch.OutOfMemoryError:
        complain(f"the GPU's memory ran out: take a --batch below {given.batch}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
