"""A command that is forked is the process that it is when a new Python begins it."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests import forking
from tests.tiny import wait_until

pytestmark = pytest.mark.skipif(not forking.POSSIBLE, reason="commands are forked on Linux alone")

PROBE = """
import atexit, json, os, random, signal, sys, threading
import numpy as np

def tell():
    print(json.dumps({
        "name": __name__, "module": __spec__.name, "file": __file__, "words": sys.argv,
        "folder": os.getcwd(), "first place": sys.path[0], "environment": dict(os.environ),
        "leads": os.getpid() == os.getpgid(0) == os.getsid(0), "parent": os.getppid(),
        "threads": threading.active_count(), "read": sys.stdin.read(),
        "Ctrl-C": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "streams": [
            (s.fileno(), s.encoding, s.errors, s.seekable(), s.line_buffering, s.write_through)
            for s in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "warned": sys.warnoptions,
        "open": sorted(int(n) for n in os.listdir("/proc/self/fd") if int(n) < 100)[:-1],
        "is main": sys.modules["__main__"].tell is tell,
    }))
    print(random.random(), np.random.rand(), file=sys.stderr)

if __name__ == "__main__":
    tell()
    atexit.register(print, "the end")
    if sys.argv[1:] == ["wait"]:
        open("waits", "w").close()
        signal.pause()
    sys.exit(7)
"""


@pytest.fixture
def begin(tmp_path):
    (tmp_path / "probe.py").write_text(PROBE)
    environment = {**os.environ, **forking.BEGUN_WITH, "ONE": "1", "PYTHONWARNINGS": "ignore"}
    streams = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }

    def begin(*words, cold=False):
        words = ["probe", *words]
        if not cold:
            return forking.Forked(words, tmp_path, environment, **streams)
        words = [sys.executable, "-m", *words]
        return subprocess.Popen(
            words,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
            # A shell switches it off in what it runs in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **streams,
        )

    return begin


def test_it_finds_what_a_new_process_finds_and_draws_numbers_of_its_own(begin):
    processes = [begin("a", "b c", cold=cold) for cold in (True, False, False)]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [7, 7, 7]
    found = [output.splitlines() for output, _ in said]
    assert [rest for _, *rest in found] == [["the end"]] * 3
    cold, *forked = [json.loads(first) for first, *_ in found]
    assert cold["parent"] == os.getpid()
    for found in forked:
        assert {
            name: (value, cold[name]) for name, value in found.items() if value != cold[name]
        } == {}
    draws = [float(number) for _, errors in said for number in errors.split()]
    assert len(set(draws)) == 6


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_it_ends_by_what_it_is_sent(begin, tmp_path, sent, status):
    process = begin("wait")
    wait_until(process, (tmp_path / "waits").exists)
    os.killpg(process.pid, sent)
    output, errors = process.communicate(timeout=60)
    assert process.returncode in (status, -sent)
    assert ("KeyboardInterrupt" in errors) == ("the end" in output) == (sent == signal.SIGINT)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
