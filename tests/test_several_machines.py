"""One network trained on two machines, here two commands that know each other by their address."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from lightning_fabric.plugins.environments.lightning import find_free_network_port

from tests.test_several_devices import ends_alone, left_by, run_to_its_end, trained
from tests.tiny import TINY, read_photos, wait_until

LONGER = ("--fit.epochs=2", "--data.samples_per_epoch=16")


@pytest.fixture
def machines(start, monkeypatch):
    """Starts a command once for each machine, as a person or SLURM does; its options may differ."""

    def begin(*options, differ=((), ())):
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(find_free_network_port()))
        processes = []
        for node, own in enumerate(differ):
            monkeypatch.setenv("NODE_RANK", str(node))
            command = (*TINY, *options, *own, "--fit.nodes=2")
            processes.append(start("train", *command, folder=os.getcwd()))
        return processes

    return begin


@pytest.mark.slow
def test_two_machines_train_as_two_devices_of_one_and_one_goes_on(tmp_path, start, machines):
    devices, _ = trained(start, tmp_path, "devices", *LONGER, "--fit.devices=2")
    both = machines(*LONGER, "--runs", tmp_path / "runs", "--name", "machines")
    (status, output, said), (status_, output_, said_) = map(run_to_its_end, both)
    assert (status, status_) == (0, 0), said + said_
    assert "epoch 2:" in output
    assert "epoch" not in output_, "the first machine says it for all"
    run = tmp_path / "runs" / "machines"
    for name in ("photos.csv", "losses.csv"):
        assert (run / name).read_bytes() == (devices / name).read_bytes()

    _, said = trained(start, tmp_path, "machines", "--fit.epochs=3", LONGER[1])
    assert "The run had 2 devices and goes on with 1" in said
    assert set(read_photos(run).index.get_level_values("epoch")) == {1, 2, 3}


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_machine_that_is_gone_ends_the_other_and_the_same_commands_go_on(
    tmp_path, machines, lost
):
    options = ("--fit.epochs=40", "--runs", tmp_path, "--name", "run")
    processes = machines(*options)
    wait_until(processes[0], (tmp_path / "run" / "checkpoints" / "last.ckpt").exists)
    os.killpg(processes[lost].pid, signal.SIGKILL)
    status, _, said = run_to_its_end(processes[1 - lost])
    assert status == 2
    assert "Traceback" not in said
    assert "The same command goes on" in said
    assert said.count("\n") == 1
    assert ends_alone(processes[1 - lost])

    kept = read_photos(tmp_path / "run").index.get_level_values("epoch").max()
    options = (f"--fit.epochs={kept + 1}", *options[1:])
    for status, _, said in map(run_to_its_end, machines(*options)):
        assert status == 0, said
    scores, _, last = left_by(tmp_path / "run")
    assert scores.index.get_level_values("epoch").max() == kept + 1
    assert last["epoch"] == kept


@pytest.mark.slow
def test_a_machine_that_falls_silent_is_not_waited_for(tmp_path, machines):
    options = ("--allow-imports", "tests", "--model.network=tests.soon_lost.SoonLost")
    processes = machines(*options, "--fit.epochs=400", "--runs", tmp_path, "--name", "run")
    run = tmp_path / "run"
    wait_until(processes[0], (run / "checkpoints" / "last.ckpt").exists)
    # As of a machine without power: its connections stay open, and its heart does not beat.
    os.killpg(processes[1].pid, signal.SIGSTOP)
    (heart,) = hearts_of(processes[1])
    os.kill(heart, signal.SIGKILL)
    status, _, said = run_to_its_end(processes[0])
    assert status == 2
    assert said.startswith("error: machine 1 gave no sign of life for 4 seconds: see what it said.")
    assert said.count("\n") == 1
    assert ends_alone(processes[0])
    # And as it comes back, the other is gone.
    os.killpg(processes[1].pid, signal.SIGCONT)
    status, _, said = run_to_its_end(processes[1])
    assert status == 2
    assert said.count("\n") == 1

    kept = read_photos(run).index.get_level_values("epoch").max()
    again = (*options, f"--fit.epochs={kept + 1}", "--runs", tmp_path, "--name", "run")
    for status, _, said in map(run_to_its_end, machines(*again)):
        assert status == 0, said
    assert left_by(run)[0].index.get_level_values("epoch").max() == kept + 1
    assert not (run / "signs-of-life").exists()


def hearts_of(process):
    """The processes that beat for one."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            with suppress(OSError):
                parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == process.pid and b"beat_on" in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
    return found


@pytest.mark.slow
def test_machines_that_do_not_see_the_same_files_are_refused_in_a_line(tmp_path, machines):
    own = [("--runs", tmp_path / f"runs-{node}") for node in (0, 1)]
    runs = [tmp_path / f"runs-{node}" / "run" for node in (0, 1)]
    begun = machines("--fit.epochs=1", "--name", "run", "--runs", runs[0].parent)
    assert [run_to_its_end(process)[0] for process in begun] == [0, 0]
    for status, _, said in map(
        run_to_its_end, machines("--fit.epochs=2", "--name", "run", differ=own)
    ):
        assert status == 2
        assert "the devices do not see the same" in said
        assert said.count("\n") == 1
    assert not (runs[1] / "photos.csv").exists()
