"""Commands as real processes, forked from one in which what they import is imported already.

A command takes six seconds of a core to import PyTorch, Lightning and W&B, a tiny training half a
second. So a server imports them once for each process of the tests, and forks for each command: a
process with its own number, group, folder, environment and output, a child of whoever asked, so
that it is waited for, read and killed like any other. What it starts itself, it starts as ever.
The start itself is not tested by such a process: see ``cold`` of `tests.tiny.start_command`.
"""

import atexit
import ctypes
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
import warnings
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

_LONGEST = 1 << 18

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
        streams = [number if stream == -1 else stream for number, stream in streams]
        self.pid = _server().fork(request, streams)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)


class _Server:
    def __init__(self):
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
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
        atexit.register(self._end)

    def fork(self, request, streams):
        message = json.dumps(request).encode()
        assert len(message) < _LONGEST, "too long for one message"
        # Only meanwhile: what other processes leave behind is nobody's child here.
        _ask_for_orphans(True)
        try:
            socket.send_fds(self._socket, [message], streams)
            return int(self._socket.recv(_LONGEST))
        except (OSError, ValueError) as error:
            self._process.kill()
            said = "".join(self._process.communicate())
            raise RuntimeError(f"what begins the commands has ended:\n{said}") from error
        finally:
            _ask_for_orphans(False)

    def _end(self):
        self._socket.close()
        self._process.communicate()


_servers = []


def _server():
    if not _servers:
        _servers.append(_Server())
    return _servers[0]


def _ask_for_orphans(yes):
    if ctypes.CDLL(None, use_errno=True).prctl(_ASK_FOR_ORPHANS, int(yes), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _serve(requests):
    """Fork for each request; returns in each of the forked processes, with its module."""
    for module in _IMPORTED:
        import_module(module)
    # Of several threads, only one would go on in a forked process, among the locks of the others.
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, f"the imports have started {len(threads) - 1} threads"
    # What is here for good need not be looked through, nor copied for that.
    gc.collect()
    gc.freeze()
    while True:
        message, streams, _, _ = socket.recv_fds(requests, _LONGEST, 3)
        if not message:
            os._exit(0)
        heard, told = os.pipe()
        between = os.fork()
        if between == 0:
            between = os.getpid()
            if os.fork():
                os._exit(0)
            # Before anybody knows its number: whoever ends its group means no other.
            os.setsid()
            os.write(told, str(os.getpid()).encode())
            # Until it is the child of who asked.
            while os.getppid() == between:
                time.sleep(0.001)
            requests.close()
            os.close(heard)
            os.close(told)
            return _become(json.loads(message), streams)
        os.close(told)
        number = os.read(heard, 100)
        os.close(heard)
        for stream in streams:
            os.close(stream)
        os.waitpid(between, 0)
        requests.send(number)


def _become(request, streams):
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("PYTHONWARNINGS") == "ignore":
        sys.warnoptions.append("ignore")
        # Behind what the modules said that are imported by now.
        warnings.simplefilter("ignore", append=True)
    # As in any process, no draws are those of another.
    np.random.seed()
    sys.path[0] = os.getcwd()
    module, *arguments = request["words"]
    sys.argv = [module, *arguments]
    return module


if __name__ == "__main__":
    # Beyond any function: a command ends as it does when Python has begun it.
    runpy.run_module(
        _serve(socket.socket(fileno=int(sys.argv[1]))), run_name="__main__", alter_sys=True
    )
