"""How often PyTorch's gloo does not notice that the process it waits for was killed.

``python -m tests.benchmarks.lost_ranks`` kills one of two processes that exchange tensors and
objects, as those of a training do, and counts how often the other still waits after half a minute.
Linux only. Such waits are rarer than one in a thousand: several calls beside each other, for the
machine to be busy, come upon them within some minutes.
"""

import argparse
import os
import random
import signal
import time
from contextlib import suppress
from itertools import count

import torch
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from torch import distributed

_PATIENCE = 30.0


def main() -> None:
    """Print how many of the kills were not noticed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=1500)
    kills = options.parse_args().kills
    torch.set_num_threads(1)
    waiting = sum(_waits_for_ever() for _ in range(kills))
    print(f"{waiting} of {kills} kills were not noticed within {_PATIENCE:.0f} s")


def _waits_for_ever() -> bool:
    port = find_free_network_port()
    begun, told = os.pipe()
    processes = [_fork(rank, port, told) for rank in (0, 1)]
    os.close(told)
    assert os.read(begun, 1), "neither process has begun"
    os.close(begun)
    time.sleep(random.random() / 5)
    os.kill(processes[1], signal.SIGKILL)
    os.waitpid(processes[1], 0)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if os.waitpid(processes[0], os.WNOHANG)[0]:
            return False
        time.sleep(0.005)
    os.kill(processes[0], signal.SIGKILL)
    os.waitpid(processes[0], 0)
    return True


def _fork(rank: int, port: int, told: int) -> int:
    process = os.fork()
    if process:
        return process
    with suppress(BaseException):
        _exchange(rank, port, told)
    os._exit(1)


def _exchange(rank: int, port: int, told: int) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    gradients = torch.randn(300_000)
    for step in count(1):
        distributed.all_reduce(gradients.clone())
        if step % 3 == 0:
            distributed.gather_object(step, [None, None] if rank == 0 else None)
        if step % 5 == 0:
            distributed.all_gather_object([None, None], step)
        if step % 7 == 0:
            distributed.broadcast(gradients, 0)
        if step == 3:
            os.write(told, b"x")


if __name__ == "__main__":
    main()
