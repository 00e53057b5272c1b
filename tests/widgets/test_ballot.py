"""Blind votes as the browser sends them, and what is kept."""

import numpy as np
import pytest
from PIL import Image

from lab.results import ResultsError
from lab.selection.votes import read_votes
from lab.widgets import Ballot
from tests.reporting.studies import colour_of, write_run, write_study


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path / "alone", ("cat", "lake"), epochs=3)
    return tmp_path / "alone"


def send(ballot, choice):
    """A message of the page, as ipywidgets hands it on."""
    ballot._handle_custom_msg({"choice": choice}, [])


def colour(data, folder):
    path = folder / "shown.png"
    path.write_bytes(data)
    return np.asarray(Image.open(path), float)[-8:, -8:].mean(axis=(0, 1))


def test_each_vote_is_about_the_pictures_that_were_shown(run, tmp_path):
    ballot = Ballot(run, "anna", count=6)
    shown = []
    for choice in ("left", "right", "tie"):
        shown.append((colour(ballot.left, tmp_path), colour(ballot.right, tmp_path)))
        send(ballot, choice)
    votes = read_votes(run)
    assert [given.choice for given in votes] == ["left", "right", "tie"]
    for given, sides in zip(votes, shown, strict=True):
        photo = ("cat", "lake").index(given.photo)
        for name, seen in zip((given.left, given.right), sides, strict=True):
            expected = colour_of(photo, int(name.removeprefix("epoch-")))
            assert abs(seen - expected).max() < 8, "the grain averages out"


def test_nothing_that_is_sent_to_the_page_names_a_checkpoint(run):
    ballot = Ballot(run, "anna", count=6)
    for _ in range(6):
        state = {name: value for name, value in ballot.get_state().items() if name[0] != "_"}
        words = str({k: v for k, v in state.items() if not isinstance(v, bytes)})
        assert not any(word in words for word in ("epoch", "cat", "lake"))
        send(ballot, "tie")
    assert ballot.status == "6 votes are in: thank you"


def test_back_shows_the_last_pair_and_the_later_vote_counts(run):
    ballot = Ballot(run, "anna", count=6)
    first = ballot.left
    send(ballot, "left")
    send(ballot, "back")
    assert ballot.left == first
    send(ballot, "right")
    (given,) = read_votes(run)
    assert given.choice == "right"


def test_another_day_goes_on_with_the_pairs_that_are_left(run):
    send(Ballot(run, "anna", count=4), "left")
    later = Ballot(run, "anna", count=4)
    assert later.status == "pair 1 of 3: which looks better?"
    for _ in range(3):
        send(later, "tie")
    assert len(read_votes(run)) == 4
    assert Ballot(run, "anna", count=4).status == "you voted on all of it"
    assert Ballot(run, "ben", count=4).status.startswith("pair 1 of 4")


def test_a_vote_after_the_last_is_none(run):
    ballot = Ballot(run, "anna", count=1)
    send(ballot, "left")
    send(ballot, "left")
    assert len(read_votes(run)) == 1
    with pytest.raises(ResultsError, match="every pair"):
        ballot.choose("left")


def test_a_name_that_will_not_do_is_told_on_the_page(run):
    ballot = Ballot(run, "not a name!", count=2)
    send(ballot, "left")
    assert ballot.status.startswith("not kept")
    assert "letters" in ballot.status
    assert read_votes(run) == []


def test_a_single_epoch_gives_nothing_to_vote_on(tmp_path):
    write_run(tmp_path / "short", ("cat",), epochs=1)
    with pytest.raises(ResultsError, match="two checkpoints"):
        Ballot(tmp_path / "short", "anna")


def test_methods_meet_the_trials_of_a_study(tmp_path):
    folder = write_study(tmp_path / "study", trials=2, epochs=1)  # and Telea
    ballot = Ballot(folder, "anna", count=6)
    for _ in range(6):
        send(ballot, "left")
    shown = {name for given in read_votes(folder) for name in (given.left, given.right)}
    assert shown == {
        "trial-000/epoch-001",
        "trial-001/epoch-001",
        "baselines/Telea/epoch-000",
    }
