"""What every test shares: one thread, W&B out of the way unless a test is about it, a browser."""

import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

# Before PyTorch is imported. The networks here are tiny: on a busy machine, several threads spend
# their time waiting for each other. Where a training takes two all the same, they are to sleep.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import pytest
import torch

from lab.processors import usable_processors
from tests import forking

CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
LEAST_FREE = 500_000_000  # bytes
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """For ``-n auto``: a process a core; two on one, for some tests wait for other processes."""
    return max(2, min(4, usable_processors()))


def pytest_configure(config):
    """Give files out as sorted below: xdist would leave the dearest, of few tests, to the end."""
    config.option.loadscopereorder = False
    if forking.POSSIBLE:
        forking.fork_what_is_spawned()


def pytest_collection_modifyitems(config, items):
    """Files with slow tests first, so that no process is left with one while others have ended."""
    if config.pluginmanager.hasplugin("xdist"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup(item):
    """Begin each test with the same draws, whichever tests the process ran before it."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


def pytest_runtest_logreport(report):
    """End on a full disk, where thousands of tests would fail one by one, of something else."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE and "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.exit(
            f"{free / 1e9:.2f} GB are left where temporary files go ({folder}), and the tests stop "
            f"below {LEAST_FREE / 1e9:.2f}: free some, or let TMPDIR name another folder",
            returncode=1,
        )


@pytest.fixture(autouse=True)
def no_tracking(monkeypatch):
    """Tests of tracking choose another mode; none may reach a server or find a person's key."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    yield
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        wandb.finish()
        pytest.fail("a W&B run is left open: later tests would find nobody logged in")


@pytest.fixture
def wandb_server(monkeypatch):
    """`tests.reporting.wandb_stand_in.StandIn`, and somebody who is logged in to it."""
    import wandb

    from tests.reporting.wandb_stand_in import StandIn

    server = StandIn()
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    wandb.teardown()  # settings that were read for other tests
    yield server
    server.close()


@pytest.fixture
def start():
    """`tests.tiny.start_command`; what is still running at the end of the test is killed."""
    from tests.tiny import start_command

    started = []

    def start_and_remember(*arguments, **options):
        process = start_command(*arguments, **options)
        started.append(process)
        return process

    yield start_and_remember
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        process.communicate()


@pytest.fixture(scope="session")
def browser():
    """Chromium, once a session: Playwright cannot be started twice."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium, or set CHROMIUM to its path")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def server():
    from tests.studies.servers import Server, programs

    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    # Not pytest's folder, into which only this user may look.
    started = Server(found, Path(tempfile.mkdtemp(prefix="postgresql-")))
    yield started
    started.stop()
