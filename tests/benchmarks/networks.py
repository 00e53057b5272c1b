"""Every network at inference: the plain form, and ours by the layout of its memory and precision.

python -m tests.benchmarks.networks --size 256 InpaintSANet LaMa
"""

import argparse
import copy
import statistics
import time

import torch
from rich.console import Console
from rich.table import Table

from lab.guides import ask_network, blank_guides, guides_of
from lab.networks import NETWORKS, create
from lab.runs import computes_in_bfloat16
from tests.benchmarks.plain_networks import plain_form

SIZE, ROUNDS = 128, 3
FORMS = ("plain form", "as loaded", "channels last", "bfloat16")


def asked(network, bfloat16=False):
    """What asks a network about a photo in eval mode, as it is deployed."""
    network.eval()

    @torch.inference_mode()
    def ask(image, mask):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return ask_network(network, image, mask, blank_guides(guides_of(network), image))

    return ask


def inference_times(name, size, rounds):
    """Median seconds of each of `FORMS`, asked in turns."""
    torch.manual_seed(0)
    network = create(name)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    forms = {
        "plain form": asked(plain_form(network)),
        "as loaded": asked(network),
        "channels last": asked(last),
        "bfloat16": asked(last, bfloat16=True),
    }
    mask = torch.zeros(1, 1, size, size)
    mask[..., size // 4 : -size // 4, size // 3 : -size // 3] = 1.0
    times = {form: [] for form in forms}
    for number in range(rounds + 1):
        for form, ask in forms.items():
            # A fill of the same photo would be remembered.
            image = torch.rand(1, 3, size, size)
            began = time.process_time()
            ask(image, mask)
            if number:
                times[form].append(time.process_time() - began)
    return {form: statistics.median(seconds) for form, seconds in times.items()}


def network_table(size=SIZE, rounds=ROUNDS, names=tuple(NETWORKS)):
    """A row a network, on one core: milliseconds, and how many times faster than the plain form.

    As loaded, a network's weights are contiguous, and some lay out what they are shown by channels;
    the plain form lays out nothing so, and is otherwise the same where a network has none.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    capability = torch.backends.cpu.get_cpu_capability()
    table = Table(
        title=f"a photo of {size}x{size} on one core: milliseconds (times as fast as the plain "
        f"form)\n{capability}, bfloat16 instructions: {computes_in_bfloat16('cpu')}"
    )
    for column in ("network", *FORMS):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name in names:
        times = inference_times(name, size, rounds)
        plain = times.pop("plain form")
        ours = [f"{1000 * each:,.0f} ({plain / each:.2f})" for each in times.values()]
        table.add_row(name, f"{1000 * plain:,.0f}", *ours)
    torch.set_num_threads(threads)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NETWORK", default=tuple(NETWORKS))
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    Console(width=110).print(network_table(given.size, given.rounds, given.names))
