"""Folders of photos that somebody prepared: commands leave out what is no photo, and say so."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lab.inpaint import main
from tests.tiny import TINY

SECONDS = 180
LONGEST = "p" * 251  # with its suffix, 255


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mask(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    drawn = Image.new("L", (48, 40))
    drawn.paste(255, (8, 8, 20, 20))
    drawn.save(path)
    return path


@pytest.fixture
def photos(tmp_path):
    """A pipe, an endless device, a link in a circle, an escape sequence, and the longest name."""
    folder = tmp_path / "photos"
    for seed, name in enumerate(("a", "b", "c", LONGEST, "clear\x1b[2J")):
        photo(folder / f"{name}.png", seed)
    os.mkfifo(folder / "pipe.png")
    (folder / "endless.png").symlink_to("/dev/zero")
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "again").symlink_to(folder)
    return folder


def test_training_leaves_out_what_is_no_photo(photos, tmp_path, start):
    for seed in range(30):  # more than a tenth of what is unreadable ends the command
        photo(photos / f"more-{seed}.png", 10 + seed)
    options = [*TINY, f"--data.photos={photos}", "--fit.epochs=1", "--runs", tmp_path / "runs"]
    process = start("train", *options, folder=tmp_path, cold=True)
    out, said = process.communicate(timeout=SECONDS)
    assert "Traceback" not in said
    assert "3 unreadable" in out
    for name, reason in (("pipe", "a pipe"), ("endless", "a device"), ("circle", "")):
        assert f"left out: {photos}/{name}.png: " in out
        assert reason in out
    assert "\x1b[2J" not in out + said
    assert (tmp_path / "runs" / "train" / "checkpoints" / "epoch-001.pt").exists(), said


def test_inpainting_a_folder_goes_on(photos, tmp_path, start):
    masks = tmp_path / "masks"
    for path in photos.glob("*.png"):
        mask(masks / path.name)
    masks.joinpath("a.png").unlink()
    os.mkfifo(masks / "a.png")
    process = start("inpaint", photos, "--mask", masks, "-o", "out", folder=tmp_path)
    out, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "\x1b[2J" not in out + said
    assert r"clear\x1b[2J.png" in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("b.png", "c.png", f"{LONGEST}.png", "clear\x1b[2J.png")
    }
    for name in ("a", "pipe", "endless"):
        assert f"failed: {photos}/{name}.png: " in said


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("which", ["photo", "mask", "checkpoint"])
def test_one_photo_is_refused_in_a_line(tmp_path, kind, which, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "photo.png")
    mask(tmp_path / "mask.png")
    hostile = tmp_path / "hostile.png"
    if kind == "pipe":
        os.mkfifo(hostile)
    else:
        hostile.symlink_to("/dev/zero")
    names = {"photo": "photo.png", "mask": "mask.png"} | {which: "hostile.png"}
    options = ["--checkpoint", "hostile.png"] if which == "checkpoint" else []
    assert main([names["photo"], "--mask", names["mask"], "-o", "out.png", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_a_device_is_not_replaced(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / "photo.png")
    mask(tmp_path / "mask.png")
    os.mkfifo("out.png")
    assert main(["photo.png", "--mask", "mask.png", "-o", "out.png", "--overwrite"]) == 2
    assert "no regular file" in capsys.readouterr().err
    assert (tmp_path / "out.png").is_fifo()
