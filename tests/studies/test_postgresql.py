"""Studies on a real PostgreSQL server."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from optuna.trial import TrialState

from lab import report, select
from lab.results import ResultsError, note_storage, open_study
from lab.studies import Question, Search, run_sweep
from lab.studies.storage import begin_study, claim_trial
from tests.studies.conftest import begin_tiny
from tests.studies.servers import PASSWORD

QUESTION = Question(
    question="Which?",
    search={"x": Search(low=0.0, high=1.0)},
    goal=["hole_l1", "hole_psnr"],
    first=[{"x": 0.5}],
)


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
