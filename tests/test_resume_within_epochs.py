"""A run that was killed in the middle of an epoch goes on at the next batch, and ends the same."""

import multiprocessing
import os
import shutil
import signal

import pytest
import torch

from lab import train
from lab.formats.runs import copy_run, last_checkpoint, unfinished_checkpoint
from lab.networks import UnreadableCheckpointError, load_network
from lab.runs.within_epochs import find_start
from tests.data.shards import pack
from tests.tiny import TINY, fit_tiny, is_newer, start_command, wait_until

# Six steps an epoch, and large ones, so that a batch too many or too few would show.
LONGER = (
    "--data.samples_per_epoch=26",
    "--fit.epochs=2",
    "--model.optimization.generator_learning_rate=0.01",
    "--model.optimization.discriminator_learning_rate=0.01",
    "--model.optimization.schedule=cosine",
    # Its first values are a part of the state that no optimizer holds.
    "--model.objective.balancing=lab.losses.GradNorm",
)
AFTER_EACH_STEP = "--fit.checkpoint_minutes=1e-6"
BEGUN = multiprocessing.get_context("forkserver")
BEGUN.set_forkserver_preload(["tests.tiny"])


def train_and_die(folder, options, epoch, step):
    """What a process does that is killed after a step, before anything is kept of that one."""
    os.environ["WANDB_MODE"] = "disabled"
    # For its loader processes, which end when the process that started them has: a server's do not.
    multiprocessing.set_start_method("fork", force=True)

    def die(progress):
        if (progress.epoch, progress.step) == (epoch, step):
            os.kill(os.getpid(), signal.SIGKILL)

    fit_tiny(folder, *options, AFTER_EACH_STEP, on_step=die)


def killed(folder, options, epoch, step):
    process = BEGUN.Process(target=train_and_die, args=(folder, options, epoch, step))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


def files_of(run):
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def assert_same(one, other, where=""):
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}/{index}")
    else:
        assert one == other, where


def assert_same_run(run, whole):
    assert files_of(run) == files_of(whole) == ["epoch-001.pt", "epoch-002.pt", "last.ckpt"]
    for name in ("photos.csv", "losses.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes()
    one, other = (
        torch.load(each / "checkpoints" / "last.ckpt", weights_only=True) for each in (run, whole)
    )
    for last in (one, other):
        # It says where the run lies.
        last["callbacks"] = last["callbacks"]["EpochRecorder"]
    assert_same(one, other)
    for epoch in (1, 2):
        one, other = (
            load_network(each / "checkpoints" / f"epoch-00{epoch}.pt").state_dict()
            for each in (run, whole)
        )
        assert_same(one, other, f"epoch {epoch}")


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return pack(tmp_path_factory.mktemp("packed"), count=16)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an undisturbed run, which keeps nothing within its epochs."""
    folders = {}

    def trained(*options):
        if options not in folders:
            folders[options] = tmp_path_factory.mktemp("whole") / "run"
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("WANDB_MODE", "disabled")
                assert fit_tiny(folders[options], *LONGER, *options) == [1, 2]
        return folders[options]

    return trained


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "workers", "epoch", "step"),
    [("folder", 0, 1, 4), ("folder", 2, 2, 3), ("shards", 0, 2, 5), ("shards", 2, 2, 3)],
)
def test_a_run_killed_within_an_epoch_goes_on_at_the_next_batch_and_ends_the_same(
    tmp_path, whole, shards, kind, workers, epoch, step
):
    photos = (f"--data.photos={shards}",) if kind == "shards" else ()
    options = (*photos, f"--data.workers={workers}")
    folder = tmp_path / "run"
    killed(folder, (*LONGER, *options), epoch, step)
    done = [f"epoch-00{number}.pt" for number in range(1, epoch)]
    assert files_of(folder) == [*done, *(["last.ckpt"] if done else []), "unfinished.ckpt"]
    assert (folder / "photos.csv").exists() == bool(done), "an unfinished epoch has no scores"

    steps, said = [], []
    torch.manual_seed(12345)  # another process begins with other generators
    left = fit_tiny(
        folder,
        *(*LONGER, *options),
        on_step=lambda progress: steps.append((progress.epoch, progress.step)),
        on_start=said.append,
    )
    assert left == list(range(epoch, 3))
    every = [(each, number) for each in (1, 2) for number in range(1, 7)]
    # The one that was trained but not kept comes again.
    assert steps == every[every.index((epoch, step)) :]
    assert said == [f"Epoch {epoch} goes on after its step {step - 1}"]
    assert_same_run(folder, whole(*options))


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A run that was killed in its second epoch."""
    folder = tmp_path_factory.mktemp("cut") / "run"
    killed(folder, (*LONGER, "--data.workers=0"), 2, 4)
    return folder


def go_on(folder):
    command = [*TINY, *LONGER, "--data.workers=0", "--runs", str(folder.parent)]
    return train.main([*command, "--name", folder.name])


def test_half_a_file_is_said_and_the_epoch_begins_anew(tmp_path, cut, whole, capsys):
    folder = shutil.copytree(cut, tmp_path / "run")
    unfinished = unfinished_checkpoint(folder)
    unfinished.write_bytes(unfinished.read_bytes()[: unfinished.stat().st_size // 2])
    assert go_on(folder) == 0
    output = capsys.readouterr().out
    assert "goes on after" not in output
    assert f"{unfinished} is damaged: epoch 2 begins anew\n" in output
    assert_same_run(folder, whole("--data.workers=0"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        # Left from an epoch that has ended: killed between the writing of one and the other.
        ({"PhotoDataModule": {"epochs_done": 0, "batches_done": 3}}, ""),
        (
            {"random_state": [{}, {}]},
            "Epoch 2 was kept after its step 3 by 2 devices, and 1 would share the rest otherwise: "
            "epoch 2 begins anew",
        ),
        ({"PhotoDataModule": [1, 3]}, "unfinished.ckpt is damaged: epoch 2 begins anew"),
    ],
)
def test_what_was_kept_of_another_epoch_or_by_others_is_not_gone_on_with(
    tmp_path, cut, change, said
):
    folder = shutil.copytree(cut, tmp_path / "run")
    unfinished = unfinished_checkpoint(folder)
    torch.save(torch.load(unfinished, weights_only=True) | change, unfinished)
    start = find_start(folder, ranks=1)
    assert start.checkpoint == last_checkpoint(folder)
    assert said in start.said
    assert bool(said) == bool(start.said)
    # A first epoch has none before it.
    last_checkpoint(folder).unlink()
    assert (find_start(folder, ranks=1).checkpoint == unfinished) == (not said)


def test_it_is_no_network(cut):
    with pytest.raises(UnreadableCheckpointError, match=r"its \.ckpt files only resume training"):
        load_network(unfinished_checkpoint(cut))


def test_a_copy_of_a_run_goes_on_within_its_epoch(tmp_path, cut, whole, capsys):
    assert copy_run(cut, tmp_path / "run")
    assert go_on(tmp_path / "run") == 0
    assert "Epoch 2 goes on after its step 3\n" in capsys.readouterr().out
    assert_same_run(tmp_path / "run", whole("--data.workers=0"))


@pytest.mark.slow
def test_two_devices_go_on_within_an_epoch(tmp_path):
    command = (*TINY, *LONGER, "--fit.devices=2", "--runs", tmp_path)
    process = start_command("train", *command, "--name", "whole", folder=tmp_path)
    output, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    process = start_command("train", *command, "--name", "run", AFTER_EACH_STEP, folder=tmp_path)
    run = tmp_path / "run"
    unfinished = unfinished_checkpoint(run)
    # Beside the first epoch's own, which removes what was kept within it.
    wait_until(process, lambda: is_newer(unfinished, last_checkpoint(run)))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert "batches_done" in torch.load(unfinished, weights_only=True)["PhotoDataModule"]
    process = start_command("train", *command, "--name", "run", folder=tmp_path)
    output, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "Epoch 2 goes on after its step" in output
    assert_same_run(run, tmp_path / "whole")
