"""List the networks: ``python -m lab.networks``.

What each costs for a photo of 256x256 pixels, as it is built without arguments; the guides that it
reads beside photo and mask; its paper, its licence, and where weights that it loads are published.
With ``--ladder``, the sizes of those that come in several.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lab.command_line import INTERRUPTED, CommandParser, complain, run_command

if TYPE_CHECKING:
    import pandas as pd

    from lab.terminal import Terminal

EXAMPLE = """\
  python -m lab.networks
  python -m lab.networks ContextEncoder LaMa
  python -m lab.networks PartialConvolutionUNet --measure
  python -m lab.networks --ladder
"""

_SIZE = 256


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("networks", __doc__ or "", EXAMPLE)
    add = options.add_argument
    add("names", nargs="*", metavar="NETWORK", help="list only these; default: all")
    add(
        "--measure",
        action="store_true",
        help="complete photos on the processor, for time and peak memory: up to a minute a network",
    )
    add(
        "--size",
        type=int,
        metavar="N",
        help=f"side of the photo, in pixels; default: {_SIZE}",
    )
    add(
        "--ladder",
        action="store_true",
        help="list the presets instead: what each size of a network costs at the photos that it "
        "is meant for, measured on the processor; a minute for all",
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = parser()
    given = options.parse_args(arguments)
    if given.ladder and (given.measure or given.size is not None):
        options.error(
            "--ladder measures every preset at the size that it is meant for: leave out "
            f"--{'measure' if given.measure else 'size'}"
        )
    size = _SIZE if given.size is None else given.size
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.checks import UserError
    from lab.network_table import list_networks, list_presets
    from lab.terminal import Terminal

    try:
        if given.ladder:
            _print_ladder(list_presets(*given.names), Terminal())
        else:
            networks = list_networks(*given.names, measure=given.measure, size=size)
            _print(networks, size, Terminal())
    except UserError as error:
        complain(error)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


_CELLS: dict[str, Callable[[Any], str]] = {
    "parameters": lambda row: f"{row.parameters / 1e6:.2f} M",
    "convolutions": lambda row: f"{row.convolutions / 1e9:.2f} G",
    "multiply-adds": lambda row: f"{row.multiply_adds / 1e9:.2f} G",
    "ms": lambda row: f"{row.milliseconds:.0f}",
    "peak MB": lambda row: f"{row.peak_bytes / 2**20:.0f}",
}
_COUNTED = ("parameters", "multiply-adds")


def _print(networks: "pd.DataFrame", size: int, console: "Terminal") -> None:
    from rich import box
    from rich.table import Table

    columns = {
        heading: cell
        for heading, cell in _CELLS.items()
        if heading != "convolutions" and ("milliseconds" in networks or heading in _COUNTED)
    }
    title = f"One photo of {size}x{size} pixels"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=0, pad_edge=False)
    table.add_column("network ")
    for heading in columns:
        table.add_column(f"{heading} ", justify="right")
    table.add_column(" guides")
    for name, row in networks.iterrows():
        cells = [f"{cell(row)} " for cell in columns.values()]
        table.add_row(f"{name} ", *cells, f" {', '.join(row.guides) or '-'}")
    console.print(table)
    for name, row in networks.iterrows():
        lines = [f"{name}: {row.paper}"]
        lines += [f"  licence: {row.licence}"] if row.licence else []
        lines += [f"  weights: {page}" for page in row.weights]
        console.print("\n".join(lines), soft_wrap=True, highlight=False)


def _print_ladder(presets: "pd.DataFrame", console: "Terminal") -> None:
    from rich import box
    from rich.table import Table

    title = "One photo of the size that a preset is meant for"
    # All columns in 80 characters.
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE,
        padding=0,
        pad_edge=False,
        show_edge=False,
    )
    for heading in ("network", "preset"):
        table.add_column(heading)
    for heading in ("photo", *_CELLS):
        table.add_column(heading, justify="right")
    above = ""
    for (network, preset), row in presets.iterrows():
        cells = [f"{row.photo_size:.0f}x{row.photo_size:.0f}"]
        cells += [cell(row) for cell in _CELLS.values()]
        table.add_row(network if network != above else "", preset, *cells)
        above = network
    console.print(table)
    console.print(
        "A preset is called by the multiply-adds of its convolutions, as the deployment notes "
        "count; multiply-adds have those of attention, too."
    )


if __name__ == "__main__":
    run_command(main)
