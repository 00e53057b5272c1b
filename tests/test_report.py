"""`python -m lab.report` as a person uses it."""

import pytest

from lab.report import main
from tests.reporting.studies import write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("runs") / "weights")


def test_the_page_lies_in_the_study_unless_told_otherwise(study, tmp_path, capsys):
    assert main([str(study)]) == 0
    assert (study / "report" / "index.html").exists()
    assert f"Open {study / 'report' / 'index.html'} in a browser" in capsys.readouterr().out
    assert main([str(study), "--single-file", "-o", str(tmp_path / "review.html")]) == 0
    assert (tmp_path / "review.html").exists()


def test_errors_are_words_and_status_2(tmp_path, capsys):
    assert main([str(tmp_path / "nothing")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_options_that_do_not_go_together_are_refused(study, capsys):
    for options in (["--wandb", "-o", "x"], ["--entity", "me"]):
        with pytest.raises(SystemExit):
            main([str(study), *options])
    assert "go with --wandb" in capsys.readouterr().err


def test_wandb_without_a_login_says_how_and_names_the_way_on(study, start, monkeypatch, tmp_path):
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    # A process of its own: W&B remembers within one that somebody was logged in.
    process = start("report", study, "--wandb", folder=tmp_path, tracking="online", cold=True)
    _, error = process.communicate()
    assert process.returncode == 2
    assert "wandb login" in error
    assert f"python -m lab.report {study}" in error
