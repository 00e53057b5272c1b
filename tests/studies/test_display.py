"""What a sweep says while it runs: names as names, the best so far, and the time left."""

import pytest

from lab.runs import StepProgress
from lab.studies.display import SweepDisplay
from lab.studies.question import Question, Search
from lab.studies.worker import TrialEvent
from lab.terminal import Terminal
from lab.tracking import EpochScore

QUESTION = Question("?", {"a": Search(low=0, high=1)}, "hole_l1", trials=3, epochs=40)


@pytest.fixture
def display():
    return SweepDisplay(QUESTION, finished_trials=1, console=Terminal())


def test_what_a_reason_holds_is_no_markup(display, capsys):
    reason = "data.guides is [edges, noise], and the network reads [edges]"
    display.tell(TrialEvent(0, 1, "invalid", {"a": 0.5}, reason=reason))
    assert capsys.readouterr().out == f"trial 1 invalid: {reason} (a 0.5)\n"


def test_the_best_is_of_earlier_calls_too(display, capsys):
    display.note_value(0, 0.1)
    display.tell(TrialEvent(0, 1, "epoch", score=EpochScore(3, {"hole_l1": 0.2})))
    assert "trial 1 epoch 3/40: hole_l1 0.2, best 0.1," in capsys.readouterr().out
    display.tell(TrialEvent(0, 1, "epoch", score=EpochScore(4, {"hole_l1": 0.05})))
    assert "best 0.05," in capsys.readouterr().out


def test_what_a_trial_had_when_it_was_taken_up_is_not_counted_as_done_here(
    display, capsys, monkeypatch
):
    now = [display._began]
    monkeypatch.setattr("lab.studies.display.time.monotonic", lambda: now[0])

    def tell_step(epoch, kind="step"):
        progress = StepProgress(epoch, 40, 10, 10, 1.0)
        display.tell(TrialEvent(0, 1, kind, progress=progress))

    tell_step(20, "begun")
    now[0] += 100
    tell_step(30)  # a quarter of a trial in 100 seconds; one and a quarter are left
    assert display._time_left() == "time left at most 8:20"
    now[0] += 100
    tell_step(40)
    display.tell(TrialEvent(0, 1, "complete"))
    assert display._time_left() == "time left 6:40"
