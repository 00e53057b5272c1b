"""Kill -9 at any moment: of a study's processes, and of what else writes; and two calls at once.

What is held: what was finished stays as it is, an epoch is repeated at most and no other, and in
the end everything is bit-equal to what an undisturbed call leaves.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path

import optuna
from optuna.trial import TrialState

from lab.formats.runs import photo_table
from lab.results import open_storage
from tests.campaign.checks import Asked, Case, Check, NotHere
from tests.campaign.contained import (
    Outcome,
    complaints,
    end,
    import_commands,
    litter,
    processor_seconds,
    start,
    wait,
)
from tests.campaign.works import Work, differences, make_material, works
from tests.studies.conftest import HOLE, LEARNING_RATE
from tests.studies.servers import Server, programs
from tests.studies.sites import Site
from tests.test_faults import assert_equal
from tests.tiny import start_command

EPOCHS = 3
QUESTION = {
    # A grid: which values a trial gets does not depend on which ended before it.
    "sampler": "grid",
    "search": {
        LEARNING_RATE: {"choices": [1e-4, 1e-3, 1e-2]},
        HOLE: {"choices": [1.0, 2.4]},
    },
    "first": [],
    "epochs": EPOCHS,
    "trials": 6,
}
TARGETS = ("the parent", "a worker", "all")
# For a study on a busy machine; and for workers to notice that their parent has gone.
_SECONDS, _SECONDS_TO_GO = 3600, 300


class Study:
    """A study of two workers in a folder, and what of it must not change any more."""

    def __init__(self, folder: Path, address: str | None, inside: tuple[str, ...] = ()) -> None:
        self.site = Site(folder, self._begin, **QUESTION)
        self.cold = False  # begun by a new Python, workers too, and not forked
        self.inside = inside  # the words of a command that runs another on a host of its own
        self.address = address
        self.options = ("--workers", "2", "--threads", "1")
        if address is not None:
            self.options = (*self.options, "--storage", address)

    def start(self) -> subprocess.Popen:
        return self.site.start(*self.options)

    def _begin(self, *words: object, **options: object) -> subprocess.Popen:
        return start_command(*words, cold=self.cold, before=self.inside, **options)

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        storage = open_storage(self.address, self.site.study)
        names = [study.study_name for study in optuna.get_all_study_summaries(storage)]
        if not names:
            return []
        return optuna.load_study(study_name=names[0], storage=storage).get_trials()

    def runs(self) -> list[Path]:
        return sorted(self.site.study.glob("trials/trial-*"))

    def epochs(self) -> dict[str, int]:
        """The last epoch that each trial has scored."""
        tables = {run.name: photo_table(run).read()["epoch"] for run in self.runs()}
        return {name: int(table.max()) for name, table in tables.items() if len(table)}

    def kept(self) -> dict[str, tuple[int, int] | None]:
        """What no later call may write again: networks of all epochs before each trial's last."""
        last, found = self.epochs(), {}
        ended = {
            f"trial-{trial.number:03d}"
            for trial in self.trials()
            if trial.state is TrialState.COMPLETE
        }
        for run in self.runs():
            files = [
                run / "checkpoints" / f"epoch-{epoch:03d}.pt" for epoch in range(1, EPOCHS + 1)
            ]
            if run.name in ended:
                files += [run / "photos.csv", run / "losses.csv"]
            else:
                files = files[: max(0, last.get(run.name, 0) - 1)]
            for path in files:
                found[str(path)] = _stamp(path)
        return found

    def ended(self) -> dict[int, tuple]:
        return {
            trial.number: (tuple(trial.values), tuple(sorted(trial.params.items())))
            for trial in self.trials()
            if trial.state is TrialState.COMPLETE
        }


@contextmanager
def _no_server() -> Iterator[Callable[[], str | None]]:
    yield lambda: None


@contextmanager
def postgresql() -> Iterator[Callable[[], str | None]]:
    """A server of PostgreSQL; gives what makes a new database."""
    found = programs()
    if found is None:
        raise NotHere("no PostgreSQL server here: apt-get install postgresql")
    server = Server(found, Path(tempfile.mkdtemp(prefix="postgresql-")))
    try:
        yield server.database
    finally:
        server.stop()


def kill_studies(asked: Asked, database: Callable[[], str | None]) -> Iterator[Case]:
    """Kill one of a study's processes after the other until it has ended; and another study."""
    whole = Study(asked.folder / "whole", database())
    began = time.monotonic()
    outcome = communicate(whole.start(), began)
    assert outcome.status == 0, outcome.err
    study, rounds, earlier = Study(asked.folder / "0", database()), 0, {}
    kept: dict[str, tuple[int, int] | None] = {}
    for number in asked.cases:
        draws, target = asked.draws(number), TARGETS[number % len(TARGETS)]
        findings: list[str] = []
        study.cold = number % 5 == 0
        while True:
            process, before = study.start(), study.epochs() if study.runs() else {}
            if draws.random() < 0.8:
                _wait_for_news(process, study, before)
                time.sleep(draws.uniform(0, 2) * outcome.seconds / (EPOCHS * QUESTION["trials"]))
            else:
                time.sleep(draws.uniform(0, outcome.seconds / 3))
            killed = process.poll() is None and _kill(process, target)
            ended = communicate(process, time.monotonic())
            findings += _after(study, ended, killed, target, kept, earlier)
            kept, earlier = study.kept(), study.ended()
            if len(earlier) == QUESTION["trials"]:
                findings += finish(study, whole)
                shutil.rmtree(study.site.folder)
                rounds += 1
                study = Study(asked.folder / str(rounds), database())
                kept, earlier = {}, {}
            if killed:
                break
        yield Case(number, f"{target} killed in study {rounds}", findings)
    if study.runs():
        findings = finish(study, whole, earlier, kept)
        if findings:
            yield Case(asked.cases[-1], "the last study, gone on with", findings)


def _wait_for_news(process: subprocess.Popen, study: Study, before: dict[str, int]) -> None:
    while process.poll() is None:
        with suppress(OSError, ValueError):
            if study.epochs() != before:
                return
        time.sleep(0.1)


def _kill(process: subprocess.Popen, target: str) -> bool:
    """Kill, and say whether there was something to be killed."""
    try:
        if target == "all":
            os.killpg(process.pid, signal.SIGKILL)
        elif target == "the parent":
            process.kill()
        else:
            workers = _workers(process.pid)
            if not workers:
                return False
            os.kill(workers[process.pid % len(workers)], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _workers(parent: int) -> list[int]:
    """The processes of a sweep that train: those of its group that clear nothing up after others.

    What begins processes for it (`tests.forking`) is in a group of its own.
    """
    said = subprocess.run(
        ["ps", "--ppid", str(parent), "-o", "pid=,pgid=,args="], capture_output=True, text=True
    ).stdout
    found = [line.split(maxsplit=2) for line in said.splitlines()]
    return sorted(
        int(number)
        for number, group, words in found
        if int(group) == parent and "resource_tracker" not in words
    )


def communicate(process: subprocess.Popen, began: float) -> Outcome:
    """Wait for a call to end, and for all of its processes."""
    try:
        out, err = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return Outcome(None, out, err, time.monotonic() - began, 0)
    limit = time.monotonic() + _SECONDS_TO_GO
    while time.monotonic() < limit:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
        err += "\nits workers outlived it"
    return Outcome(process.returncode, out, err, time.monotonic() - began, 0)


def _after(
    study: Study,
    ended: Outcome,
    killed: bool,
    target: str,
    kept: dict[str, tuple[int, int] | None],
    earlier: dict[int, tuple],
) -> list[str]:
    """What a call, killed or not, broke of what was there before it."""
    found = []
    if "outlived" in ended.err:
        found.append("its workers outlived it")
    if killed and target != "a worker":
        if ended.status not in (0, -signal.SIGKILL):
            found.append(f"ended with status {ended.status}: {ended.err[-300:]}")
    else:
        found += complaints(ended)
        if not killed and ended.status:
            found.append(f"ended with status {ended.status}: {ended.err[-300:]}")
    now = study.ended()
    found += [f"trial {number} had ended" for number in earlier if number not in now]
    found += [
        f"trial {number} ended otherwise"
        for number in earlier.keys() & now.keys()
        if earlier[number] != now[number]
    ]
    found += [
        f"{Path(path).relative_to(study.site.study)} was lost or written again"
        for path, stamp in kept.items()
        if _stamp(Path(path)) != stamp or stamp is None
    ]
    return found


def _stamp(path: Path) -> tuple[int, int] | None:
    with suppress(FileNotFoundError):
        status = path.stat()
        return status.st_ino, status.st_mtime_ns
    return None


def finish(
    study: Study,
    whole: Study,
    earlier: dict[int, tuple] | None = None,
    kept: dict[str, tuple[int, int] | None] | None = None,
) -> list[str]:
    """Give the command once more, and say how what it leaves differs from the undisturbed study."""
    ended = communicate(study.start(), time.monotonic())
    found = _after(study, ended, False, "", kept or {}, earlier or {})
    if study.ended() != whole.ended():
        found.append("its trials are not those of an undisturbed study")
    if len(study.trials()) != len(whole.trials()):
        found.append(f"it has {len(study.trials())} trials, not {len(whole.trials())}")
    for run, other in zip(study.runs(), whole.runs(), strict=False):
        try:
            assert_equal(run, other)
        except AssertionError as error:
            found.append(f"{run.name} is not as in an undisturbed study: {str(error)[:200]}")
    found += litter(study.site.folder)
    results = [one.site.study / "results.csv" for one in (study, whole)]
    if not results[0].exists():
        found.append(f"it has no results.csv: status {ended.status}, {ended.err[-300:]}")
    elif results[0].read_bytes() != results[1].read_bytes():
        lines = [path.read_text().splitlines() for path in results]
        differ = next((two for two in zip_longest(*lines) if two[0] != two[1]), lines)
        found.append(f"results.csv is not as in an undisturbed study: {differ[0]} not {differ[1]}")
    return found


def with_sqlite(asked: Asked) -> Iterator[Case]:
    """Kill a study whose trials are kept in its folder."""
    with _no_server() as database:
        yield from kill_studies(asked, database)


def with_postgresql(asked: Asked) -> Iterator[Case]:
    """Kill a study whose trials a server keeps."""
    with postgresql() as database:
        yield from kill_studies(asked, database)


def kill_commands(asked: Asked) -> Iterator[Case]:
    """Kill what writes after some of the processor's time that it takes; then give it again."""
    whole = Undisturbed(asked.folder)
    every = works()
    for number in asked.cases:
        work, draws = every[number % len(every)], asked.draws(number)
        folder = asked.folder / str(number)
        work.begin(folder, whole.material)
        # Half of them where there is a result already: the old one stays whole, or gives way.
        again = draws.random() < 0.5
        findings = complaints(work.call(folder, whole.material), (0,)) if again else []
        kill_at = draws.uniform(0, whole.seconds(work))
        said = Path(tempfile.mkdtemp(dir=asked.folder))
        child = start(work.main, work.words(whole.material), folder, said)
        while processor_seconds(child) < kill_at:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.002)
        end(child)
        os.waitpid(child, 0)
        if again:
            findings += [
                f"killed: {text}" for text in differences(work, folder, whole.content(work))
            ]
        findings += complaints(work.call(folder, whole.material), work.statuses) + litter(folder)
        findings += differences(work, folder, whole.content(work))
        shutil.rmtree(folder)
        yield Case(number, f"{work.name} after {kill_at:.2f} s", findings)


def call_twice(asked: Asked) -> Iterator[Case]:
    """Give each command twice at the same time: one of them ends it, and neither does harm."""
    whole = Undisturbed(asked.folder)
    every = works()
    for number in asked.cases:
        work, draws = every[number % len(every)], asked.draws(number)
        folder = asked.folder / str(number)
        work.begin(folder, whole.material)
        findings, statuses = [], []
        children: list[tuple[int, Path]] = []
        for _ in range(2):
            said = Path(tempfile.mkdtemp(dir=asked.folder))
            children.append((start(work.main, work.words(whole.material), folder, said), said))
            time.sleep(draws.uniform(0, 0.3))
        for child, said in children:
            # Two that wait for each other are ended one after the other.
            ended = wait(child, said)
            statuses.append(ended.status)
            findings += complaints(ended)
        if 0 not in statuses:
            findings.append("neither call did it")
        findings += differences(work, folder, whole.content(work)) + litter(folder)
        shutil.rmtree(folder)
        yield Case(number, f"{work.name} twice", findings)


class Undisturbed:
    """The material, and what each command makes of it where nothing happens to it.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.material = folder, folder / "material"
        make_material(self.material)
        import_commands()
        self._known: dict[str, tuple[dict[str, object], float]] = {}

    def content(self, work: Work) -> dict[str, object]:
        """What it makes."""
        return self._called(work)[0]

    def seconds(self, work: Work) -> float:
        """Of the processor that it takes."""
        return self._called(work)[1]

    def place(self, work: Work) -> Path:
        """Where it made it."""
        self._called(work)
        return self.folder / f"whole-{work.name}"

    def _called(self, work: Work) -> tuple[dict[str, object], float]:
        if work.name not in self._known:
            place = self.folder / f"whole-{work.name}"
            work.begin(place, self.material)
            before = os.times()
            outcome = work.call(place, self.material)
            after = os.times()
            assert outcome.status == 0, (work.name, outcome)
            seconds = sum(after[2:4]) - sum(before[2:4])
            self._known[work.name] = work.content(place), seconds
        return self._known[work.name]


_STUDY = "nothing finished is lost, an epoch is repeated at most, the same in the end, bit for bit"

CHECKS = (
    Check("kills.sqlite", _STUDY, 100, with_sqlite, smoke=0),
    Check("kills.postgresql", _STUDY, 100, with_postgresql, smoke=0),
    Check("kills.commands", "the same command ends it, bit for bit", 120, kill_commands, smoke=3),
    Check("twice", "one of two calls at once does it, neither does harm", 24, call_twice, smoke=2),
)
