"""Studies on a real PostgreSQL server, which the tests start on loopback."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from optuna.trial import TrialState

from lab import report, select
from lab.results import ResultsError, note_storage, open_study
from lab.studies import Question, Search, run_sweep
from lab.studies.storage import begin_study, claim_trial
from tests.studies.conftest import begin_tiny

PASSWORD = "p4ss-w0rd"
QUESTION = Question(
    question="Which?",
    search={"x": Search(low=0.0, high=1.0)},
    goal=["hole_l1", "hole_psnr"],
    first=[{"x": 0.5}],
)


class Server:
    """A PostgreSQL server in a folder of its own, as its own user where the tests run as root."""

    def __init__(self, programs, folder):
        self.programs, self.folder = programs, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.user = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
            self.user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        (folder / "password").write_text(PASSWORD)
        self._run(
            "initdb", "-D", folder / "data", "-U", "lab", "-A", "scram-sha-256", "--no-sync",
            "--pwfile", folder / "password",
        )  # fmt: skip
        self.process = subprocess.Popen(
            [
                programs / "postgres", "-D", folder / "data", "-p", str(self.port),
                "-h", "127.0.0.1", "-k", folder, "-c", "fsync=off",
            ],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.user,
        )  # fmt: skip
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self._address("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return

    def database(self):
        """The address of a new and empty database."""
        name = f"study_{time.monotonic_ns()}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._address(name)

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # which does not wait for who is connected
        self.process.wait(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _address(self, name):
        return f"postgresql://lab:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def _run(self, program, *arguments):
        command = [self.programs / program, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self.user)


@pytest.fixture(scope="module")
def server():
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    # Not pytest's folder, into which only this user may look.
    started = Server(folders[-1], Path(tempfile.mkdtemp(prefix="postgresql-")))
    yield started
    started.stop()


@pytest.fixture
def address(server):
    return server.database()


def test_machines_that_begin_on_an_empty_database_at_once_share_one_study(address, tmp_path):
    def begin(number):
        folder = tmp_path / f"machine-{number}" / "tiny"
        study = begin_study("tiny", QUESTION, address, folder, {"data.size": "32"})
        note_storage(folder, "tiny", address)
        return claim_trial(study, QUESTION, address, folder, 6, 0)

    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(begin, range(6)))
    assert sorted(claim.trial.number for claim in claims) == list(range(6))
    assert sum(claim.values == {"x": 0.5} for claim in claims) == 1


def test_no_error_and_no_file_shows_the_password(address, tmp_path):
    wrong = address.replace("@127", "-not@127")
    with pytest.raises(ResultsError) as caught:
        begin_study("tiny", QUESTION, wrong, tmp_path / "tiny", {})
    assert "lab:***@127.0.0.1" in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    begin_study("tiny", QUESTION, address, tmp_path / "tiny", {})
    note_storage(tmp_path / "tiny", "tiny", address)
    assert (tmp_path / "tiny" / "study.json").exists()
    for path in (tmp_path / "tiny").iterdir():
        assert PASSWORD not in path.read_text()


def test_a_study_is_run_reported_and_selected_from(address, tmp_path, capsys):
    changes = {"goal": ["hole_l1", "hole_psnr"], "trials": 2, "epochs": 1}
    sweep = begin_tiny(tmp_path, changes, storage=address)
    assert run_sweep(sweep, 1).is_whole
    folder, given = str(sweep.folder), ["--storage", address]
    assert report.main([folder, *given]) == 0
    page = sweep.folder / "report" / "index.html"
    before = page.read_bytes()
    capsys.readouterr()
    # Without the password, nobody can know what the study holds: the page stays as it is.
    assert report.main([folder]) == 2
    said = capsys.readouterr().err
    assert "by --storage" in said
    assert "***" in said
    assert page.read_bytes() == before

    assert select.main([folder, *given]) == 0
    assert "hole_l1" in capsys.readouterr().out
    study = open_study(sweep.folder, address)
    assert study.goals == ["hole_l1", "hole_psnr"]
    assert [run.state for run in study.trials] == ["complete", "complete"]


def test_a_lost_connection_leaves_the_trial_to_be_taken_up(address, tmp_path):
    sweep = begin_tiny(tmp_path, {"trials": 1, "epochs": 1}, storage=address)
    claim = claim_trial(sweep.open(), sweep.question, address, sweep.folder, 1, 0)
    claim.lock.release()
    name = address.rpartition("/")[2]
    with psycopg.connect(address.replace(name, "postgres"), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )
    assert run_sweep(sweep, 1).is_whole
    assert [trial.state for trial in sweep.open().get_trials()] == [TrialState.COMPLETE]
