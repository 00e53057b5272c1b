"""One network trained on two devices, here two processes: as on one with the same batches."""

import os
import signal
import time

import pandas as pd
import pytest
import torch

from lab import rank_processes, train
from lab.checks import UserError
from lab.data import PhotoDataModule
from lab.data.photo_datasets import EpochSampler, RankSampler
from lab.faults import ran_out_of_memory
from tests.tiny import PROJECT, TINY, read_photos

FAILING = (
    "--allow-imports",
    "tests",
    "--model.network=tests.on_devices.Failing",
    "--data.samples_per_epoch=16",
)

# What rounding in another order changes in eight steps: by how much scores, losses, and gradients
# (Adam's mean ones and each term's, by their norm) may differ. Forty layers that each normalize a
# few samples multiply rounding past comparing: of those, tests/test_ranks.py compares one step in
# double precision.
NEAR = {"scores": 3e-3, "losses": 5e-4, "gradients": 0.01}


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_share_out_the_steps_of_an_epoch(ranks):
    whole = EpochSampler(22, 3, 0, lambda epoch: epoch)
    shares = [
        RankSampler(EpochSampler(22, 3, 0, lambda epoch: epoch), 4 // ranks, rank, ranks)
        for rank in range(ranks)
    ]
    shown = []
    for epoch in (0, 1):
        for sampler in (whole, *shares):
            sampler.set_epoch(epoch)
        keys = list(whole)
        steps = [list(sampler) for sampler in shares]
        assert (
            {len(step) for step in steps} == {len(sampler) for sampler in shares} == {20 // ranks}
        )
        size = 4 // ranks
        for step in range(5):
            together = [key for share in steps for key in share[step * size : (step + 1) * size]]
            assert together == keys[4 * step : 4 * step + 4]
        shown.append(keys)
    assert shown[0] != shown[1]
    for rank, share in enumerate(steps):
        left = EpochSampler(22, 3, 1, lambda epoch: epoch, lambda epoch: 4 * 2)
        assert list(RankSampler(left, size, rank, ranks)) == share[2 * size :]


@pytest.mark.parametrize(
    ("ranks", "options", "said"),
    [
        (3, {"batch_size": 4}, "data.batch_size is 4, which 3 devices cannot share equally"),
        (8, {"samples_per_epoch": 6}, "cannot share 6 samples for training"),
        (8, {"validation_photos": 2, "validation_crops": 3}, "cannot share 6 samples for valid"),
    ],
)
def test_shares_that_are_not_equal_are_refused(ranks, options, said):
    with pytest.raises(UserError, match=said):
        PhotoDataModule(**{"batch_size": 8, **options}).refuse_shares(ranks)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fit.devices=3"], "data.batch_size is 4, which 3 devices cannot share equally"),
        (["--fit.nodes=2"], "NODE_RANK=0 MASTER_ADDR=HOST python -m lab.train"),
        (["--fit.devices=0"], "fit.devices must be at least 1"),
    ],
)
def test_what_cannot_be_shared_is_said_before_anything_is_written(tmp_path, options, said, capsys):
    assert train.main([*TINY, "--runs", str(tmp_path), "--fit.epochs=1", *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.csv"))


def test_a_gpu_whose_memory_runs_out_says_which_settings_to_lower(tmp_path, capsys):
    command = [*TINY, *FAILING, "--fit.epochs=1", "--runs", str(tmp_path)]
    assert train.main(command) == 2
    said = capsys.readouterr().err
    assert "memory ran out (CUDA out of memory. Tried to allocate 2.00 GiB): take a" in said
    for setting in ("data.batch_size", "data.size", "model.network.width", "fit.precision"):
        assert setting in said
    assert said.count("\n") == 1


def test_memory_that_ran_out_on_another_device_counts_as_such():
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has")
    told = rank_processes._raised(1, *rank_processes._told(error))
    assert ran_out_of_memory(told)
    assert str(told).startswith("device 1: the GPU's memory ran out")


def test_what_a_connection_says_is_not_lost():
    error = RuntimeError("ncclRemoteError: A call failed possibly due to a network error\nat 7")
    with rank_processes.Companions(print, [], 1) as companions:
        companions._bereft[1] = rank_processes._told(error)[1]
        said = str(companions.reason(error))
    assert "(ncclRemoteError: A call failed possibly due to a network error at 7)" in said


def run_to_its_end(process, seconds=400):
    output, said = process.communicate(timeout=seconds)
    return process.returncode, output, said


def trained(start, folder, name, *options):
    command = (*TINY, *options, "--runs", folder / "runs", "--name", name)
    status, output, said = run_to_its_end(start("train", *command, folder=folder))
    assert status == 0, said
    assert f"Everything is in {folder / 'runs' / name}" in output
    return folder / "runs" / name, output + said


def assert_near(run, other):
    (scores, losses, last), (scores_, losses_, last_) = left_by(run), left_by(other)
    assert scores.index.equals(scores_.index)
    assert losses.index.equals(losses_.index)
    assert (scores - scores_).abs().max() < NEAR["scores"]
    norms = losses.index.get_level_values(1).str.startswith("gradient/")
    assert norms.any()
    assert (losses - losses_)[~norms].abs().max() < NEAR["losses"]
    assert (losses / losses_ - 1.0)[norms].abs().max() < NEAR["gradients"]
    assert last["global_step"] == last_["global_step"]
    assert len(last["optimizer_states"]) == len(last_["optimizer_states"]) == 2
    for optimizers in zip(last["optimizer_states"], last_["optimizer_states"], strict=True):
        means = [mean_gradients(optimizer) for optimizer in optimizers]
        assert (means[0] - means[1]).norm() < NEAR["gradients"] * means[0].norm()
    pictures = [
        sorted(str(path.relative_to(at)) for path in at.rglob("*.png")) for at in (run, other)
    ]
    assert pictures[0] == pictures[1] != []


def left_by(run):
    order = pd.read_csv(run / "photos.csv")[["epoch", "sample"]]
    assert len(order) == 6 * order["epoch"].nunique() == len(order.drop_duplicates())
    losses = pd.read_csv(run / "losses.csv").set_index("epoch").stack()
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return read_photos(run), losses, last


def mean_gradients(optimizer):
    return torch.cat([each["exp_avg"].flatten() for each in optimizer["state"].values()])


LONGER = ("--fit.epochs=2", "--data.samples_per_epoch=16")
FROZEN = (
    "--model.network=lab.networks.DeepFillv2",
    "--model.phases=[{epochs: 1, trains: [network.coarse_network, judges]}, "
    "{trains: [network.refine_encoder, judges], weights: {adversarial: 0.01}}]",
    "--model.optimization.gradient_clip=0.5",
)
LAMA = (
    "--model.network=lab.networks.LaMa",
    "--model.network.width=4",
    "--model.network.blocks=1",
)
BALANCED = (
    *LAMA,
    "--model.objective.adversarial_kind=relativistic_average",
    "--model.objective.balancing=lab.losses.GradNorm",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [LAMA, FROZEN, BALANCED],
    ids=["hinge", "frozen parts", "relative and balanced"],
)
def test_two_devices_train_as_one_with_the_same_batches(tmp_path, start, options):
    one, _ = trained(start, tmp_path, "one", *LONGER, *options)
    two, said = trained(start, tmp_path, "two", *LONGER, *options, "--fit.devices=2")
    assert_near(two, one)
    assert said.count("epoch 2:") == 1
    weights = [
        torch.load(two / "checkpoints" / f"epoch-00{epoch}.pt", weights_only=True)["state"]
        for epoch in (1, 2)
    ]
    moved = {name for name in weights[0] if not torch.equal(weights[0][name], weights[1][name])}
    assert moved
    if options is FROZEN:
        assert all(name.startswith("refine_encoder") for name in moved)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_devices_and_says_what_changes(tmp_path, start):
    whole, _ = trained(start, tmp_path, "whole", *LONGER, *LAMA)
    for first, then in ((2, 1), (1, 2)):
        name, options = f"{first} and {then}", (*LONGER, *LAMA)
        trained(start, tmp_path, name, *options, "--fit.epochs=1", f"--fit.devices={first}")
        run, said = trained(start, tmp_path, name, *options, f"--fit.devices={then}")
        assert "epoch 1:" not in said
        assert f"The run had {first} device" in said
        assert f"goes on with {then}" in said
        assert_near(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "device", "said"),
    [
        ("memory", 1, "error: device 1: the GPU's memory ran out"),
        ("memory", 0, "error: the GPU's memory ran out"),
        ("nan", 1, "training is not finite in epoch 1"),
        ("killed", 1, "the process of device 1 ended (status -9)"),
        ("code", 1, "RuntimeError: a mistake in the code"),
    ],
)
def test_what_ends_one_device_ends_all_with_its_words(tmp_path, start, fault, device, said):
    options = ("--fit.epochs=1", "--fit.devices=2", f"--model.network.fault={fault}")
    process = start("train", *TINY, *FAILING, *options, f"--model.network.device={device}",
                    "--runs", tmp_path, folder=PROJECT)  # fmt: skip
    status, _, complaint = run_to_its_end(process)
    assert said in complaint
    if fault == "code":
        assert status == 1
    else:
        assert status == 2
        assert "Traceback" not in complaint
        assert len(complaint.strip().splitlines()) == 1
    assert ends_alone(process)


def processes_of(process):
    """The processes that live in the group of one that has been started."""
    found = []
    for place in os.listdir("/proc"):
        if place.isdecimal():
            try:
                if os.getpgid(int(place)) == process.pid:
                    found.append(int(place))
            except ProcessLookupError:
                continue
    return found


def ends_alone(process):
    """Whether all that a process started ends soon after it."""
    until = time.monotonic() + 60
    while processes_of(process) and time.monotonic() < until:
        time.sleep(0.2)
    return processes_of(process) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "to_all", "devices"),
    [
        (signal.SIGINT, True, 2),  # Ctrl-C reaches all processes of a terminal
        (signal.SIGKILL, False, 2),
        (signal.SIGTERM, False, 1),
        (signal.SIGTERM, False, 2),
        (signal.SIGTERM, True, 2),  # as where a job's time is over
    ],
)
def test_no_device_outlives_the_process_that_was_asked(tmp_path, start, sent, to_all, devices):
    options = ("--fit.epochs=50", f"--fit.devices={devices}")
    process = start("train", *TINY, *options, "--runs", tmp_path, folder=PROJECT)
    first = tmp_path / "train" / "checkpoints" / "last.ckpt"
    until = time.monotonic() + 400
    while not first.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
    assert len(processes_of(process)) >= devices
    os.killpg(process.pid, sent) if to_all else os.kill(process.pid, sent)
    status, _, said = run_to_its_end(process)
    if sent != signal.SIGKILL:
        assert status == 128 + sent
        assert "Interrupted. Give the same command again" in said
        assert "Traceback" not in said
    assert ends_alone(process)
