"""One study on several machines: who is alive, who is lost, and that none is robbed."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from rich.console import Console

from lab import heartbeats
from lab.checks import UserError
from lab.faults import EnvironmentFaultError
from lab.files import lock_run
from lab.heartbeats import Heart, Sign, Watch
from lab.parsing import SettingsError
from lab.results import ARTIFACTS, alone_in, database_of, note_storage, open_storage, open_study
from lab.results import storage as results_storage
from lab.runs import fit_run
from lab.studies import Question, Search, run_sweep, worker
from lab.studies.holders import Hold, TrialLostError, holding, signs_of
from lab.studies.storage import begin_study, claim_trial
from tests.studies.conftest import begin_tiny
from tests.studies.networks import Link, can_be_cut
from tests.studies.servers import BucketServer, Server, programs
from tests.studies.sites import Site, all_epochs, assert_complete, ended, epochs_trained
from tests.test_faults import assert_equal
from tests.tiny import put_photos, read_photos, wait_until

QUESTION = Question(
    question="Which?",
    search={"x": Search(low=0.0, high=1.0)},
    goal="hole_psnr",
    first=[{"x": 0.5}],
)


class Machine:
    """One machine's view of a study; it sees other machines' signs of life, and no locks."""

    def __init__(self, folder, address, limit=1):
        self.folder, self.address, self.limit = folder / "tiny", address, limit
        self.study = begin_study("tiny", QUESTION, address, self.folder, {})
        note_storage(self.folder, "tiny", address)
        # Far longer than a busy machine takes from one look to the next; two looks in two seconds.
        self.watch = Watch(10.0)

    def claim(self):
        limit = self.limit
        return claim_trial(self.study, QUESTION, self.address, self.folder, limit, 0, self.watch)

    def hold(self, claim):
        return holding(self.study, claim.trial, self.address, self.folder)

    @property
    def signs(self):
        return signs_of(self.study, self.address, self.folder)

    def silence(self, claim):
        """As if the machine that runs a trial had been silent for long."""
        if self.address.startswith("journal:"):
            file = self.signs._file(claim.trial._trial_id)
            os.utime(file, times=(file.stat().st_mtime - 3600,) * 2)
            return
        with database_of(self.study).begin() as connection:
            connection.execute(
                sqlalchemy.text(
                    "UPDATE trial_heartbeats SET heartbeat = heartbeat - interval '1 hour' "
                    f"WHERE trial_id = {claim.trial._trial_id}"
                )
            )

    def claim_after_two_looks(self):
        assert self.claim() is None, "one look is too few"
        time.sleep(2.1)
        return self.claim()

    def states(self):
        return [trial.state for trial in self.study.get_trials(deepcopy=False)]


@pytest.fixture(params=["postgresql", "journal"])
def address(request, tmp_path):
    """Where machines share a study: a server's database, or a journal that all of them reach."""
    if request.param == "journal":
        return f"journal:{tmp_path / 'studies.journal'}"
    return request.getfixturevalue("server").database()


@pytest.fixture
def machines(address, tmp_path):
    return [Machine(tmp_path / name, address) for name in "ab"]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_a_lost_machines_trial_is_stood_in_for_once_however_many_look(address, tmp_path):
    there = Machine(tmp_path / "lost", address)
    lost = there.claim()
    finders = [Machine(tmp_path / str(number), address) for number in range(3)]
    for finder in finders:
        assert finder.claim() is None, "it has just given a sign of life"
    there.silence(lost)
    with ThreadPoolExecutor(3) as pool:
        found = pool.map(Machine.claim_after_two_looks, finders)
        claims = [claim for claim in found if claim is not None]
    assert [claim.trial.number for claim in claims] == [1]
    assert claims[0].values == lost.values == {"x": 0.5}
    assert claims[0].after == (0,)
    assert claims[0].trial.user_attrs["first"]
    assert finders[0].states() == [TrialState.FAIL, TrialState.RUNNING]
    reason = finders[0].study.trials[0].user_attrs["reason"]
    assert "gave no sign of life for" in reason


def test_a_heart_beats_while_a_step_holds_the_interpreter_and_ends_with_its_process(machines):
    here, there = machines
    claim = here.claim()

    number = claim.trial._trial_id

    def beaten():
        return here.signs.of([number])[number].beat

    # No thread of that process runs during the one call.
    script = (
        "from lab.heartbeats import Heart, _signs_by\n"
        f"with Heart(_signs_by({here.signs.order()!r}), {number}, 0.1):\n"
        "    pow(3, 200_000_000)"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        for _ in range(4):
            before = beaten()
            until(lambda before=before: beaten() > before)
        assert there.claim_after_two_looks() is None
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()

    def has_stopped():
        before = beaten()
        time.sleep(1.5)
        return beaten() == before

    until(has_stopped)
    there.silence(claim)
    assert there.claim_after_two_looks().after == (0,)


def test_a_heart_that_somebody_killed_is_replaced_and_knows_when_its_trial_was_ended(machines):
    here = machines[0]
    claim = here.claim()
    number = claim.trial._trial_id
    with Heart(here.signs, number, 0.1) as heart, here.hold(claim) as hold:
        heart._process.kill()
        heart._process.wait()
        time.sleep(0.2)
        assert heart.beats()
        assert heart._process.poll() is None
        hold.tell(state=TrialState.FAIL)
        until(lambda: not heart.beats())
    assert here.signs.of([number]).keys() <= {number}


def test_what_a_machine_tells_that_was_taken_for_lost_is_refused(machines):
    here, there = machines
    claim = here.claim()
    here.silence(claim)
    taken = there.claim_after_two_looks()
    with here.hold(claim) as hold:
        for told in ({"values": [3.0]}, {"state": TrialState.FAIL}):
            with pytest.raises(TrialLostError, match="gave no sign of life"):
                hold.tell(**told)
    with pytest.raises(TrialLostError), here.hold(claim):
        claim.trial.report(3.0, 1)
    with pytest.raises(UpdateFinishedTrialError):
        claim.trial.set_user_attr("best_epoch", 1)
    there.study.tell(taken.trial.number, 2.0)
    done = [trial for trial in here.study.get_trials() if trial.state is TrialState.COMPLETE]
    assert [trial.value for trial in done] == [2.0]


def test_what_is_told_in_the_last_moment_counts(machines):
    here, there = machines
    claim = here.claim()
    here.silence(claim)
    assert there.claim() is None
    with here.hold(claim) as hold:
        hold.tell([3.0])
    time.sleep(2.1)
    assert there.claim() is None
    assert there.states() == [TrialState.COMPLETE]


@pytest.mark.slow
def test_a_trial_that_is_lost_three_times_is_left_to_a_person(address, tmp_path):
    for number in range(3):
        machine = Machine(tmp_path / str(number), address)
        claim = machine.claim_after_two_looks() if number else machine.claim()
        assert claim.after == tuple(range(number - 1, -1, -1))
        machine.silence(claim)
    last = Machine(tmp_path / "last", address)
    assert last.claim_after_two_looks() is None
    assert last.states() == [TrialState.FAIL] * 3


@pytest.mark.parametrize("together", ["store", "folder", "nowhere"])
def test_what_was_interrupted_is_gone_on_with_at_once_where_its_files_are(
    address, tmp_path, together
):
    where = tmp_path / "shared" if together == "folder" else None
    here, there = (Machine(where or tmp_path / name, address) for name in "ab")
    if together == "store":
        here.study.set_user_attr(ARTIFACTS, "s3://studies")
    claim = here.claim()
    # As under another kernel, after its end.
    claim.lock.release()
    claim.trial.set_user_attr("kernel", "another")
    with here.hold(claim) as hold:
        hold.give_up()
    taken = there.claim()
    if together == "nowhere":
        assert taken is None, "its machine may come back, and has all that was done"
        return
    assert taken.after == (0,)
    assert "was interrupted" in here.study.trials[0].user_attrs["reason"]
    # Whoever takes its own up again holds it as before.
    taken.lock.release()
    taken.trial.set_user_attr("given_up", True)
    assert there.claim().trial.number == 1
    assert not there.study.trials[1].user_attrs["given_up"]


@pytest.mark.slow
def test_losses_count_in_a_row_without_an_epoch_more(address, tmp_path):
    for number in range(4):
        machine = Machine(tmp_path / str(number), address)
        claim = machine.claim_after_two_looks() if number else machine.claim()
        assert claim is not None
        claim.trial.set_user_attr("epochs", number)
        machine.silence(claim)


def test_a_machine_that_was_stopped_keeps_its_sign_while_its_lock_says_that_it_lives(tmp_path):
    address = f"journal:{tmp_path / 'studies.journal'}"
    here, there = (Machine(tmp_path / "shared", address) for _ in "ab")
    claim = here.claim()
    claim.trial.set_user_attr("kernel", "another")  # whose locks are seen all the same, as by NFS 4
    here.silence(claim)
    assert there.claim_after_two_looks() is None
    number = claim.trial._trial_id
    assert there.signs.of([number]).keys() == {number}
    # And where its sign is gone, its heart begins again.
    here.signs.end(number)
    with Heart(here.signs, number, 0.1) as heart:
        heart._process.wait(timeout=60)
        Hold(here.study, claim.trial, heart, here.signs).glance()
        assert here.signs.of([number]).keys() == {number}
        assert heart._process.poll() is None


def test_a_machine_on_which_no_heart_can_beat_says_so(machines, monkeypatch):
    here = machines[0]
    claim = here.claim()
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with Heart(here.signs, claim.trial._trial_id, 0.0) as heart:
        hold = Hold(here.study, claim.trial, heart, here.signs)

        def glance_for_a_minute():
            for _ in range(600):
                hold.glance()
                time.sleep(0.1)

        with pytest.raises(UserError, match="cannot run here"):
            glance_for_a_minute()


def test_what_another_study_left_under_a_trials_number_is_moved_aside(tmp_path, address):
    machine = Machine(tmp_path, address)
    left = machine.folder / "trials" / "trial-000"
    left.mkdir(parents=True)
    (left / "config.yaml").write_text("of: another\n")
    running = lock_run(left)
    with pytest.raises(SettingsError, match="a process of an earlier study"):
        machine.claim()
    assert machine.states() == [TrialState.WAITING]
    running.release()
    with pytest.warns(UserWarning, match="was another study's"):
        assert machine.claim().trial.number == 0
    (aside,) = machine.folder.glob("of-another-study.*/trial-000/config.yaml")
    assert aside.read_text() == "of: another\n"
    assert not (left / "config.yaml").exists()


def test_a_database_that_was_away_makes_nobody_lost(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: now[0])
    watch = Watch(300.0)
    assert watch.look({1: Sign("before", 4000.0), 2: Sign("dead", 4000.0)}) == set()
    now[0] += 59
    assert watch.look({1: Sign("after", 29.0), 2: Sign("dead", 4059.0)}) == set()
    now[0] += 2
    assert watch.look({1: Sign("after", 31.0), 2: Sign("dead", 4061.0)}) == {2}


def test_time_zones_of_machines_do_not_count(address, tmp_path, monkeypatch):
    monkeypatch.setenv("PGTZ", "Pacific/Kiritimati")
    here = Machine(tmp_path / "here", address)
    claim = here.claim()
    for zone in ("Pacific/Pago_Pago", "UTC"):
        monkeypatch.setenv("PGTZ", zone)
        there = Machine(tmp_path / zone, address)
        (sign,) = there.signs.of([claim.trial._trial_id]).values()
        assert 0 <= sign.age < 60
        assert there.signs.beat(claim.trial._trial_id)


def test_signs_beside_a_journal_are_by_its_file_servers_clock(tmp_path, monkeypatch):
    here = Machine(tmp_path / "a", f"journal:{tmp_path / 'studies.journal'}")
    number = here.claim().trial._trial_id
    # A machine whose own clock is a day late.
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() - 86_400)
    assert 0 <= here.signs.of([number])[number].age < 60
    other = Machine(tmp_path / "b", here.address)
    assert other.signs.of([number]).keys() == {number}
    # Another study in the same journal has signs of its own.
    another = optuna.create_study(storage=open_storage(here.address, tmp_path), study_name="other")
    assert signs_of(another, here.address, here.folder).of([number]) == {}


def test_a_file_system_that_is_away_ends_no_trial(tmp_path):
    here = Machine(tmp_path / "a", f"journal:{tmp_path / 'studies.journal'}")
    number = here.claim().trial._trial_id
    place = here.signs._folder
    place.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        here.signs.beat(number)
    (tmp_path / "away").rename(place)
    assert here.signs.beat(number)
    here.signs.end(number)
    assert not here.signs.beat(number)


def test_a_machine_that_stops_while_it_is_alone_holds_nobody_up(server, tmp_path, monkeypatch):
    address = server.database()
    here, there = (Machine(tmp_path / name, address) for name in "ab")
    monkeypatch.setattr(results_storage, "_SECONDS_ALONE", 1)
    with ExitStack() as stopped:
        stopped.enter_context(pytest.raises(sqlalchemy.exc.DBAPIError))
        stopped.enter_context(alone_in(here.address, here.folder))
        began = time.monotonic()
        assert there.claim() is not None
        assert 0.5 < time.monotonic() - began < 60


def test_a_study_keeps_the_time_after_which_its_machines_are_lost(address, tmp_path):
    begin_study("tiny", QUESTION, address, tmp_path / "a", {}, 20.0)
    begin_study("tiny", QUESTION, address, tmp_path / "b", {})
    begin_study("tiny", QUESTION, address, tmp_path / "c", {}, 20.0)
    with pytest.raises(SettingsError, match="begun with 20, which all its machines must have"):
        begin_study("tiny", QUESTION, address, tmp_path / "d", {}, 30.0)
    with pytest.raises(SettingsError, match="not shared by machines"):
        begin_study("tiny", QUESTION, None, tmp_path / "e", {}, 20.0)


class SimulatedMachine(Site):
    """A site whose processes have a host name, a kernel and process numbers of their own."""

    def __init__(self, name, folder, start, address, runs=None, inside=()):
        super().__init__(folder, start, trials=1, epochs=4, baselines=["telea"])
        self.name, self.address, self.runs = name, address, runs or folder / "runs"
        self.inside = inside
        self.study = self.runs / "tiny"
        (folder / f"{name}.boot").write_text(f"{name}\n")

    def start(self, *options):
        setup = (
            f"echo {self.name} > /proc/sys/kernel/hostname && "
            f"mount --bind {self.folder / self.name}.boot /proc/sys/kernel/random/boot_id && "
            'exec "$@"'
        )
        return self._start(
            "sweep", "tiny", "--workers", "1", "--threads", "1", "--storage", self.address,
            "--lost-after", "8", "--runs", self.runs, *options, folder=self.folder,
            before=[
                *self.inside, "unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child",
                "--mount-proc", "sh", "-c", setup, "machine",
            ],
        )  # fmt: skip

    def trials(self):
        storage = open_storage(self.address, self.folder)
        return optuna.load_study(study_name="tiny", storage=storage).get_trials()


def can_simulate():
    found = subprocess.run(
        ["unshare", "--uts", "--mount", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True,
        check=False,
    )
    return found.returncode == 0


simulated = pytest.mark.skipif(
    not can_simulate(), reason="machines are simulated by namespaces, which need root on Linux"
)


def processes_of(process):
    """The process ids of a simulated machine: of the command, and of its heart."""
    found = [process.pid]
    for pid in found:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            found += [int(child) for child in children.read().split()]
    return found[1:]


@pytest.mark.slow
@simulated
def test_a_living_machine_in_a_shared_folder_is_left_alone_and_a_dead_one_gone_on_from(
    tmp_path, start, address
):
    one, two = (
        SimulatedMachine(name, tmp_path, start, address, tmp_path / "shared")
        for name in ("node-1", "node-2")
    )
    first = one.start()
    wait_until(first, lambda: one.is_resumable(0, 1))
    # As on a file system that keeps no locks.
    (one.study / "trials" / "trial-000" / "running.lock").unlink()
    second = two.start()
    wait_until(first, lambda: one.is_resumable(0, 2))
    os.killpg(first.pid, signal.SIGKILL)
    before, _ = first.communicate()
    after = ended(second)
    trials = two.trials()
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE]
    assert [trial.user_attrs["machine"] for trial in trials] == ["node-1", "node-2"]
    assert "machine node-1 gave no sign of life" in trials[0].user_attrs["reason"]
    assert "trial 1 stands in for trial 0, whose machine was lost, and goes on after" in after
    done = {epoch for _, epoch in epochs_trained(before)}
    assert {1, 2} <= done
    again = epochs_trained(after)
    assert again.keys() == all_epochs([1], 4) - {(1, epoch) for epoch in done}
    rows = read_photos(two.study / "trials" / "trial-001")
    left = read_photos(two.study / "trials" / "trial-000")
    assert set(rows.index.get_level_values("epoch")) == {1, 2, 3, 4}
    assert rows.loc[1].equals(left.loc[1])


@pytest.mark.slow
@simulated
def test_a_stopped_process_is_not_robbed_and_a_stopped_machine_leaves_its_files_alone(
    tmp_path, start, server
):
    address = server.database()
    one, two = (
        SimulatedMachine(name, tmp_path / name, start, address) for name in ("node-1", "node-2")
    )
    store = ("--artifacts", tmp_path / "store")
    first = one.start(*store)
    # The store has an epoch once the next one has begun.
    wait_until(first, lambda: one.is_resumable(0, 2))
    worker, heart = processes_of(first)
    os.kill(worker, signal.SIGSTOP)
    study = optuna.load_study(study_name="tiny", storage=open_storage(address, tmp_path))
    watch, signs = Watch(8.0), signs_of(study, address, one.study)
    for pause in (0, 9):  # longer than machines are waited for
        time.sleep(pause)
        seen = signs.of([trial._trial_id for trial in study.get_trials(deepcopy=False)])
        assert len(seen) == 1
        assert watch.look(seen) == set()
    os.kill(heart, signal.SIGSTOP)
    place = one.study / "trials" / "trial-000"
    stamps = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    taken = ended(two.start())
    assert "trial 1 stands in for trial 0" in taken
    assert "goes on after its epoch" in taken
    for process in (heart, worker):
        os.kill(process, signal.SIGCONT)
    said, _ = first.communicate(timeout=300)
    assert "trial 0 lost: taken for lost and ended" in said
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == stamps
    trials = two.trials()
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE]


@pytest.fixture
def link():
    """The wire to another host."""
    made = Link()
    yield made
    made.remove()


@pytest.fixture
def server_at_a_wire(link):
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    started = Server(found, Path(tempfile.mkdtemp(prefix="postgresql-")), link.here)
    yield started
    started.stop()


cut_off = pytest.mark.skipif(
    not can_be_cut(), reason="a network is cut between namespaces: root, and Debian's iproute2"
)


@pytest.mark.slow
@cut_off
def test_a_cut_network_is_waited_for_and_given_up_in_one_line(
    tmp_path, start, server_at_a_wire, link
):
    # The address may say itself how long: here eight seconds.
    address = f"{server_at_a_wire.database()}?tcp_user_timeout=8000&connect_timeout=5"
    machine = SimulatedMachine("node-1", tmp_path, start, address, inside=link.inside)
    first = machine.start()
    wait_until(first, lambda: machine.checkpoint(0, "epoch-001.pt").exists())
    link.cut()
    time.sleep(5)
    assert first.poll() is None
    link.mend()
    wait_until(first, lambda: machine.is_resumable(0, 2))
    link.cut()
    before, said = first.communicate(timeout=120)
    assert first.returncode == 2
    (line,) = said.splitlines()
    assert "the study's database failed" in line
    assert "the same command goes on" in line
    link.mend()
    after = machine.run()
    assert_complete(machine, 1)
    trained = epochs_trained(before, after)
    assert trained.keys() == all_epochs([0])
    assert sum(trained.values()) <= 5, "at most the epoch of the cut again"


@pytest.mark.slow
@cut_off
@simulated
def test_a_cut_between_a_machine_and_its_bucket_costs_the_wait(tmp_path, start, link, monkeypatch):
    for needed in BucketServer.needs:
        pytest.importorskip(needed, reason="the [cluster] and [cluster-test] extras are not here")
    bucket = BucketServer(link.here)
    try:
        for name, value in {**bucket.variables, "NO_PROXY": "*"}.items():
            monkeypatch.setenv(name, value)
        import boto3

        boto3.client("s3").create_bucket(Bucket="studies")
        address = f"journal:{tmp_path / 'studies.journal'}"
        machine = SimulatedMachine("node-1", tmp_path, start, address, inside=link.inside)
        process = machine.start("--artifacts", "s3://studies")
        wait_until(process, lambda: machine.checkpoint(0, "epoch-001.pt").exists())
        link.cut()
        time.sleep(15)  # the bucket's client gives up after some seconds
        assert process.poll() is None
        assert not machine.checkpoint(0, "epoch-004.pt").exists()
        link.mend()
        ended(process)
        (trial,) = machine.trials()
        assert trial.state is TrialState.COMPLETE
        assert trial.user_attrs["epochs_stored"] == 4
    finally:
        bucket.end()


@pytest.mark.slow
@cut_off
@simulated
def test_a_machine_that_was_cut_off_finds_its_trial_ended_and_takes_the_next(
    tmp_path, start, server_at_a_wire, link
):
    address = server_at_a_wire.database()
    one = SimulatedMachine("node-1", tmp_path / "a", start, address, inside=link.inside)
    two = SimulatedMachine("node-2", tmp_path / "b", start, address)
    store = ("--artifacts", tmp_path / "store")
    first = one.start(*store)
    wait_until(first, lambda: one.is_resumable(0, 2))
    link.cut()
    taken = ended(two.start())
    assert "trial 1 stands in for trial 0" in taken
    assert "goes on after its epoch" in taken
    place = one.study / "trials" / "trial-000"
    stamps = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    link.mend()
    said, errors = first.communicate(timeout=300)
    assert first.returncode == 0, errors
    assert "trial 0 lost: taken for lost and ended" in said
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == stamps
    trials = two.trials()
    assert [trial.state for trial in trials] == [TrialState.FAIL, TrialState.COMPLETE]


@pytest.mark.slow
def test_every_machine_has_all_results_where_files_come_together(server, tmp_path):
    address, store = server.database(), str(tmp_path / "store")
    changes = {"trials": 2, "epochs": 1, "goal": ["hole_l1", "hole_psnr"], "baselines": ["telea"]}
    options = {"storage": address, "artifacts": store}
    one = begin_tiny(tmp_path / "a", changes, **options)
    assert run_sweep(one, 1).is_whole
    # It says nothing of a store: the study does.
    other = begin_tiny(tmp_path / "b", changes, storage=address)
    results = run_sweep(other, 1)
    assert results.is_whole
    assert not results.elsewhere
    here, there = (open_study(sweep.folder, address) for sweep in (one, other))
    assert [run.name for run in there.ranked] == [run.name for run in here.ranked]
    assert there.results.drop(columns="checkpoint").equals(here.results.drop(columns="checkpoint"))
    for mine, fetched in zip(here.ranked, there.ranked, strict=True):
        assert fetched.folder.is_relative_to(tmp_path / "b")
        assert fetched.checkpoint.read_bytes() == mine.checkpoint.read_bytes()
        assert len(fetched.pictures) == len(mine.pictures) > 0
        assert fetched.settings_text == mine.settings_text
    assert (other.folder / "board.csv").exists()
    # Another trial is trained here, and both have three.
    more = begin_tiny(tmp_path / "b", changes, storage=address, trials=3)
    run_sweep(more, 1)
    assert len(open_study(one.folder, address).ranked) == 3


KEEPS_EVERY_STEP = ["--fit.checkpoint_minutes=1e-6", "--data.samples_per_epoch=16"]


@pytest.fixture
def begin_through_a_store(tmp_path):
    """Begins a sweep in a folder of its own, whose files meet those of others in a store alone.

    Photos lie at a path of their own, too.
    """

    def begin(folder, changes):
        return begin_tiny(
            tmp_path / folder,
            changes,
            photos=put_photos(tmp_path / folder / "photos"),
            settings=KEEPS_EVERY_STEP,
            storage=f"journal:{tmp_path / 'studies.journal'}",
            artifacts=str(tmp_path / "store"),
            lost_after=5.0,
        )

    return begin


def lose(sweep, epoch, step, monkeypatch):
    """Run a sweep whose machine is lost at a step."""

    def fit_until(*given, on_step, **more):
        def count(progress):
            on_step(progress)
            if (progress.epoch, progress.step) == (epoch, step):
                raise KeyboardInterrupt

        return fit_run(*given, on_step=count, **more)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "fit_run", fit_until)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep, 1)


def assert_ends_as_undisturbed(sweep, trial, changes, folder):
    """Run a sweep to its end; returns what it said."""
    photos = put_photos(folder / "photos")
    whole = begin_tiny(folder, changes, photos=photos, settings=KEEPS_EVERY_STEP)
    run_sweep(whole, 1)
    console = Console(file=io.StringIO(), width=200)
    assert run_sweep(sweep, 1, console).is_whole
    there = sweep.folder / "trials" / trial
    assert_equal(there, whole.folder / "trials" / "trial-000")
    assert not (there / "checkpoints" / "unfinished.ckpt").exists()
    return console.file.getvalue()


@pytest.mark.slow
def test_only_through_a_store_a_lost_machines_trial_goes_on_within_its_epoch(
    begin_through_a_store, tmp_path, monkeypatch
):
    changes = {"trials": 1, "epochs": 1}
    lose(begin_through_a_store("a", changes), 1, 3, monkeypatch)
    other = begin_through_a_store("b", changes)
    said = assert_ends_as_undisturbed(other, "trial-001", changes, tmp_path / "whole")
    assert "stands in for trial 0, whose machine was lost, and goes on within its first" in said
    assert "Epoch 1 goes on after its step 2" in said


@pytest.mark.slow
def test_a_stand_in_that_is_lost_too_hands_on_all_that_it_had(
    begin_through_a_store, tmp_path, monkeypatch
):
    changes = {"trials": 1, "epochs": 2}
    for folder, step in (("a", 2), ("b", 3)):
        lose(begin_through_a_store(folder, changes), 2, step, monkeypatch)
    last = begin_through_a_store("c", changes)
    said = assert_ends_as_undisturbed(last, "trial-002", changes, tmp_path / "whole")
    assert "Epoch 2 goes on after its step 2" in said
    # It is pruned by all that it had.
    assert last.open().get_trials()[2].intermediate_values.keys() == {1, 2}


def test_a_store_that_is_away_within_an_epoch_costs_a_warning(begin_through_a_store, monkeypatch):
    def away(*given):
        raise EnvironmentFaultError("the artifact store cannot be reached")

    monkeypatch.setattr(worker, "store_unfinished", away)
    with pytest.warns(UserWarning, match=r"trial 0 .* is not in the store \(the artifact store"):
        assert run_sweep(begin_through_a_store("a", {"trials": 1, "epochs": 1}), 1).is_whole
