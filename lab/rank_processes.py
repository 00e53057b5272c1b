"""The processes that train one network on several devices: a device each, of one machine or more.

The process that was asked is the first of its machine and starts the others, each of which builds
the same run from its settings. Between them goes what `lab.ranks` makes common, and nothing else:
only the first of all writes. What ends one of them ends all, with what that one said.
"""

import multiprocessing
import os
import re
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

import torch
from lightning_fabric.plugins import ClusterEnvironment
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed

from lab.checks import UserError
from lab.command_line import end_at_once, without_ctrl_c
from lab.faults import (
    EnvironmentFaultError,
    OutOfMemoryFaultError,
    fault_of,
    ran_out_of_memory,
)
from lab.layers import share_batch_normalization
from lab.ranks import copy_from_first, gather_everywhere
from lab.training import NonFiniteLossError, seed_rank

_HERE = "127.0.0.1"
_PORT = 29500

# How long the cause may come after what it brought about.
_SECONDS_FOR_A_REASON = 15.0

# Whoever waits for a device that is gone may wait in the driver, where nothing can be raised.
_SECONDS_TO_NOTICE = 60.0

_SECONDS_TO_END = 60.0

_CONNECTION_LOST = re.compile(r"gloo|nccl|connection|socket|broken pipe|TCPStore", re.IGNORECASE)

_ENVIRONMENT, _NOT_FINITE, _PERSON, _CODE = "environment", "not finite", "person", "code"
_LOST, _MEMORY = "lost", "memory"


@dataclass(frozen=True)
class Place:
    """Where a process stands among those that train one network.

    Attributes:
        devices: processes of a machine, a device each.
        nodes: machines.
        node: the number of this machine, from 0.
        device: the number of this process on its machine, from 0.
        address: of the first machine, where all meet.
        port: there.
    """

    devices: int = 1
    nodes: int = 1
    node: int = 0
    device: int = 0
    address: str = _HERE
    port: int = 0

    @property
    def ranks(self) -> int:
        """How many processes there are."""
        return self.devices * self.nodes

    @property
    def rank(self) -> int:
        """The number of this one, from 0."""
        return self.node * self.devices + self.device

    def beside(self) -> list["Place"]:
        """The other processes of this machine."""
        return [replace(self, device=device) for device in range(1, self.devices)]

    def other_machines(self) -> list[int]:
        """The numbers of the machines whose end this process answers for; its machine's first."""
        return [] if self.device else [node for node in range(self.nodes) if node != self.node]


def first_place(devices: int, nodes: int) -> Place:
    """The place of the process that was asked to train.

    On several machines the environment says which this is and where all meet: ``NODE_RANK`` (in
    SLURM's jobs ``SLURM_NODEID``), ``MASTER_ADDR`` and, if 29500 is taken there, ``MASTER_PORT``.

    Args:
        devices: of a machine.
        nodes: machines.

    Raises:
        UserError: the environment does not say so.
    """
    if nodes == 1:
        return Place(devices, port=find_free_network_port() if devices > 1 else 0)
    told = os.environ
    node, address = told.get("NODE_RANK", told.get("SLURM_NODEID", "")), told.get("MASTER_ADDR", "")
    port = told.get("MASTER_PORT", str(_PORT))
    if not node.isdecimal() or int(node) >= nodes or not address or not port.isdecimal():
        raise UserError(
            f"fit.nodes is {nodes}, but NODE_RANK is {node or 'not set'}, MASTER_ADDR "
            f"{address or 'not set'} and MASTER_PORT {port}: give the same command on every "
            f"machine, with its number from 0 to {nodes - 1} and the first one's address, as in "
            "NODE_RANK=0 MASTER_ADDR=HOST python -m lab.train …"
        )
    return Place(devices, nodes, int(node), 0, address, int(port))


class SharedTraining(DDPStrategy):
    """Lightning's training by several processes, but for gradients, which the procedure averages.

    `DistributedDataParallel` averages while one backward pass runs that belongs to one forward
    pass. A step here has a backward pass for the judges and one for the network, between which
    parameters are frozen, phases that freeze others, and gradients of gradients. So whoever
    descends calls `lab.ranks.average_gradients`, and modules are not wrapped.

    Args:
        place: of this process.
        seed: of the run.
        agreed: what must be the same in all processes, by its name; compared before they begin.
        on_meeting: called when all are there.
    """

    def __init__(
        self,
        place: Place,
        seed: int,
        agreed: Mapping[str, object],
        on_meeting: Callable[[], None],
    ) -> None:
        super().__init__(cluster_environment=_Environment(place))
        self._place = place
        self._seed = seed
        self._agreed = dict(agreed)
        self._on_meeting = on_meeting

    def _configure_launcher(self) -> None:
        """The processes are there."""

    def setup_distributed(self) -> None:
        """Meet the other processes; what was drawn so far stays drawn.

        Raises:
            EnvironmentFaultError: not all of them came.
            UserError: they do not agree.
        """
        state = torch.get_rng_state()
        try:
            super().setup_distributed()
        except distributed.DistStoreError as error:
            raise EnvironmentFaultError(
                f"not all of {self._place.nodes} machines came to {self._place.address}:"
                f"{self._place.port} ({' '.join(str(error).split())}): see what the others said, "
                "and give the command again on all of them"
            ) from error
        # Lightning gives every device the run's seed.
        if self._place.rank > 0:
            seed_rank(self._seed, self._place.rank)
        torch.set_rng_state(state)
        self._on_meeting()
        for number, other in enumerate(gather_everywhere(self._agreed)):
            for name, value in self._agreed.items():
                if other.get(name) != value:
                    raise UserError(
                        f"the devices do not see the same {name} (device {number} "
                        f"{other.get(name)}, device {self.global_rank} {value}): on several "
                        "machines, give all of them the same version, settings and --runs, and "
                        "the same photos"
                    )

    def configure_ddp(self) -> None:
        """Begin everywhere with the first process's weights."""
        assert self.model is not None
        share_batch_normalization(self.model)
        copy_from_first(self.model)


class _Environment(ClusterEnvironment):
    """Tells Lightning the place of a process that is there already."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return self._place.address

    @property
    def main_port(self) -> int:
        return self._place.port

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._place.ranks

    def set_world_size(self, size: int) -> None:
        assert size == self._place.ranks

    def global_rank(self) -> int:
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        assert rank == self._place.rank

    def local_rank(self) -> int:
        return self._place.device

    def node_rank(self) -> int:
        return self._place.node


class Companions:
    """The other processes of this machine, from when they are started to when all have ended.

    A context: left by an error, it ends them at once; they write nothing that could be lost.

    Args:
        function: what each runs; importable by its name.
        arguments: for each process.
        first: the number of the first of them among all devices.
        before_ending: told what ended another process, where this one has to end with it at once.
    """

    def __init__(
        self,
        function: Callable[..., None],
        arguments: Sequence[tuple[Any, ...]],
        first: int,
        before_ending: Callable[[Exception], object] = lambda failure: None,
    ) -> None:
        self._processes: list[BaseProcess] = []
        self._connections: list[Connection] = []
        self._first = first
        self._bereft: dict[int, str] = {}  # that only say that another one is gone
        self._before_ending = before_ending
        self._over = threading.Event()
        context = multiprocessing.get_context("spawn")
        if arguments:
            # Before Ctrl-C is held back: it lets it through when it starts.
            resource_tracker.ensure_running()
        for given in arguments:
            ours, theirs = context.Pipe()
            process = context.Process(target=_run_beside, args=(theirs, function, given))
            # A terminal sends it to all of them, and the first one answers.
            with without_ctrl_c():
                process.start()
            theirs.close()
            self._processes.append(process)
            self._connections.append(ours)

    def __enter__(self) -> "Companions":
        if self._processes:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        until = time.monotonic() + (_SECONDS_TO_END if error is None else 0.0)
        for process, connection in zip(self._processes, self._connections, strict=True):
            process.join(max(0.0, until - time.monotonic()))
            process.kill()
            process.join()
            connection.close()

    def reason(self, error: BaseException) -> Exception | None:
        """What ended another process, where ``error`` only says that it is gone; else None."""
        if not _says_that_another_is_gone(error):
            return None
        until = time.monotonic() + _SECONDS_FOR_A_REASON
        while self._processes and time.monotonic() < until:
            found = self._failure()
            if found is not None:
                return found
            time.sleep(0.1)
        said = " ".join(next(iter(self._bereft.values()), str(error)).split())
        return EnvironmentFaultError(
            f"the connection to another device was lost ({said}), and no device of this machine "
            "says why: see what the other machines said. The same command goes on"
        )

    def _failure(self) -> Exception | None:
        """The first failure among the processes of this machine."""
        pairs = zip(self._processes, self._connections, strict=True)
        gone = None
        for number, (process, connection) in enumerate(pairs, start=self._first):
            try:
                if connection.poll():
                    kind, text = connection.recv()
                    if kind != _LOST:
                        return _raised(number, kind, text)
                    self._bereft[number] = text
            except (EOFError, OSError):
                pass
            if process.exitcode and number not in self._bereft:
                gone = EnvironmentFaultError(
                    f"the process of device {number} ended (status {process.exitcode}), as where "
                    "memory runs out: lower data.batch_size or data.size, or fit.devices. Nothing "
                    "that was finished is lost: the same command goes on"
                )
        return gone

    def _watch(self) -> None:
        """End this process, too, where it does not notice that another one is gone."""
        wait([process.sentinel for process in self._processes])
        while not self._over.is_set():
            if any(process.exitcode for process in self._processes):
                if self._over.wait(_SECONDS_TO_NOTICE):
                    return
                failure = self._failure() or EnvironmentFaultError(
                    "the process of another device ended"
                )
                for process in self._processes:
                    process.kill()
                self._before_ending(failure)
                end_at_once(failure)
            self._over.wait(1.0)


def _run_beside(connection: Connection, function: Callable[..., None], given: tuple) -> None:
    """What a companion does: it lives no longer than the process that started it."""
    warnings.simplefilter("ignore")  # the first one says the same
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    status = 0
    try:
        function(*given)
    except BaseException as error:
        status = 1
        connection.send(_told(error))
    # Not by way of what may wait for processes that are gone.
    os._exit(status)


def _end_with(connection: Connection) -> None:
    try:
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)


def _told(error: BaseException) -> tuple[str, str]:
    """An error's kind and words, which can be sent."""
    if _says_that_another_is_gone(error):
        return _LOST, str(error)
    if isinstance(error, NonFiniteLossError):
        return _NOT_FINITE, str(error)
    if (fault := fault_of(error)) is not None:
        return _MEMORY if ran_out_of_memory(error) else _ENVIRONMENT, fault
    if isinstance(error, UserError):
        return _PERSON, str(error)
    return _CODE, "".join(traceback.format_exception(error))


def _says_that_another_is_gone(error: BaseException) -> bool:
    if not isinstance(error, RuntimeError) or isinstance(error, NonFiniteLossError):
        return False
    return fault_of(error) is None and _CONNECTION_LOST.search(str(error)) is not None


def _raised(number: int, kind: str, text: str) -> Exception:
    """The error of a companion, to be raised in the process that answers for all."""
    if kind == _NOT_FINITE:
        return NonFiniteLossError(text)
    if kind == _MEMORY:
        return OutOfMemoryFaultError(f"device {number}: {text}")
    if kind == _ENVIRONMENT:
        return EnvironmentFaultError(f"device {number}: {text}")
    if kind == _PERSON:
        return UserError(f"device {number}: {text}")
    return RuntimeError(f"device {number} failed:\n{text}")
