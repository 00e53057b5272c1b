"""Whichever write fails: one line, and the same command goes on to the same end."""

import errno
import io
import os
import sqlite3
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
import sqlalchemy
import torch
from optuna.trial import TrialState
from rich.console import Console

from lab import train
from lab.checks import UserError
from lab.faults import fault_of, ran_out_of_memory
from lab.files import beside, replacing, replacing_folder
from lab.networks import load_network
from lab.studies import run_sweep
from tests.studies.conftest import begin_tiny
from tests.tiny import PROJECT, TINY, read_photos


class Disk:
    """A disk below ``folder`` that fails from the n-th write on, by the interpreter's own events.

    Files opened for writing, added to and moved, and folders made.
    """

    def __init__(self):
        self.folder, self.written, self.full_at = None, [], None
        sys.addaudithook(self._on_event)

    def watch(self, folder, full_at=None, error=errno.ENOSPC):
        # Without links, as what is written is compared with it.
        self.folder = os.path.realpath(folder)
        self.written, self.full_at, self.error = [], full_at, error

    @property
    def writes(self):
        return len(self.written)

    @property
    def was_full(self):
        return self.full_at is not None and self.writes >= self.full_at

    def _on_event(self, event, arguments):
        if self.folder is None or event not in ("open", "os.rename", "os.mkdir"):
            return
        path = arguments[1] if event == "os.rename" else arguments[0]
        # The empty file that is made first is the one that is opened for writing then.
        writes = os.O_CREAT | os.O_APPEND
        if event == "open" and (not arguments[2] & writes or arguments[2] & os.O_EXCL):
            return
        if isinstance(path, str | bytes | os.PathLike) and self.holds(path):
            self.write(path)

    def holds(self, path):
        """Whether a path, which may be a relative one, is of this disk."""
        whole = os.path.realpath(os.fsdecode(path))
        return whole == self.folder or whole.startswith(self.folder + os.sep)

    def write(self, path):
        """Note a write, and fail it where the disk is full by then."""
        self.written.append(os.fsdecode(path))
        if self.was_full:
            raise OSError(self.error, os.strerror(self.error), self.written[-1])


@pytest.fixture(scope="module")
def the_disk():
    return Disk()


@pytest.fixture
def disk(the_disk):
    yield the_disk
    the_disk.folder = None


@pytest.fixture
def photos(tmp_path):
    """Photos of which one is for validation: few pictures an epoch, few writes."""
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        content = torch.rand(9, 12, 3, generator=torch.Generator().manual_seed(number))
        image = Image.fromarray((255 * content).byte().numpy())
        image.resize((64, 48)).save(folder / f"{number}.png")
    return folder


def content_of(run):
    """What a run leaves that must not depend on what happened meanwhile."""
    checkpoints = {
        path.name: load_network(path).state_dict()
        for path in sorted(run.glob("checkpoints/epoch-*.pt"))
    }
    pictures = {
        str(path.relative_to(run)): path.read_bytes() for path in run.glob("visuals/**/*.png")
    }
    return read_photos(run), (run / "losses.csv").read_text(), checkpoints, pictures


def assert_equal(run, other):
    (photos, losses, checkpoints, pictures) = content_of(run)
    (photos_, losses_, checkpoints_, pictures_) = content_of(other)
    assert photos.equals(photos_)
    assert losses == losses_
    assert pictures == pictures_
    assert checkpoints.keys() == checkpoints_.keys()
    for name, weights in checkpoints.items():
        assert all(torch.equal(value, checkpoints_[name][key]) for key, value in weights.items())
    assert not list(run.rglob("*.partial"))


def train_two_epochs(photos, runs, epochs=2):
    options = [*TINY, f"--fit.epochs={epochs}", f"--data.photos={photos}"]
    # Of the two steps of an epoch, what was made by the first is kept, too.
    options += ["--fit.checkpoint_minutes=1e-6"]
    return train.main([*options, "--runs", str(runs), "--name", "run"])


def fail_and_go_on(disk, photos, folder, full_at, capsys):
    """Train onto a disk that is full at one write, then onto one with room; False past the last."""
    disk.watch(folder, full_at)
    status = train_two_epochs(photos, folder)
    was_full = disk.was_full
    disk.watch(folder)
    said = capsys.readouterr().err
    if not was_full:
        assert status == 0
        return False
    assert status == 2, full_at
    assert "Traceback" not in said
    assert "the disk is full" in said
    assert "the same command goes on" in said
    assert train_two_epochs(photos, folder) == 0
    return True


@pytest.mark.parametrize("table", ["photos.csv", "losses.csv"])
def test_a_table_that_was_damaged_meanwhile_is_one_line(photos, tmp_path, capsys, table):
    assert train_two_epochs(photos, tmp_path, epochs=1) == 0
    path = tmp_path / "run" / table
    whole = path.read_bytes()
    path.write_bytes(b"\xff\xfe" + whole)
    capsys.readouterr()
    assert train_two_epochs(photos, tmp_path) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path} is not what a run writes")
    assert said.count("\n") == 1
    path.write_bytes(whole)
    assert train_two_epochs(photos, tmp_path) == 0


def writes_of(disk, photos, folder):
    disk.watch(folder)
    assert train_two_epochs(photos, folder) == 0
    return disk.writes


def test_a_disk_that_fills_while_training_loses_nothing(disk, photos, tmp_path, capsys):
    last = writes_of(disk, photos, tmp_path / "whole")
    for full_at in (1, 2, last // 3, 2 * last // 3, last):
        assert fail_and_go_on(disk, photos, tmp_path / str(full_at), full_at, capsys)
        assert_equal(tmp_path / str(full_at) / "run", tmp_path / "whole" / "run")


def each_once(written):
    """Which writes to fail: of the pictures of an epoch, written alike, the first and the last."""
    numbered = enumerate(written, start=1)
    for are_pictures, some in groupby(numbered, lambda each: "visuals" in each[1]):
        numbers = [number for number, _ in some]
        yield from sorted({*numbers[:4], *numbers[-2:]}) if are_pictures else numbers


@pytest.mark.slow
def test_whichever_write_fails_training_goes_on_to_the_same_end(disk, photos, tmp_path, capsys):
    last = writes_of(disk, photos, tmp_path / "whole")
    for full_at in each_once(list(disk.written)):
        folder = tmp_path / str(full_at)
        assert fail_and_go_on(disk, photos, folder, full_at, capsys)
        assert_equal(folder / "run", tmp_path / "whole" / "run")
    assert not fail_and_go_on(disk, photos, tmp_path / "past", last + 1, capsys)


@pytest.mark.slow
def test_a_disk_that_fills_in_a_sweep_fails_no_trial(disk, photos, tmp_path):
    """Also where the database lies on another disk, and could be told that the trial failed."""
    changes = {"trials": 2}
    console = Console(file=io.StringIO(), width=200)

    def begin(folder):
        address = f"sqlite:///{tmp_path / folder.name}.db"
        return begin_tiny(folder, changes, storage=address, photos=photos)

    whole = tmp_path / "whole"
    sweep = begin(whole)
    disk.watch(whole)
    run_sweep(sweep, 1, console)
    last = disk.writes
    # Before the first trial, within one, and when all have ended.
    for full_at in (2, last // 2, last - 1):
        folder = tmp_path / f"full-{full_at}"
        sweep = begin(folder)
        disk.watch(folder, full_at)
        with pytest.raises(Exception, match="No space left") as caught:
            run_sweep(sweep, 1, console)
        assert isinstance(caught.value, UserError) or fault_of(caught.value) is not None
        states = {trial.state for trial in sweep.open().get_trials()}
        assert TrialState.FAIL not in states
        disk.watch(folder)
        assert run_sweep(begin(folder), 1, console).is_whole
        for number in range(2):
            trial = Path("runs", "tiny", "trials", f"trial-{number:03d}")
            assert_equal(folder / trial, whole / trial)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.pt"), "the disk is full: a.pt"),
        (OSError(errno.EROFS, "Read-only file system", "a.pt"), "a.pt may not be written"),
        (FileNotFoundError(errno.ENOENT, "No such file", "gone"), "gone: No such file"),
        (MemoryError(), "memory ran out"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "memory ran out"),
        (
            sqlalchemy.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError("is locked")),
            "the study's database failed (is locked)",
        ),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors might"), "the GPU's memory"),
        (
            RuntimeError(
                "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
            ),
            "the GPU's memory ran out (CUDA error: CUBLAS_STATUS_ALLOC_FAILED",
        ),
        (
            RuntimeError("GET was unable to find an engine to execute this computation"),
            "the GPU's memory",
        ),
        (RuntimeError("NCCL error\nCuda failure 2 'out of memory'"), "the GPU's memory"),
        (
            RuntimeError("NCCL error in: x.cpp, NCCL 2.28\nncclSystemError: Error while creating"),
            "could not speak to each other (NCCL error in: x.cpp, NCCL 2.28 ncclSystemError: Error",
        ),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed."),
            "a loader process died",
        ),
    ],
)
def test_what_the_machine_did_is_said_in_one_line(error, said):
    try:
        try:
            raise error
        except type(error) as first:
            raise RuntimeError("while training") from first
    except RuntimeError as wrapped:
        found = fault_of(wrapped)
    assert said in found
    assert "\n" not in found
    assert found.endswith("the same command goes on")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("the size must be above 0"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        sqlalchemy.exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError("unique")),
        UserError("no variant 'x'"),
    ],
)
def test_a_mistake_is_not_taken_for_the_machines(error):
    assert fault_of(error) is None
    assert not ran_out_of_memory(error)


def test_what_killed_processes_left_is_cleared_away_by_the_next_write(tmp_path):
    dying = (
        "import os, sys; from pathlib import Path; from lab.files import replacing\n"
        "with replacing(Path(sys.argv[1]) / 'a.txt') as path:\n"
        "    path.write_text('half'); os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", dying, str(tmp_path)], env=environment, check=False)
    (litter,) = tmp_path.iterdir()
    assert litter.read_text() == "half"
    with replacing(tmp_path / "held.txt") as held:
        # By another process, as this one has looked into the folder already.
        writing = (
            "import sys; from pathlib import Path; from lab.files import replacing\n"
            "with replacing(Path(sys.argv[1]) / 'b.txt') as path: path.write_text('b')"
        )
        subprocess.run([sys.executable, "-c", writing, str(tmp_path)], env=environment, check=True)
        assert not litter.exists()
        assert held.exists()  # somebody is writing it
        held.write_text("held")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.txt", "held.txt"]


def test_temporary_names_cannot_be_guessed_and_follow_no_links(tmp_path):
    names = {beside(tmp_path / "a.txt", "partial").name for _ in range(100)}
    assert len(names) == 100
    longest = tmp_path / ("x" * 251 + ".txt")
    with replacing(longest) as temporary:
        temporary.write_text("whole")
    assert longest.read_text() == "whole"
    with replacing_folder(tmp_path / ("y" * 255)) as temporary:
        (temporary / "in").write_text("it")
    assert (tmp_path / ("y" * 255) / "in").read_text() == "it"
    target = tmp_path / "elsewhere"
    target.write_text("untouched")
    (tmp_path / "link").symlink_to(target)
    with replacing(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert target.read_text() == "untouched"
    assert (tmp_path / "link").read_text() == "new"
