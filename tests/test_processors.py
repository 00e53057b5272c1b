"""How many processors there are for this process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import processors


@pytest.fixture
def limit(tmp_path, monkeypatch):
    """Puts the process, allowed on eight processors, into control groups with limits."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(processors, "_CONTROL_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(processors, "_OWN_GROUPS", tmp_path / "own")

    def put(own, **limits):
        (tmp_path / "own").write_text(own)
        for group, content in limits.items():
            folder = tmp_path / "groups" / group.replace("__", "/").removeprefix("root")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cpu.max").write_text(content + "\n")

    return put


def test_what_the_process_may_not_run_on_does_not_count(monkeypatch):
    allowed = os.sched_getaffinity(0)
    one = min(allowed)
    try:
        os.sched_setaffinity(0, {one})
        assert processors.usable_processors() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("limits", "count"),
    [
        ({}, 8),
        ({"a__b": "max 100000"}, 8),
        ({"a__b": "300000 100000"}, 3),
        ({"a__b": "150000 100000"}, 1),
        ({"a__b": "20000 100000"}, 1),
        ({"a__b": "900000 100000"}, 8),
        ({"a__b": "max 100000", "a": "200000 100000"}, 2),
        ({"a__b": "200000 100000", "a": "500000 100000"}, 2),
        ({"a__b__c": "200000 100000", "other": "100000 100000"}, 8),
    ],
)
def test_a_limit_of_time_counts_wherever_above_the_process_it_is_set(limit, limits, count):
    limit("4:cpu:/v1\n0::/a/b\n", **limits)
    assert processors.usable_processors() == count


def test_in_a_container_the_limit_lies_at_the_root(limit):
    limit("0::/\n", root="400000 100000")
    assert processors.usable_processors() == 4


def test_without_control_groups_all_that_is_allowed_counts(limit):
    assert processors.usable_processors() == 8


@pytest.mark.parametrize(
    ("said", "waits"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ],
)
def test_threads_sleep_soon_unless_a_person_says_otherwise(said, waits):
    program = "import os, lab; print(os.environ.get('GOMP_SPINCOUNT'))"
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PATH": "", **said}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert done.stdout.decode().strip() == waits
