"""The other ways to look at a study that docs/reviewing.md names are there and start."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import optuna
import pytest

from lab.results import open_storage
from tests.reporting.studies import write_study

BIN = Path(sys.executable).parent


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize("kept", ["sqlite", "journal", "postgresql"])
def test_optuna_dashboard_serves_a_study_wherever_it_is_kept(tmp_path, request, kept):
    if kept == "sqlite":
        address = f"sqlite:///{write_study(tmp_path / 'weights', trials=2, epochs=1) / 'study.db'}"
    else:
        journal = tmp_path / "studies.journal"
        address = (
            str(journal) if kept == "journal" else request.getfixturevalue("server").database()
        )
        storage = f"journal:{journal}" if kept == "journal" else address
        optuna.create_study(storage=open_storage(storage, tmp_path), study_name="weights")
    port = free_port()
    command = [BIN / "optuna-dashboard", address, "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies") as answer:
                    assert "weights" in answer.read().decode()
                break
            except OSError:
                assert time.monotonic() < end, "the dashboard never answered"
                assert process.poll() is None, "the dashboard ended"
                time.sleep(0.2)
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("command", [["leet", "--help"], ["sync", "--help"]])
def test_wandb_has_the_commands_that_the_page_on_reviewing_names(command):
    shown = subprocess.run([BIN / "wandb", *command], capture_output=True, text=True, check=True)
    for option in {"leet": ["PATH"], "sync": ["--entity", "--project"]}[command[0]]:
        assert option in shown.stdout
