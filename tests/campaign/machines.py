"""What befalls a machine under a run: folders, photos, the clock, the database, W&B's server.

Real processes, and in the end the same command: what it leaves is what an undisturbed run leaves.
"""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from data_prep import places2
from tests.campaign.checks import Asked, Case, Check, NotHere
from tests.campaign.contained import Outcome, complaints, litter
from tests.campaign.kills import Study, communicate, finish
from tests.imaging.test_reading import smooth
from tests.reporting.wandb_stand_in import StandIn
from tests.studies.networks import Link, can_be_cut
from tests.studies.servers import Server, programs
from tests.test_faults import assert_equal
from tests.tiny import TINY, start_command

EPOCHS = 5
LONG_AGO = 400 * 24 * 3600
"""Seconds by which a clock is set back."""
# What W&B may hold a run up by: a connection that is waited for, and what is left to be sent.
_WANDB_SECONDS = 240

_PHOTOS = 8
_UNCACHED = Path(__file__).with_name("uncached.py")

# Of Debian's package faketime; that for programs with threads.
_FAKE_CLOCKS = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


class Training:
    """A run of some epochs on photos of its own, as a process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.photos = folder, folder / "photos"
        self.photos.mkdir(parents=True)
        for number in range(_PHOTOS):
            Image.fromarray(smooth(48 + number, 64)).save(self.photos / f"{number}.png")
        self.run = folder / "runs" / "train"

    def start(self, tracking: str = "disabled", before: tuple[str, ...] = ()) -> subprocess.Popen:
        options = [*TINY, "--data.samples_per_epoch=64", f"--fit.epochs={EPOCHS}"]
        options.append(f"--data.photos={self.photos}")
        return start_command(
            "train", *options, folder=self.folder, tracking=tracking, before=before, cold=True
        )

    def to_the_end(self, **options: object) -> Outcome:
        return communicate(self.start(**options), time.monotonic())

    def wait_for_epoch(self, process: subprocess.Popen, epoch: int) -> None:
        # Without the latter, the run would begin anew, with whatever it finds.
        paths = [self.run / "checkpoints" / name for name in (f"epoch-{epoch:03d}.pt", "last.ckpt")]
        while process.poll() is None and not all(path.exists() for path in paths):
            time.sleep(0.05)

    def go_on(self, whole: "Training") -> list[str]:
        """Give the same command; what it leaves must be what the undisturbed one left."""
        ended = self.to_the_end()
        found = complaints(ended, (0,))
        if ended.status == 0:
            try:
                assert_equal(self.run, whole.run)
            except AssertionError as error:
                found.append(f"it is not as an undisturbed run: {str(error)[:200]}")
        return [f"given again: {text}" for text in found + litter(self.folder)]


def undisturbed(folder: Path) -> Training:
    """A run that nothing happened to."""
    whole = Training(folder / "whole")
    ended = whole.to_the_end()
    assert ended.status == 0, ended.err
    return whole


class ReadingTraining(Training):
    """One that keeps no photo in memory, so that it reads each of them in each epoch.

    Args:
        folder: an empty one.
        packed: train on shards of the photos.
    """

    def __init__(self, folder: Path, packed: bool = False) -> None:
        super().__init__(folder)
        self.notes = folder / "reads"
        if packed:
            _pack(self.photos, folder / "shards")
            self.photos = folder / "shards"

    def start(self, tracking: str = "disabled", before: tuple[str, ...] = ()) -> subprocess.Popen:
        reading = (sys.executable, str(_UNCACHED), str(self.photos), str(self.notes))
        return super().start(tracking, (*before, *reading))

    @property
    def reads(self) -> int:
        """How often a file of the photos was opened."""
        return self.notes.stat().st_size


def _pack(photos: Path, shards: Path) -> None:
    with redirect_stdout(io.StringIO()):  # what it says of its work
        assert places2.main([str(photos), str(shards), "--shard-size", "2", "--workers", "1"]) == 0


@dataclass(frozen=True)
class Spoiling:
    """What befalls the files of a run.

    Attributes:
        name: of it.
        spoil: does it to one file of photos, given another one's whole content; None where the
            run's own folder is deleted.
        packed: the files are shards.
        stopped: it befalls a run that is stopped, which must refuse to go on.
    """

    name: str
    spoil: Callable[[Path, bytes], object] | None
    packed: bool = False
    stopped: bool = False

    def befall(self, training: ReadingTraining, others: Path) -> Callable[[], None]:
        """Do it to all files of a run; returns what makes it good again."""
        if self.spoil is None:
            shutil.rmtree(training.run)
            return lambda: None
        pattern = "*.tar" if self.packed else "*.png"
        kept = {path: path.read_bytes() for path in sorted(training.photos.glob(pattern))}
        for path in kept:
            self.spoil(path, (others / path.name).read_bytes())

        def mend() -> None:
            for path, data in kept.items():
                path.write_bytes(data)

        return mend


def _truncate(path: Path, _: bytes) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _take_away(path: Path, _: bytes) -> None:
    path.unlink()


def _replace(path: Path, other: bytes) -> None:
    """At once, so that no reader finds half of it."""
    new = path.with_name("new")
    new.write_bytes(other)
    new.replace(path)


SPOILT = (
    Spoiling("its folder is deleted", None),
    Spoiling("photos are truncated", _truncate),
    Spoiling("photos are taken away", _take_away),
    Spoiling("photos are replaced, and it is gone on with", _replace, stopped=True),
    Spoiling("photos are replaced while it trains", _replace),
    Spoiling("shards are truncated", _truncate, packed=True),
    Spoiling("shards are taken away", _take_away, packed=True),
    Spoiling("shards are replaced while it trains", _replace, packed=True),
)


def spoil_files(asked: Asked) -> Iterator[Case]:
    """While a run trains, its folder is deleted, or its photos are not what they were."""
    whole: dict[bool, ReadingTraining] = {}
    others = {False: asked.folder / "others", True: asked.folder / "other-shards"}
    others[False].mkdir()
    for number in range(_PHOTOS):
        # Of the same sizes, so that nothing but the pixels tells them.
        photo = Image.fromarray(255 - smooth(48 + number, 64))
        photo.save(others[False] / f"{number}.png")
    _pack(others[False], others[True])
    for number in asked.cases:
        spoiling, draws = SPOILT[number % len(SPOILT)], asked.draws(number)
        packed = spoiling.packed
        if packed not in whole:
            whole[packed] = ReadingTraining(asked.folder / f"whole-{packed}", packed)
            ended = whole[packed].to_the_end()
            assert ended.status == 0, ended.err
        training = ReadingTraining(asked.folder / str(number), packed)
        process = training.start()
        training.wait_for_epoch(process, int(draws.integers(1, EPOCHS - 1)))
        findings = []
        if spoiling.stopped:
            # Which photos a run has is looked at when it is gone on with.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            communicate(process, time.monotonic())
        mend, before = spoiling.befall(training, others[packed]), training.reads
        if spoiling.stopped:
            ended = training.to_the_end()
            if ended.status != 2 or "photos" not in ended.err:
                findings.append(f"was gone on with: status {ended.status}, {ended.err[-200:]}")
        else:
            ended = communicate(process, time.monotonic())
        findings += complaints(ended)
        # What is not there any more is missed before it is opened.
        if spoiling.spoil is not None and training.reads == before and ended.status == 0:
            findings.append("no photo was read after that, so that nothing was tried")
        mend()
        yield Case(number, spoiling.name, findings + training.go_on(whole[packed]))
        shutil.rmtree(training.folder)


def set_clocks_back(asked: Asked) -> Iterator[Case]:
    """While a run trains it is suddenly last year; or it was next year when it was begun."""
    if not _FAKE_CLOCKS:
        raise NotHere("no library that sets a program's clock: apt-get install faketime")
    whole = undisturbed(asked.folder)
    for number in asked.cases:
        draws = asked.draws(number)
        training = Training(asked.folder / str(number))
        if number % 2:
            process = training.start()
            training.wait_for_epoch(process, int(draws.integers(1, EPOCHS)))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            communicate(process, time.monotonic())
            later = time.time() + LONG_AGO
            for path in training.run.rglob("*"):
                os.utime(path, (later, later))
            label, findings = "files of next year", []
        else:
            after = draws.uniform(2, 20)
            clock = (
                f"LD_PRELOAD={_FAKE_CLOCKS[0]}",
                f"FAKETIME=-{LONG_AGO}",
                f"FAKETIME_START_AFTER_SECONDS={after:.0f}",
                # A clock that somebody sets is not the one that measures how long something took.
                "FAKETIME_DONT_FAKE_MONOTONIC=1",
            )
            ended = training.to_the_end(before=("env", *clock))
            label, findings = f"last year after {after:.0f} s", complaints(ended, (0,))
        yield Case(number, label, findings + training.go_on(whole))
        shutil.rmtree(training.folder)


def stop_databases(asked: Asked) -> Iterator[Case]:
    """A study's server goes away while two workers train, and comes back."""
    with _server() as server:
        yield from _be_away(asked, server, server.end, server.begin, 20)


def cut_networks(asked: Asked) -> Iterator[Case]:
    """Nothing arrives at a study's server, or from it, and nobody is told."""
    if not can_be_cut():
        raise NotHere("no hosts to cut the network between: root, and apt-get install iproute2")
    link = Link()
    try:
        with _server(link.here) as server:
            # Longer than half of the cuts.
            wait = "?connect_timeout=10&tcp_user_timeout=20000"
            yield from _be_away(asked, server, link.cut, link.mend, 40, wait, link.inside)
    finally:
        link.remove()


@contextmanager
def _server(*host: str) -> Iterator[Server]:
    found = programs()
    if found is None:
        raise NotHere("no PostgreSQL server here: apt-get install postgresql")
    server = Server(found, Path(tempfile.mkdtemp(prefix="postgresql-")), *host)
    try:
        yield server
    finally:
        server.stop()


def _be_away(
    asked: Asked,
    server: Server,
    begin: Callable[[], None],
    end: Callable[[], None],
    longest: float,
    options: str = "",
    inside: tuple[str, ...] = (),
) -> Iterator[Case]:
    """Make a study's database unreachable by ``begin``, and in half of the cases by ``end`` again.

    Args:
        asked: the cases.
        server: of the database.
        begin: what makes it unreachable.
        end: what ends that.
        longest: seconds of it.
        options: of the address.
        inside: the words of a command that runs another on a host of its own.
    """
    whole = Study(asked.folder / "whole", server.database() + options, inside)
    ended = communicate(whole.start(), time.monotonic())
    assert ended.status == 0, ended.err
    for number in asked.cases:
        draws = asked.draws(number)
        study = Study(asked.folder / str(number), server.database() + options, inside)
        process = study.start()
        while process.poll() is None and not study.epochs():
            time.sleep(0.1)
        time.sleep(draws.uniform(0, 3))
        begin()
        seconds = draws.uniform(0, longest)
        time.sleep(seconds)
        comes_back = bool(draws.random() < 0.5)
        if comes_back:
            end()
        ended = communicate(process, time.monotonic())
        if not comes_back:
            end()
        findings = complaints(ended)
        if ended.status == 2 and "database failed" not in ended.err:
            findings.append(f"it does not say that the database failed: {ended.err[-300:]}")
        before, kept = study.ended(), study.kept()
        findings += finish(study, whole, before, kept)
        label = f"away for {seconds:.0f} s" if comes_back else "away until the sweep had ended"
        yield Case(number, label, findings)
        shutil.rmtree(study.site.folder)


@contextmanager
def silent_server() -> Iterator[tuple[str, Callable[[], None]]]:
    """A server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", lambda: None


@contextmanager
def server_that_hangs() -> Iterator[tuple[str, Callable[[], None]]]:
    """A stand-in for W&B's server in a process of its own, and what stops that for good."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, StandIn().url.encode())
        while True:
            time.sleep(3600)
    try:
        yield os.read(reading, 1000).decode(), lambda: os.kill(child, signal.SIGSTOP)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


def hang_wandb(asked: Asked) -> Iterator[Case]:
    """W&B's server does not answer, from the beginning or from an epoch on: no run is lost."""
    whole = undisturbed(asked.folder)
    for number in asked.cases:
        draws = asked.draws(number)
        training = Training(asked.folder / str(number))
        with (silent_server, server_that_hangs)[number % 2]() as (url, hang):
            variables = (f"WANDB_BASE_URL={url}", f"WANDB_API_KEY={'0' * 40}")
            process = training.start("online", ("env", *variables))
            epoch = int(draws.integers(1, EPOCHS))
            if number % 2:
                training.wait_for_epoch(process, epoch)
                hang()
            training.wait_for_epoch(process, EPOCHS)
            began = time.monotonic()
            ended = communicate(process, began)
            findings = complaints(ended, (0,))
            if ended.seconds > _WANDB_SECONDS:
                findings.append(f"waited {ended.seconds:.0f} s for the server after its last epoch")
        label = f"hangs after epoch {epoch}" if number % 2 else "never answers"
        with suppress(FileNotFoundError):
            shutil.rmtree(training.run / "wandb")
        yield Case(number, label, findings + training.go_on(whole))
        shutil.rmtree(training.folder)


_SAME = "one line or none; the same command ends it, bit for bit"

CHECKS = (
    Check("machine.files", _SAME, 24, spoil_files, smoke=0),
    Check("machine.clock", _SAME, 12, set_clocks_back, smoke=0),
    Check("machine.database", _SAME, 12, stop_databases, smoke=0),
    Check("machine.network", _SAME, 12, cut_networks, smoke=0),
    Check("machine.wandb", "no run fails or waits for more than minutes", 6, hang_wandb, smoke=0),
)
