"""Whatever was done to a study's files, the commands that read them answer in one line."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from lab import report, select, sync
from lab.results.study import COST_COLUMNS
from lab.selection.votes import Vote, add_vote, pair_id
from tests.selection.run_folders import write_study, write_visuals

SETTINGS = "model: {network: {class_path: lab.networks.RFR}}\nfit: {epochs: 2}\n"
RECORD = {"id": "0123456789abcdef", "photos": "digest", "torch": "2.13.0"}


def write_damageable(folder):
    """A small study with a file of every kind that the commands here read; returns its folder."""
    write_study(folder, [[0.5, 0.6], [0.4, 0.7]])
    for number in (0, 1):
        run = folder / "trials" / f"trial-{number:03d}"
        (run / "config.yaml").write_text(SETTINGS)
        (run / "run.json").write_text(json.dumps(RECORD))
        write_visuals(run, ["photo0"], [1, 2])
        for name in ("hole", "truth"):
            Image.new("RGB", (8, 8), (9, 9, 9)).save(run / "visuals" / "photo0" / f"{name}.png")
    sides = ("trial-000/epoch-001", "trial-001/epoch-001")
    pair = pair_id("photo0", *sides)
    add_vote(folder, Vote(pair, "photo0", *sides, "left", "ann", "2026-01-01T00:00:00Z"))
    (folder / "results.csv").write_text("trial,hole_ssim\ntrial-000,0.6\n")
    costs = "trial-000,1000,2000,3.5,4000\n"
    (folder / "board.csv").write_text(f"run,{','.join(COST_COLUMNS)}\n{costs}")
    assert select.main([str(folder)]) == 0  # writes selection.json
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_damageable(tmp_path_factory.mktemp("whole") / "study")


DAMAGES = {
    "empty": lambda data, _: b"",
    "half": lambda data, _: data[: len(data) // 2],
    "no text": lambda data, _: b"\xff\xfe\0\x80" + data,
    "null bytes": lambda data, _: bytes(len(data)),
    "another kind": lambda data, _: b'[1, {"a": null}]\n',
    "deep": lambda data, _: b"[" * 100_000,
    "numbers": lambda data, _: data.replace(b"0", b"9" * 400),
    "not finite": lambda data, _: data.replace(b"0.", b"nan"),
    "infinite": lambda data, _: re.sub(rb"\d+\.\d+", b"1e999", data),
    "no number": lambda data, _: re.sub(rb"-?\d+\.\d+", b"NaN", data),
    "words": lambda data, _: data.replace(b"1", b"one"),
    "negative": lambda data, _: data.replace(b"1", b"-1"),
    "twice": lambda data, _: data + data,
    "long line": lambda data, _: data + b"x" * 10**6,
    "escape": lambda data, _: data.replace(b"photo", b"\x1b[2Jphoto"),
    "bytes": lambda data, draws: bytes(
        byte ^ (int(draws.integers(256)) if draws.random() < 0.05 else 0) for byte in data
    ),
}
FILES = [
    "trials/trial-000/photos.csv",
    "trials/trial-000/losses.csv",
    "trials/trial-000/config.yaml",
    "trials/trial-000/run.json",
    "trials/trial-000/visuals/photo0/epoch-001-completed.png",
    "trials/trial-000/visuals/photo0/hole.png",
    "votes/ann.jsonl",
    "results.csv",
    "board.csv",
    "selection.json",
    "study.db",
]


def answers(folder, capsys):
    """What the commands that read a study say, and how they end; they never end otherwise."""
    for command in (
        [select.main, str(folder)],
        [report.main, str(folder), "-o", str(folder.with_name("page"))],
        [sync.main, str(folder), "--dry-run"],
    ):
        try:
            status = command[0](command[1:])
        except SystemExit as ended:
            status = ended.code
        out, said = capsys.readouterr()
        assert status in (0, 2), said
        assert "\x1b" not in out + said
        if status:
            assert said.startswith("error: ")
            assert said.count("\n") == 1, said
            assert len(said) < 2000
        shutil.rmtree(folder.with_name("page"), ignore_errors=True)


@pytest.fixture
def study(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "study")


def test_the_whole_study_is_read(study, capsys):
    assert select.main([str(study)]) == 0
    assert report.main([str(study)]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_one_line(study, name, capsys):
    path = study / name
    data, draws = path.read_bytes(), np.random.default_rng(0)
    for damage, change in DAMAGES.items():
        if name == "study.db" and damage not in ("empty", "half", "no text", "null bytes"):
            continue
        path.write_bytes(change(data, draws))
        answers(study, capsys)


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_one_line_and_not_waited_for(study, name, capsys):
    path = study / name
    path.unlink()
    if name != "study.db":  # SQLite opens a pipe itself
        os.mkfifo(path)
        answers(study, capsys)
        path.unlink()
    path.symlink_to("/dev/zero")
    if name != "study.db":
        answers(study, capsys)
    path.unlink()
    path.mkdir()
    answers(study, capsys)
