"""The fault campaign still runs: a few cases of each of its checks, and what they rest on."""

import os
import shutil
import signal
import sys
import time

import pytest

from tests.campaign import CHECKS, NotHere, contained, inputs
from tests.campaign.checks import Asked, Case, Check
from tests.campaign.mutations import changed


def names(checks):
    return [pytest.param(check, id=check.name) for check in checks]


@pytest.mark.slow
@pytest.mark.parametrize("check", names(check for check in CHECKS if check.smoke))
def test_a_few_cases_of_each_check_find_nothing(check):
    said = []
    try:
        tally = check.tried(0, range(check.smoke), 1, said.append)
    except NotHere as reason:
        pytest.skip(str(reason))
    assert tally.tried > 0
    assert tally.findings == []
    assert said == []


def test_a_finding_says_what_repeats_it():
    def run(asked):
        yield Case(7, "a photo", ["hung"])
        yield Case(8, "a mask")

    said = []
    tally = Check("inputs", "no hang", 2, run).tried(5, range(2), 1, said.append)
    assert (tally.tried, tally.broken, tally.findings) == (2, 1, ["a photo: hung"])
    assert "python -m tests.campaign --only inputs --seed 5 --case 7" in said[0]


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.png", b"\x89PNG"), ("a.yaml", b"a: 1\nb: 2"), ("a.pt", b"PK"), ("a.tar", bytes(1024))],
)
def test_a_seed_gives_the_same_changes_whichever_other_cases_are_tried(tmp_path, name, data):
    asked = Asked("inputs", 3, range(5), tmp_path)
    once = [changed(data, name, asked.draws(case)) for case in range(5)]
    assert [changed(data, name, asked.draws(case)) for case in (4, 3)] == once[:2:-1]
    assert len(set(once)) > 1


def fails(arguments):
    raise KeyError("x")


def dies(arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def shows(arguments):
    print("\x1b[2J")
    return 0


def waits(arguments):
    time.sleep(60)


def takes(arguments):
    kept = b"x" * (3 * 2**26)
    return len(kept) * 0


def complains(arguments):
    print("error: no such photo", file=sys.stderr)
    return 2


@pytest.mark.parametrize(
    ("main", "found"),
    [
        (fails, ["ended with status 1, not 0 or 2", "traceback: KeyError: 'x'"]),
        (waits, ["hung"]),
        (takes, ["took 0.2 GiB"]),
        (lambda arguments: 2, ["status 2 without a last line"]),
        (dies, ["signal 9"]),
        (shows, ["an escape sequence"]),
        (complains, []),
    ],
)
def test_what_breaks_a_promise_is_found(tmp_path, monkeypatch, main, found):
    monkeypatch.setattr(contained, "MOST_TAKEN", 2**27)
    outcome = contained.call(main, (), tmp_path, seconds=5.0)
    said = contained.complaints(outcome)
    assert len(said) == len(found), said
    assert all(expected in one for expected, one in zip(found, said, strict=True))


def test_half_written_files_are_found(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".0123456789abcdef.partial").touch()
    (tmp_path / ".hidden").touch()
    assert contained.litter(tmp_path) == ["left a/.0123456789abcdef.partial half-written"]


@pytest.mark.slow
def test_whole_inputs_are_taken(tmp_path, monkeypatch):
    """Else it would show nothing that changed ones are refused."""
    material = tmp_path / "material"
    inputs.make_material(material)
    contained.import_commands()
    monkeypatch.setattr(inputs, "changed", lambda data, name, draws: data)
    ended = []
    call = inputs.call
    monkeypatch.setattr(inputs, "call", lambda *words: ended.append(call(*words)) or ended[-1])
    first = {name: inputs.ROUND.index(name) for name in inputs.kinds()}
    for name, number in first.items():
        case = inputs.try_case(Asked("inputs", 0, range(1), tmp_path), material, number)
        assert case.findings == [], name
        assert ended[-1].status == 0, (name, ended[-1].err)
    shutil.rmtree(material)
