"""Blind votes: what is drawn, kept, refused and merged, and the ranking that comes of it."""

import json

import numpy as np
import pytest

from lab.results import ResultsError, open_study
from lab.selection.checkpoints import completing_runs, is_evaluation
from lab.selection.votes import (
    Vote,
    add_vote,
    completions_of,
    draw_pairs,
    pair_id,
    read_votes,
    vote,
)
from lab.statistics import rank_votes
from tests.selection.run_folders import write_run, write_study, write_untrained, write_visuals

COMPLETIONS = {photo: [f"epoch-{epoch:03d}" for epoch in range(1, 6)] for photo in "abc"}


def test_pairs_come_once_shuffled_by_the_seed_and_evenly():
    pairs = draw_pairs(COMPLETIONS, 30, seed=1)
    assert len({pair.pair for pair in pairs}) == 30, "three photos of ten pairs each: all of them"
    assert pairs == draw_pairs(COMPLETIONS, 30, seed=1)
    assert len(draw_pairs(COMPLETIONS, 50, seed=1)) == 30, "there are no more"
    assert pairs != draw_pairs(COMPLETIONS, 30, seed=2)
    left = sum(pair.left < pair.right for pair in pairs)
    assert 8 <= left <= 22
    few = draw_pairs(COMPLETIONS, 10, seed=0)
    shown = [name for pair in few for name in (pair.left, pair.right)]
    assert {shown.count(name) for name in set(shown)} == {4}


def test_pairs_of_a_large_study_are_drawn_at_once():
    names = [f"trial-{trial:03d}/epoch-{epoch:03d}" for trial in range(40) for epoch in range(12)]
    assert len(draw_pairs(dict.fromkeys("abcdef", names), 60, seed=0)) == 60


def test_only_the_wanted_checkpoints_are_shown():
    wanted = ["epoch-001", "epoch-004"]
    pairs = draw_pairs(COMPLETIONS, 10, seed=0, checkpoints=wanted)
    assert len(pairs) == 3
    assert {name for pair in pairs for name in (pair.left, pair.right)} == set(wanted)


def test_a_pairs_name_hides_what_it_shows():
    assert pair_id("a", "x", "y") == pair_id("a", "y", "x") != pair_id("b", "x", "y")
    assert len(pair_id("a", "x", "y")) == 16


def test_what_lies_on_disk_can_be_voted_on(tmp_path):
    study = write_study(tmp_path, [[0.5, 0.6], [0.5]])
    write_visuals(study / "trials" / "trial-000", ["a"], [1, 2])
    write_visuals(study / "trials" / "trial-001", ["a", "b"], [1])
    assert completions_of(open_study(study)) == {
        "a": ["trial-000/epoch-001", "trial-000/epoch-002", "trial-001/epoch-001"],
        "b": ["trial-001/epoch-001"],
    }
    for name, epoch in (("baselines/telea", 0), ("applied/tiled", 2)):
        write_untrained(study / name, epoch, [0.4] * 20)
        write_visuals(study / name, ["b"], [epoch])
    assert completions_of(open_study(study))["b"] == [
        "trial-001/epoch-001",
        "applied/tiled/epoch-002",
        "baselines/telea/epoch-000",
    ]


def test_votes_of_two_people_merge_and_a_later_vote_replaces_an_earlier(tmp_path):
    run = write_run(tmp_path, [0.5, 0.6])
    first, second = draw_pairs(COMPLETIONS, 2, seed=0)
    for pair, choice, voter in (
        (first, "left", "anna"),
        (second, "tie", "anna"),
        (first, "right", "bo"),
        (first, "right", "anna"),
    ):
        add_vote(run, vote(pair, choice, voter))
    assert len((run / "votes" / "anna.jsonl").read_text().splitlines()) == 3, "files only grow"
    found = {(given.voter, given.pair): given.choice for given in read_votes(run)}
    assert found == {
        ("anna", first.pair): "right",
        ("anna", second.pair): "tie",
        ("bo", first.pair): "right",
    }


def test_a_line_has_the_documented_keys(tmp_path):
    run = write_run(tmp_path, [0.5])
    add_vote(run, vote(draw_pairs(COMPLETIONS, 1, seed=0)[0], "left", "anna"))
    line = json.loads((run / "votes" / "anna.jsonl").read_text())
    keys = ["version", "pair", "photo", "left", "right", "choice", "voter", "time"]
    assert list(line) == keys
    assert line["version"] == 1
    assert line["time"].endswith("Z")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"choice": "both"}, "choice 'both'"),
        ({"voter": "bo"}, "voter is 'bo'"),
        ({"pair": "0" * 16}, "does not belong"),
        ({"version": 2}, "version"),
        ({"time": "yesterday"}, "'yesterday'"),
        ({"photo": 3}, "texts"),
        ({"extra": "x"}, "unexpected"),
    ],
)
def test_a_line_that_is_no_vote_is_named(tmp_path, change, said):
    run = write_run(tmp_path, [0.5])
    add_vote(run, vote(draw_pairs(COMPLETIONS, 1, seed=0)[0], "left", "anna"))
    path = run / "votes" / "anna.jsonl"
    with path.open("a") as file:
        file.write(json.dumps({**json.loads(path.read_text()), **change}) + "\n")
    with pytest.raises(ResultsError, match=said) as raised:
        read_votes(run)
    assert f"line 2 of {path}" in str(raised.value)


def test_half_a_line_is_named(tmp_path):
    run = write_run(tmp_path, [0.5])
    (run / "votes").mkdir()
    (run / "votes" / "anna.jsonl").write_text('{"version": 1, "pa')
    with pytest.raises(ResultsError, match="line 1 of"):
        read_votes(run)


@pytest.mark.parametrize("voter", ["../anna", "", "a b", "x" * 41])
def test_a_voters_name_is_a_plain_word(tmp_path, voter):
    with pytest.raises(ResultsError, match="letters"):
        add_vote(tmp_path, vote(draw_pairs(COMPLETIONS, 1, seed=0)[0], "left", voter))


def simulated_votes(strengths, count, seed, ties=0.5):
    """Votes drawn from Davidson's model."""
    draws = np.random.default_rng(seed)
    votes = []
    for index in range(count):
        left, right = draws.permutation(len(strengths))[:2]
        a, b = strengths[left], strengths[right]
        odds = np.exp([a, b, np.log(ties) + (a + b) / 2])
        choice = ("left", "right", "tie")[int(draws.choice(3, p=odds / odds.sum()))]
        votes.append(Vote(str(index), str(index % 6), f"e{left}", f"e{right}", choice, "anna", ""))
    return votes


def test_many_votes_find_the_true_order():
    ranked = rank_votes(simulated_votes([0.0, 1.5, 0.7, -0.8], 600, seed=0))
    assert [item.checkpoint for item in ranked] == ["e1", "e2", "e0", "e3"]
    assert ranked[0].probability > 0.95
    assert sum(item.probability for item in ranked) == pytest.approx(1.0)
    assert all(item.low < item.wins < item.high for item in ranked)


def test_intervals_hold_the_true_share_about_as_often_as_they_say():
    held = []
    for seed in range(60):
        strengths = np.random.default_rng(seed).normal(0, 1, 5)
        truth = 1 / (1 + np.exp(-(strengths - strengths.mean())))
        for item in rank_votes(simulated_votes(strengths, 80, seed=seed)):
            held.append(item.low <= truth[int(item.checkpoint[1:])] <= item.high)
    print(f"intervals hold {np.mean(held):.3f} of {len(held)}")
    assert 0.91 <= np.mean(held) <= 0.99


def test_one_that_never_lost_and_one_vote_alone_stay_finite():
    votes = [Vote("0", "a", "e0", "e1", "left", "anna", "")]
    (best, worst) = rank_votes(votes)
    assert (best.checkpoint, worst.checkpoint) == ("e0", "e1")
    assert 0.5 < best.wins < 0.9
    assert best.low < 0.5, "one vote proves nothing"
    only_ties = [Vote("0", "a", "e0", "e1", "tie", "anna", "")] * 5
    assert {round(item.wins, 6) for item in rank_votes(only_ties)} == {0.5}


def test_networks_alone_that_were_evaluated_are_an_evaluation(tmp_path):
    for name in ("one", "two"):
        write_untrained(tmp_path / "networks" / name, 3, [0.5] * 4)
    study = open_study(tmp_path)
    assert is_evaluation(study)
    assert list(completing_runs(study)) == ["networks/one", "networks/two"]
