"""Commands as real processes, forked from one in which what they import is imported already.

A command takes six seconds of a core to import PyTorch, Lightning and W&B, a tiny training half a
second. So a server imports them once for each process of the tests, and forks for each command: a
process with its own number, group, folder, environment and output, a child of whoever asked, so
that it is waited for, read and killed like any other. The start itself is not tested by such a
process: see ``cold`` of `tests.tiny.start_command`.

Processes that `multiprocessing` spawns (workers of a sweep, the devices of a training) would import
the same again. Each forked process has a server of its own for them, forked from it before it
began, so that they are its children, in its group. They are told what to do as ever, by what is
pickled into a pipe. What is started in any other way, is started as ever.
"""

import atexit
import ctypes
import fcntl
import gc
import json
import multiprocessing.util
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import numpy as np

# Linux makes a process whose parent has ended the child of an ancestor that asks for it.
POSSIBLE = sys.platform == "linux"
_ASK_FOR_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_PROJECT = Path(__file__).parents[1]

BEGUN_WITH = {
    "OMP_NUM_THREADS": "1",
    # Threads that wait for each other on a busy machine should not spin.
    "OMP_WAIT_POLICY": "passive",
    "PYTHONPATH": str(_PROJECT),
    "PYTHONUNBUFFERED": "1",
}
"""What Python and libraries read as they begin: of the server, and of what is to be like it."""

_LONGEST, _MOST_PASSED = 1 << 18, 100
_SPAWNED = "from multiprocessing.spawn import spawn_main;"

# What commands import when they have parsed their options, and notebooks; not `lab.fillers`, for
# onnxruntime starts a thread.
_IMPORTED = (
    "ipykernel.kernelapp",
    "lab.completion",
    "lab.faults",
    "lab.results",
    "lab.runs",
    "lab.settings",
    "lab.studies",
    "lab.terminal",
    "lab.tracking",
    "lab.training",
    "lab.variants",
    "lab.widgets",
)


class Forked(subprocess.Popen):
    """``python -m MODULE ARGUMENTS``, begun by the server.

    Args:
        words: the module and its arguments.
        cwd: its folder.
        env: its environment.
        streams: of `subprocess.Popen`.
    """

    def __init__(self, words, cwd, env, **streams):
        super().__init__(list(words), cwd=cwd, env=env, **streams)

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *given):
        _, _, _, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *_ = given
        request = {"words": args, "folder": str(cwd), "environment": env}
        streams = enumerate((p2cread, c2pwrite, errwrite))
        streams = {number: number if stream == -1 else stream for number, stream in streams}
        self.pid = _server().fork(request, streams)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


def fork_what_is_spawned():
    """Let the server of this process begin what `multiprocessing` would spawn from it."""

    def begin(path, words, passed):
        if "-c" not in words or not (program := words[words.index("-c") + 1]).startswith(_SPAWNED):
            return as_ever(path, words, passed)
        request = {
            "program": program,
            "words": ["-c", *words[words.index(program) + 1 :]],
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "group": os.getpgid(0),
            "blocked": [*signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        }
        return _server().fork(request, {number: number for number in (0, 1, 2, *map(int, passed))})

    as_ever = multiprocessing.util.spawnv_passfds
    multiprocessing.util.spawnv_passfds = begin


class _Server:
    """Where a process asks for others.

    Args:
        asked: the socket to a process that runs `_serve`.
        process: that process, if it is to be ended with this one.
    """

    def __init__(self, asked, process=None):
        # Out of the way of what is passed on under its number.
        self._socket = socket.socket(fileno=fcntl.fcntl(asked, fcntl.F_DUPFD_CLOEXEC, 200))
        asked.close()
        self._process = process

    @classmethod
    def start(cls):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                cwd=_PROJECT,
                env={**os.environ, **BEGUN_WITH},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                # Of the kind that the commands have: Python has looked at its streams by then.
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        server = cls(ours, process)
        atexit.register(server._end)
        return server

    def fork(self, request, passed):
        """Returns the number of a new process.

        Args:
            request: what it is to do.
            passed: open files of this process, by the numbers that they have in the new one.
        """
        message = json.dumps({**request, "numbers": [*passed]}).encode()
        assert len(message) < _LONGEST, "too long for one message"
        # Only meanwhile: what other processes leave behind is nobody's child here.
        _ask_for_orphans(True)
        try:
            socket.send_fds(self._socket, [message], [*passed.values()])
            return int(self._socket.recv(_LONGEST))
        except (OSError, ValueError) as error:
            said = ""
            if self._process is not None:
                self._process.kill()
                said = "".join(self._process.communicate())
            raise RuntimeError(f"what begins the commands has ended:\n{said}") from error
        finally:
            _ask_for_orphans(False)

    def _end(self):
        with self._process:
            self._socket.close()


_servers = []


def _server():
    if not _servers:
        _servers.append(_Server.start())
    return _servers[0]


def _ask_for_orphans(yes):
    if ctypes.CDLL(None, use_errno=True).prctl(_ASK_FOR_ORPHANS, int(yes), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _serve(requests):
    """Fork for each request; returns in each of the forked processes, with what it is to do."""
    for module in _IMPORTED:
        import_module(module)
    # Of several threads, only one would go on in a forked process, among the locks of the others.
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, f"the imports have started {len(threads) - 1} threads"
    # What is here for good need not be looked through, nor copied for that.
    gc.collect()
    gc.freeze()
    while True:
        request, passed = _fork_for_each(requests)
        requests = _begin_server()
        if requests is None:
            _become(request, passed)
            return request
        for number in passed:
            os.close(number)


def _fork_for_each(requests):
    """Returns in each of the forked processes, with its request and what was passed to it."""
    while True:
        message, passed, _, _ = socket.recv_fds(requests, _LONGEST, _MOST_PASSED)
        if not message:
            os._exit(0)
        request = json.loads(message)
        heard, told = os.pipe()
        between = os.fork()
        if between == 0:
            between = os.getpid()
            if os.fork():
                os._exit(0)
            # Before anybody knows its number: whoever ends its group means no other.
            if "group" not in request:
                os.setsid()
            else:
                # Where the tests' own process asks, its group is of another session.
                with suppress(PermissionError):
                    os.setpgid(0, request["group"])
            os.write(told, str(os.getpid()).encode())
            # Until it is the child of who asked.
            while os.getppid() == between:
                time.sleep(0.001)
            requests.close()
            os.close(heard)
            os.close(told)
            return request, passed
        os.close(told)
        number = os.read(heard, 100)
        os.close(heard)
        for stream in passed:
            os.close(stream)
        os.waitpid(between, 0)
        requests.send(number)


def _begin_server():
    """Fork what this process will ask for others; there, returns the socket of the requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        _servers[:] = [_Server(ours)]
        return None
    ours.close()
    # Of no group that is ended or waited for: it ends when nobody can ask any more.
    os.setpgid(0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    return theirs


def _become(request, passed):
    # First out of the way: the number that one is to have, another may have now.
    passed = [_moved_up(number) for number in passed]
    for number, stream in zip(request["numbers"], passed, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, request.get("blocked", ()))
    if os.environ.get("PYTHONWARNINGS") == "ignore":
        sys.warnoptions.append("ignore")
        # Behind what the modules said that are imported by now.
        warnings.simplefilter("ignore", append=True)
    # As in any process, no draws are those of another.
    np.random.seed()
    sys.path[0] = os.getcwd()
    sys.argv = request["words"]
    fork_what_is_spawned()


def _moved_up(number):
    moved = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 300)
    os.close(number)
    return moved


if __name__ == "__main__":
    asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    # Beyond any function: a command ends as it does when Python has begun it.
    if "program" in asked:
        exec(asked["program"], {"__name__": "__main__"})
    else:
        runpy.run_module(asked["words"][0], run_name="__main__", alter_sys=True)
