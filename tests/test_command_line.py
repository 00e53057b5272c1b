"""A command whose reader goes, as ``| head`` does, ends without a word, and nothing else does."""

import os
import subprocess
import sys

import pytest

from lab.command_line import complain
from tests.tiny import PROJECT

# A command that takes every error of a file for one of the disk, and then would go on.
LONG = """
import sys
from lab.command_line import run_command

def main():
    try:
        for number in range(100_000):
            print("line", number)
    except OSError:
        print("error: taken for the disk's", file=sys.stderr)
    print("went on", file=sys.stderr)
    return 0

run_command(main)
"""

OTHER_PIPE = """
import os
from lab.command_line import run_command

def main():
    reader, writer = os.pipe()
    os.close(reader)
    os.write(writer, b"to nobody")

run_command(main)
"""


def without_a_reader(*arguments):
    """Run Python with an output that nobody reads; returns its status and what it complained."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            cwd=PROJECT,
            text=True,
            timeout=120,
        )
    finally:
        os.close(writer)
    return ended.returncode, ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "lab.inpaint", "--method", "list"],
        ["-m", "lab.train", "--help"],
        ["-m", "lab.train", "--print-config"],
        ["-m", "data_prep.clean_plate", "--help"],
        ["-c", LONG],
    ],
    ids=["rich", "help", "settings", "data_prep", "long"],
)
def test_a_command_ends_quietly_where_nobody_reads_on(arguments):
    assert without_a_reader(*arguments) == (141, "")


def test_in_a_real_pipeline_the_first_line_arrives_and_nothing_else_is_said():
    command = '"$0" -c "$1" | head -n 1; echo "${PIPESTATUS[0]}"'
    ended = subprocess.run(
        ["bash", "-c", command, sys.executable, LONG], capture_output=True, text=True, cwd=PROJECT
    )
    assert (ended.stdout, ended.stderr) == ("line 0\n141\n", "")


def test_another_pipe_that_breaks_is_no_quiet_end():
    status, said = without_a_reader("-c", OTHER_PIPE)
    assert status == 1
    assert "BrokenPipeError" in said


def test_what_is_read_to_its_end_is_whole():
    ended = subprocess.run([sys.executable, "-c", LONG], capture_output=True, cwd=PROJECT)
    assert ended.returncode == 0
    assert ended.stdout.count(b"\n") == 100_000


def test_why_a_command_ends_is_one_line_whatever_a_library_quotes(capsys):
    complain(ValueError('photos.csv is damaged ("1\n\n2"): remove it'))
    assert capsys.readouterr().err == 'error: photos.csv is damaged ("1 2"): remove it\n'


def test_what_a_library_quotes_is_cut_to_three_screens(capsys):
    complain(ValueError(f"photos.csv is damaged ({'x' * 9000}): remove it"))
    said = capsys.readouterr().err
    assert said.startswith("error: photos.csv is damaged (xxx")
    assert said.endswith("xxx): remove it\n")
    assert len(said) < 3100


WARNING = """
import warnings
from lab import command_line
def main():
    here = (UserWarning, {file!r}, 7)
    warnings.warn_explicit("a term\\n\\x1b[31m changes nothing", *here)
    return 0
command_line.run_command(main)
"""


def said_in_a_warning(file):
    ended = subprocess.run(
        [sys.executable, "-c", WARNING.format(file=str(file))],
        capture_output=True,
        text=True,
        cwd=PROJECT,
    )
    assert ended.returncode == 0
    return ended.stderr


def test_a_warning_of_ours_is_one_line_without_a_place_in_the_code():
    said = said_in_a_warning(PROJECT / "lab" / "training" / "pulls.py")
    assert said.startswith("warning: a term ")
    assert said.endswith(" changes nothing\n")
    assert "\x1b" not in said


def test_a_librarys_warning_keeps_its_place():
    assert "torch/nn/modules/conv.py:7: UserWarning:" in said_in_a_warning(
        "torch/nn/modules/conv.py"
    )
