"""Write a network as one ONNX file: ``python -m lab.export CHECKPOINT model.onnx``.

The file takes photos of any size, and onnxruntime has computed the same by it as PyTorch, or it is
not written. ``lab.inpaint --model`` fills holes by it. --int8 writes a smaller and faster form and
says what that costs in quality; --measure times all of them, photo by photo.
"""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command, say
from lab.untrusted import printable

if TYPE_CHECKING:
    from torch import nn

    from lab.contracts import Strategy
    from lab.data import Batch, PhotoDataModule
    from lab.deployment import Exported, Timing

EXAMPLE = """\
  python -m lab.export runs/first/checkpoints/epoch-005.pt model.onnx
  python -m lab.export runs/first/checkpoints/epoch-005.pt large.onnx --int8 small.onnx \\
      --measure 100 --data.photos=photos --data.size=128
"""

_PHOTOS = 800


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("export", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="a run's epoch-NNN.pt or a published one",
    )
    add("model", type=Path, metavar="MODEL", help="the file to write, such as model.onnx")
    add(
        "--int8",
        type=Path,
        metavar="FILE",
        help="also write a form whose convolutions compute in 8 bits, and compare its completions "
        "with the other's on the validation photos",
    )
    add(
        "--calibrate",
        type=int,
        default=64,
        metavar="N",
        help="with --int8: training photos that its ranges are taken from; default: 64",
    )
    add(
        "--measure",
        type=int,
        nargs="?",
        const=_PHOTOS,
        metavar="N",
        help="time N validation photos one by one, by PyTorch and by each file; photos come again "
        f"where there are fewer; default: {_PHOTOS}",
    )
    add("--overwrite", action="store_true", help="replace files that exist")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given, settings = options.parse_with_settings(arguments)
    for option, value in (("--calibrate", given.calibrate), ("--measure", given.measure)):
        if value is not None and value < 1:
            options.error(f"{option} is {value}, but must be at least 1")
    targets = [given.model, *([given.int8] if given.int8 else [])]
    for target in targets:
        if target.suffix.lower() != ".onnx":
            options.error(f"{printable(target)} is to be a model: end its name in .onnx")
        if target.exists() and not given.overwrite:
            options.error(f"{printable(target)} exists: choose another name, or add --overwrite")
    if len(set(targets)) < len(targets):
        options.error(f"{printable(given.model)} is to be both models: name two files")
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.faults import in_one_line

    try:
        _run(given, settings)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        complain(in_one_line(error))
        return 2
    return 0


def _run(given: Namespace, settings: Sequence[str]) -> None:
    from lab.deployment import export_network, load_model, quality_difference, quantize_model
    from lab.networks import load_with_settings
    from lab.settings import build_data, parse_experiment
    from lab.strategies import Direct

    network, trained_with = load_with_settings(given.checkpoint)
    data = build_data(parse_experiment(settings))
    data.draw_for(network)
    _report_export(export_network(network, given.model, trained_with))
    strategies: dict[str, Strategy] = {
        "PyTorch": _eager(network),
        "onnxruntime": Direct(load_model(given.model)),
    }
    if given.int8:
        photos = islice(_singles(data.train_dataloader()), given.calibrate)
        small = Direct(quantize_model(given.model, given.int8, photos))
        strategies["onnxruntime, int8"] = small
        loss = quality_difference(small, strategies["onnxruntime"], data.val_dataloader())
        share = given.int8.stat().st_size / given.model.stat().st_size
        say(
            f"{printable(given.int8)}: int8, {share:.0%} of the bytes; hole PSNR against "
            f"{printable(given.model.name)}: {loss.sentence}, in dB"
        )
    if given.measure:
        _measure(strategies, data, given.measure)


def _report_export(exported: "Exported") -> None:
    """Say what was written, and how near it is to PyTorch."""
    from rich import box
    from rich.table import Table

    from lab.terminal import Terminal

    card = exported.card
    photos = "any number of photos at once" if card.any_batch else "one photo at once"
    say(
        f"{printable(exported.path)}: {card.network}, {exported.bytes / 1e6:.1f} MB; reads "
        f"{', '.join(card.inputs)}, of any size, {photos}"
    )
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("photo", "largest difference", "PyTorch", "onnxruntime"):
        table.add_column(heading, justify="left" if heading == "photo" else "right")
    for one in exported.comparisons:
        table.add_row(
            f"{one.width}x{one.height}",
            f"{one.difference:.1e}",
            f"{1e3 * one.torch_seconds:.0f} ms",
            f"{1e3 * one.onnx_seconds:.0f} ms",
        )
    Terminal().print(table)


def _eager(network: "nn.Module") -> "Strategy":
    from lab.strategies import Direct

    return Direct(network.requires_grad_(False).eval())


def _measure(strategies: "dict[str, Strategy]", data: "PhotoDataModule", count: int) -> None:
    """Time every runtime on the same photos, and print what each took."""
    from rich import box
    from rich.table import Table

    from lab.deployment import time_strategies
    from lab.terminal import Terminal

    photos = list(islice(_singles(data.val_dataloader()), count))
    timings: dict[str, Timing] = time_strategies(strategies, photos, count)
    again = f", {len(photos)} different ones" if len(photos) < count else ""
    say(f"{count} photos of {data.size}x{data.size} pixels{again}, one by one:")
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("ms a photo")
    for heading in ("mean", "p50", "p95"):
        table.add_column(heading, justify="right")
    for name, timing in timings.items():
        cells = (timing.mean, timing.median, timing.slowest)
        table.add_row(name, *(f"{cell:.1f}" for cell in cells))
    Terminal().print(table)


def _singles(batches: Iterable["Batch"]) -> Iterator["Batch"]:
    """The samples of batches, each as a batch of one."""
    for batch in batches:
        for number in range(len(batch.sample)):
            yield batch.select(slice(number, number + 1))


if __name__ == "__main__":
    run_command(main)
