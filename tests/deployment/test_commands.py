"""Exporting by the command, and filling holes by what it wrote."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lab.deployment import load_model
from lab.export import main as export
from lab.fillers import open_filler
from lab.imaging import read_source
from lab.inpaint import main as inpaint
from lab.networks import NETWORKS, DeepFillv2, Preset, describe_network
from lab.shortcuts import complete

ROOT = Path(__file__).parents[2]
SMALL_PHOTOS = ["--data.size=64", "--data.validation_photos=6"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    hole = np.zeros((70, 90), bool)
    hole[10:50, 30:60] = True
    Image.fromarray(pixels).save("photo.png")
    Image.fromarray(hole).save("mask.png")
    return tmp_path


def test_a_photo_is_filled_by_a_model_as_by_its_checkpoint(exported, folder, capsys):
    photo = "photo.png --mask mask.png"
    assert inpaint(f"{photo} --checkpoint {exported}/epoch-003.pt -o a.png".split()) == 0
    assert inpaint(f"{photo} --model {exported}/model.onnx -o b.png".split()) == 0
    assert "restored by model.onnx" in capsys.readouterr().out
    by_network, by_model = (read_source(name).pixels.astype(int) for name in ("a.png", "b.png"))
    assert abs(by_network - by_model).max() <= 1
    completed = complete("photo.png", "mask.png", model=exported / "model.onnx")
    assert np.array_equal(completed.result.pixels, by_model)
    # The strategy that the checkpoint was trained with is the model's, too; another can be put on.
    whole = f"{photo} --model {exported}/model.onnx --model.strategy=lab.strategies.Direct -o c.png"
    assert inpaint(whole.split()) == 0
    assert abs(read_source("c.png").pixels.astype(int) - by_model).max() > 1


def test_no_network_is_built_for_a_model(exported, folder):
    program = (
        "import torch.nn as nn\n"
        "from lab.inpaint import main\n"
        "import lab.fillers\n"
        "def refuse(*_, **__): raise AssertionError('a network is built')\n"
        "nn.Conv2d.__init__ = refuse\n"
        f"raise SystemExit(main('photo.png --mask mask.png --model {exported}/model.onnx "
        "-o out.png'.split()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path("out.png").is_file()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--model mask.png", "mask.png cannot be loaded: it is no ONNX file"),
        ("--model absent.onnx", "there is no model at absent.onnx"),
        ("--model {model} --device gpu", "computed on the processor"),
        ("--model {model} --save-edges e.png", "--save-edges goes with --checkpoint"),
        ("--model {model} --sketch mask.png", "model.onnx reads no such guide"),
        ("--model {model} --method smooth", "not allowed with argument"),
    ],
)
def test_what_does_not_go_with_a_model_is_one_line(exported, folder, capsys, options, reason):
    line = f"photo.png --mask mask.png -o out.png {options}".format(model=exported / "model.onnx")
    try:
        status = inpaint(line.split())
    except SystemExit as error:
        status = error.code
    assert status == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "Traceback" not in said
    assert not Path("out.png").exists()


def test_a_preset_is_filled_by_a_persons_own_weights(exported, folder, monkeypatch, capsys):
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(folder / "cache"))
    line = "photo.png --mask mask.png -o out.png --times --preset "
    for preset, reason in (
        ("600m", "nobody publishes weights of DeepFillv2 in the size 600m"),
        ("600k", "Did you mean '600m'"),
    ):
        assert inpaint(f"{line}{preset}".split()) == 2
        said = capsys.readouterr().err
        assert reason in said
        assert said.count("\n") == 1
    Path("cache").mkdir()
    shutil.copy(exported / "model.onnx", "cache/DeepFillv2-600m.onnx")
    assert inpaint(f"{line}600m".split()) == 2
    assert "is to hold DeepFillv2 in the size 600m, but has GlobalLocal" in capsys.readouterr().err
    Path("cache/DeepFillv2-600m.onnx").unlink()
    torch.save(
        describe_network(DeepFillv2(width=4, separable=True), 1, ""), "cache/DeepFillv2-600m.pt"
    )
    assert inpaint(f"{line}600m".split()) == 2
    assert "with width 36, but it has width 4" in capsys.readouterr().err
    small = Preset({"width": 4, "separable": True}, 128, 600e6)
    monkeypatch.setitem(NETWORKS["DeepFillv2"].__dict__, "presets", {"full": small, "600m": small})
    assert inpaint(f"{line}600m".split()) == 0
    said = capsys.readouterr().out
    assert "restored by DeepFillv2-600m.pt" in said
    shares = re.findall(r"(?m)^ (reading|filling|writing) +\d+ +\d+ +\d+ +(\d+)%", said)
    assert [step for step, _ in shares] == ["reading", "filling", "writing"]
    assert 98 <= sum(int(share) for _, share in shares) <= 102


def test_a_small_photo_is_refused_in_words(exported, folder, capsys):
    Image.new("RGB", (9, 9)).save("tiny.png")
    Image.fromarray(np.eye(9, dtype=bool)).save("hole.png")
    line = f"tiny.png --mask hole.png -o out.png --model {exported}/model.onnx"
    assert inpaint([*line.split(), "--model.strategy=lab.strategies.Direct"]) == 2
    assert "from 16 pixels a side on, and this one has 9x9" in capsys.readouterr().err


@pytest.mark.slow
def test_a_checkpoint_is_exported_quantized_and_timed(exported, folder, capsys):
    arguments = [f"{exported}/epoch-003.pt", "model.onnx", "--int8", "small.onnx"]
    assert export([*arguments, "--measure=3", "--calibrate=2", *SMALL_PHOTOS]) == 0
    said = capsys.readouterr().out
    assert "model.onnx: GlobalLocal, 1.5 MB; reads image, mask, of any size, any number" in said
    assert re.search(r"small\.onnx: int8, \d\d% .* hole PSNR against model\.onnx: [+-]\d", said)
    assert "on 6 photos" in said or "of 6 photos" in said
    for runtime in ("PyTorch", "onnxruntime", "onnxruntime, int8"):
        assert re.search(rf"(?m)^ {runtime} +\d+\.\d +\d+\.\d +\d+\.\d", said), runtime
    assert load_model("small.onnx").card.precision == "int8"
    assert Path("small.onnx").stat().st_size < 0.4 * Path("model.onnx").stat().st_size
    # It says by which strategy it is to be used, as the float32 model does.
    assert open_filler(model="small.onnx").strategy.inner is not None

    with pytest.raises(SystemExit):
        export(arguments)
    assert "model.onnx exists: choose another name, or add --overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["mask.png", "model.onnx"], "mask.png cannot be loaded"),
        (["absent.pt", "model.onnx"], "there is no checkpoint at absent.pt"),
        (["mask.png", "model.pt"], "end its name in .onnx"),
        (["mask.png", "a.onnx", "--int8", "a.onnx"], "name two files"),
        (["mask.png", "a.onnx", "--measure", "0"], "--measure is 0"),
    ],
)
def test_misuse_of_export_is_one_line(folder, capsys, arguments, reason):
    try:
        status = export(arguments)
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert reason in capsys.readouterr().err
    assert not list(Path().glob("*.onnx"))
