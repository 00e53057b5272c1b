"""The command, as a newcomer would use and misuse it."""

import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from lab.imaging import read_image, read_source
from lab.inpaint import main
from lab.networks import InpaintSANet, describe_network
from lab.strategies import METHODS
from tests.timing import within_processor_seconds

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH = 30, 41


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def hole() -> np.ndarray:
    hole = np.zeros((HEIGHT, WIDTH), bool)
    hole[8:20, 10:25] = True
    return hole


def pixels(seed: int = 0, channels: int = 3, depth: type = np.uint8) -> np.ndarray:
    shape = (HEIGHT, WIDTH, channels)
    white = np.iinfo(depth).max
    return np.random.default_rng(seed).integers(0, white + 1, shape, dtype=depth)


def put_photo(name: str = "photo.png", seed: int = 0, **options: object) -> Path:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed)).save(name, **options)
    return Path(name)


def put_mask(name: str = "mask.png") -> Path:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(hole()).save(name)
    return Path(name)


def run(line: str) -> int:
    return main(line.split())


def check_known_pixels(before: str, after: str) -> None:
    first, second = read_source(before), read_source(after)
    assert np.array_equal(first.pixels[~hole()], second.pixels[~hole()])
    assert not np.array_equal(first.pixels[hole()], second.pixels[hole()])
    if first.alpha is None:
        assert second.alpha is None
    else:
        assert np.array_equal(first.alpha, second.alpha)


@pytest.mark.parametrize("method", METHODS)
def test_a_photo_is_restored(method, capsys):
    put_photo()
    put_mask()

    assert run(f"photo.png --mask mask.png --method {method} -o new/out.png") == 0
    check_known_pixels("photo.png", "new/out.png")
    assert f"14.6 % of {WIDTH}x{HEIGHT} pixels restored by {method}" in capsys.readouterr().out


def test_the_methods_are_listed_without_a_photo(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--method list")
    assert ended.value.code == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(METHODS)
    assert [line.endswith("(default)") for line in listed].count(True) == 1


@pytest.mark.parametrize("asked", ["", "--method patch-match"])
def test_a_texture_is_continued_by_patch_match_which_is_the_default(asked):
    stripes = np.zeros((60, 80, 3), np.uint8)
    stripes[:, np.arange(80) % 8 < 4] = 200
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = True
    Image.fromarray(np.where(mask[..., None], np.uint8(90), stripes)).save("photo.png")
    Image.fromarray(mask).save("mask.png")

    assert run(f"photo.png --mask mask.png {asked} -o out.png") == 0
    assert np.array_equal(np.asarray(Image.open("out.png")), stripes)


def test_a_gif_becomes_a_png(capsys):
    put_photo("photos/p.gif")
    put_mask("masks/p.gif")

    assert run("photos --mask masks -o out") == 0
    check_known_pixels("photos/p.gif", "out/p.png")
    assert run("photos/p.gif --mask masks/p.gif -o p.gif") == 2
    assert "no format is known for the suffix '.gif'; use .png, " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["p.jpg", "p.webp", "p.bmp", "p.tif"])
def test_every_format(name):
    put_photo(name)
    put_mask()

    assert run(f"{name} --mask mask.png -o out.png") == 0
    check_known_pixels(name, "out.png")


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode(mode):
    name = "p.tif" if mode == "CMYK" else "p.png"
    image = Image.fromarray(pixels(channels=4), "RGBA")
    (image if mode == "RGBA" else image.convert("RGB").convert(mode)).save(name)
    put_mask()

    assert run(f"{name} --mask mask.png -o out.png") == 0
    check_known_pixels(name, "out.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits(suffix):
    cv2.imwrite(f"deep{suffix}", pixels(depth=np.uint16))
    put_mask()

    assert run(f"deep{suffix} --mask mask.png -o out{suffix}") == 0
    check_known_pixels(f"deep{suffix}", f"out{suffix}")
    assert read_source(f"out{suffix}").pixels.dtype == np.uint16


def test_exif_is_kept_and_the_mask_fits_the_upright_photo():
    exif = Image.Exif()
    exif[274] = 8
    exif[315] = "Jane Doe"
    Image.fromarray(np.rot90(pixels(), -1)).save("photo.png", exif=exif)
    put_mask()

    assert run("photo.png --mask mask.png -o out.png") == 0
    check_known_pixels("photo.png", "out.png")
    written = Image.open("out.png").getexif()
    assert (written[274], written[315]) == (1, "Jane Doe")


def test_an_inverted_mask(capsys):
    put_photo()
    Image.fromarray(~hole()).save("mask.png")

    assert run("photo.png --mask mask.png --invert-mask -o out.png") == 0
    check_known_pixels("photo.png", "out.png")
    assert not capsys.readouterr().err


def test_a_fuzzy_mask_is_reported(capsys):
    put_photo()
    Image.fromarray(hole()).convert("L").save("mask.jpg")

    assert run("photo.png --mask mask.jpg -o out.png") == 0
    assert "note: photo.png: " in capsys.readouterr().err


def test_transparent_pixels_in_the_hole_are_reported(capsys):
    image = pixels(channels=4)
    image[..., 3] = np.where(hole(), 0, 255)
    Image.fromarray(image).save("photo.png")
    put_mask()

    assert run("photo.png --mask mask.png -o out.png") == 0
    assert "180 pixels of the hole are transparent" in capsys.readouterr().err


def test_a_preview_shows_both():
    put_photo()
    put_mask()

    assert run("photo.png --mask mask.png -o out.png --preview preview.jpg") == 0
    preview = read_image("preview.jpg")
    assert preview.shape[1] > HEIGHT
    assert preview.shape[2] > 2 * WIDTH


def test_a_checkpoint_restores():
    torch.manual_seed(0)
    torch.save(describe_network(InpaintSANet(width=8), 1, ""), "network.pt")
    put_photo()
    put_mask()

    assert run("photo.png --mask mask.png --checkpoint network.pt -o out.png") == 0
    check_known_pixels("photo.png", "out.png")


@pytest.mark.parametrize(
    ("option", "said"),
    [("", "network.pt in 0"), ("--tile 64", "network.pt in tiles of 64 "), ("--tile 0", "pt in 0")],
)
def test_a_photo_larger_than_a_tile_is_restored_in_tiles(capsys, option, said):
    torch.save(describe_network(InpaintSANet(width=8), 1, ""), "network.pt")
    pixels = np.random.default_rng(0).integers(0, 256, (70, 150, 3), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    mask = np.zeros((70, 150), bool)
    mask[20:60, 20:130] = True
    Image.fromarray(mask).save("mask.png")

    assert run(f"photo.png --mask mask.png --checkpoint network.pt -o out.png {option}") == 0
    assert np.array_equal(read_source("out.png").pixels[~mask], pixels[~mask])
    assert said in capsys.readouterr().out


def test_photos_of_more_than_512_pixels_are_tiled_unasked(capsys):
    torch.save(describe_network(InpaintSANet(width=8), 1, ""), "network.pt")
    Image.fromarray(np.full((40, 513, 3), 99, np.uint8)).save("photo.png")
    Image.fromarray(np.arange(40 * 513).reshape(40, 513) == 9999).save("mask.png")

    assert run("photo.png --mask mask.png --checkpoint network.pt -o out.png") == 0
    assert "network.pt in tiles of 512 pixels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nothing.png --mask mask.png -o out.png", "nothing.png: there is no such file"),
        ("photo.png --mask nothing.png -o out.png", "nothing.png: there is no such file"),
        ("photo.png --mask photo.png -o out.png", "has colours"),
        ("photo.png --mask small.png -o out.png", "but the photo is 41x30"),
        ("photo.png --mask text.png -o out.png", "no JPEG, PNG"),
        ("text.png --mask mask.png -o out.png", "no JPEG, PNG"),
        ("photo.png --mask folder -o out.png", "it is a folder"),
        ("photo.png --mask mask.png -o photo.png --overwrite", "is the photo itself"),
        ("photo.png --mask mask.png -o link.png --overwrite", "is the photo itself"),
        ("photo.png --mask mask.png -o ./folder/../photo.png", "is the photo itself"),
        ("photo.png --mask mask.png -o mask.png --overwrite", "is the mask itself"),
        ("photo.png --mask mask.png -o there.png", "there.png exists: .*--overwrite"),
        ("photo.png --mask mask.png -o folder", "folder is a folder: name the file"),
        ("photo.png --mask mask.png -o out.jpg", "JPEG changes every pixel.*out.png.*--lossy"),
        ("photo.png --mask mask.png -o out.gif", "no format is known"),
        ("photo.png --mask mask.png -o out", "no format is known"),
        ("photo.png --mask mask.png -o out.png --preview out.png", "both result and preview"),
        ("photo.png --mask mask.png -o out.png --preview photo.png", "is the photo itself"),
        ("photo.png --mask mask.png -o out.png --preview p.gif", "end its name in .png"),
        ("photo.png --mask mask.png -o text.png/out.png", "text.png"),
        ("photo.png --mask mask.png -o out.png --checkpoint no.pt", "no checkpoint at no.pt"),
        ("photo.png --mask mask.png -o out.png --checkpoint text.png", "cannot be loaded"),
        ("photo.png --mask mask.png -o out.png --method tela", "Did you mean 'telea'"),
        ("folder --mask mask.png -o out", "is no folder"),
    ],
)
def test_mistakes_are_answered_in_one_line(capsys, line, message):
    put_photo()
    put_mask()
    put_photo("there.png")
    Path("folder").mkdir()
    Path("text.png").write_text("no picture")
    Path("link.png").symlink_to("photo.png")
    Image.fromarray(hole()[:5, :5] | True).save("small.png")
    before = {path: path.read_bytes() for path in Path().glob("*.png")}

    assert run(line) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert re.search(message, error)
    assert {path: path.read_bytes() for path in Path().glob("*.png")} == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("photo.png --msak mask.png -o out.png", "--mask"),
        ("photo.png --mask mask.png --invert-maks -o out.png", "--invert-mask"),
        ("photo.png --mask mask.png --overwrit -o out.png", "--overwrite"),
        ("photo.png --mask mask.png", "-o OUT is missing"),
        ("photo.png -o out.png", "--mask MASK is missing"),
        ("photo.png --mask m.png -o o.png --method telea --checkpoint c", "not allowed with"),
        ("photo.png --mask m.png -o o.png --tile 256", "--tile goes with --checkpoint"),
        ("photo.png --mask m.png -o o.png --checkpoint c --tile 8", "at least 64, or 0"),
        ("p.png --mask m.png -o o.png --checkpoint c --variant=tiled --tile 96", "not go together"),
    ],
)
def test_misspelt_options_name_the_right_one(capsys, line, message):
    with pytest.raises(SystemExit) as stopped:
        run(line)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_an_existing_result_is_replaced_on_request():
    put_photo()
    put_mask()
    put_photo("out.png", seed=5)

    assert run("photo.png --mask mask.png -o out.png --overwrite") == 0
    check_known_pixels("photo.png", "out.png")


def test_a_loss_is_written_on_request():
    put_photo()
    put_mask()

    assert run("photo.png --mask mask.png -o out.jpg --lossy") == 0
    assert read_image("out.jpg").shape == (3, HEIGHT, WIDTH)


def test_a_jpeg_may_stay_one_and_its_loss_is_said(capsys):
    put_photo("photo.jpg")
    put_mask()
    assert run("photo.jpg --mask mask.png -o out.jpg") == 0
    said = capsys.readouterr().err
    found = re.search(r"known pixels by ([\d.]+) of 255 levels in the mean, by (\d+) at most", said)
    before, after = (read_source(name).rgb8().astype(int) for name in ("photo.jpg", "out.jpg"))
    loss = abs(before - after)[~hole()]
    assert float(found[1]) == pytest.approx(loss.mean(), rel=0.05)
    assert int(found[2]) == loss.max()


def test_an_interrupted_folder_goes_on_where_it_was(capsys):
    for name in "abc":
        put_photo(f"photos/{name}.png", ord(name))
        put_mask(f"masks/{name}.png")
    put_photo("out/b.png", 9)
    before = Path("out/b.png").read_bytes()
    assert run("photos --mask masks -o out") == 1  # b is there
    assert run("photos --mask masks -o out2 --skip-existing") == 0
    capsys.readouterr()
    Path("out/a.png").unlink()
    assert run("photos --mask masks -o out --skip-existing") == 0
    assert "1 of 3 pairs completed, 2 were there already" in capsys.readouterr().out
    assert Path("out/b.png").read_bytes() == before


def test_a_photo_is_skipped_only_where_everything_asked_for_is_there(capsys):
    for name in "ab":
        put_photo(f"photos/{name}.png", ord(name))
        put_mask(f"masks/{name}.png")
    command = "photos --mask masks -o out --skip-existing"
    assert run(command) == 0
    results = {path: path.read_bytes() for path in Path("out").iterdir()}
    for options, missing in (
        ("--preview shown", "shown/a_preview.png"),
        ("--preview shown --save-mask used", "used/b_mask.png"),
    ):
        assert run(f"{command} {options}") == 0
        Path(missing).unlink()
        capsys.readouterr()
        assert run(f"{command} {options}") == 0
        assert "1 of 2 pairs completed, 1 were there already" in capsys.readouterr().out
        assert Path(missing).exists()
    assert {path: path.read_bytes() for path in Path("out").iterdir()} == results


@pytest.mark.parametrize(
    ("options", "shared"),
    [
        ("--preview shown", "beach_preview.png"),
        ("--save-mask used", "beach_mask.png"),
        ("--preview ./out", "beach_preview.png"),
    ],
)
def test_no_photo_of_a_folder_replaces_what_another_gives(capsys, options, shared):
    put_photo("photos/beach.jpg", 1)
    put_photo("photos/beach.tif", 2)
    put_photo("photos/beach_preview.png", 3)
    for name in ("beach", "beach_preview"):
        put_mask(f"masks/{name}.png")

    assert run(f"photos --mask masks -o out {options} --overwrite") == 1
    said = capsys.readouterr()
    assert f"failed: photos/beach.tif: beach.jpg gives {shared} already; rename one" in said.err
    assert not Path("out/beach.tif").exists()
    in_one_folder = "out" in options
    assert ("beach_preview.png: beach.jpg gives beach_preview.png" in said.err) == in_one_folder
    assert f"{1 if in_one_folder else 2} of 3 pairs completed" in said.out


def test_a_folder_is_paired_by_name(capsys):
    put_photo("photos/a.jpg", 1)
    put_photo("photos/b.tif", 2)
    put_photo("photos/c.png", 3)
    put_photo("photos/.hidden.png", 4)
    put_mask("masks/a.png")
    put_mask("masks/b_mask.png")
    put_mask("masks/z.png")

    assert run("photos --mask masks -o out --preview shown") == 0
    check_known_pixels("photos/a.jpg", "out/a.png")
    check_known_pixels("photos/b.tif", "out/b.tif")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.tif"]
    assert sorted(path.name for path in Path("shown").iterdir()) == [
        "a_preview.png",
        "b_preview.png",
    ]
    said = capsys.readouterr()
    assert "1 photos without a mask: c.png" in said.err
    assert "1 masks without a photo: z.png" in said.err
    assert "2 of 2 pairs completed" in said.out


def test_one_bad_pair_does_not_stop_the_rest(capsys):
    for seed, name in enumerate("abcd"):
        put_photo(f"photos/{name}.png", seed)
        put_mask(f"masks/{name}.png")
    data = Path("photos/b.png").read_bytes()
    Path("photos/b.png").write_bytes(data[: len(data) // 2])
    Image.fromarray(hole() & False).save("masks/c.png")

    assert run("photos --mask masks -o out") == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "d.png"]
    said = capsys.readouterr()
    assert "failed: photos/b.png: " in said.err
    assert "failed: photos/c.png: the mask masks/c.png is empty" in said.err
    assert "2 of 4 pairs completed" in said.out


def test_a_fault_of_the_program_does_not_stop_a_folder_either(capsys, monkeypatch):
    for seed, name in enumerate("abc"):
        put_photo(f"photos/{name}.png", seed)
        put_mask(f"masks/{name}.png")
    fill, calls = cv2.inpaint, []

    def fail_once(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise cv2.error("an assertion of OpenCV's")
        return fill(*arguments)

    monkeypatch.setattr("cv2.inpaint", fail_once)
    assert run("photos --mask masks -o out --method telea") == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "c.png"]
    assert "failed: photos/b.png: error: an assertion of OpenCV's" in capsys.readouterr().err


def test_names_are_paired_by_what_is_written(capsys):
    # As stored by macOS: the letter and its accent, each by itself.
    put_photo(f"photos/{unicodedata.normalize('NFC', 'café')}.png")
    put_mask(f"masks/{unicodedata.normalize('NFD', 'café')}.png")
    assert run("photos --mask masks -o out") == 0
    assert "1 of 1 pairs completed" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_resolution_that_makes_no_sense_spoils_no_result(suffix):
    put_mask()
    Image.fromarray(pixels()).save("photo.tif", dpi=(4294967295, 4294967295))
    assert run(f"photo.tif --mask mask.png -o out{suffix} --lossy") == 0
    assert read_source(f"out{suffix}").width == WIDTH


def test_what_a_translucent_photo_shows_is_what_was_filled():
    image = np.full((HEIGHT, WIDTH, 4), 100, np.uint8)
    image[..., 3] = 128
    Image.fromarray(image).save("photo.png")
    put_mask()
    assert run("photo.png --mask mask.png -o out.png --method smooth") == 0
    assert np.abs(read_source("out.png").pixels.astype(int) - 100).max() <= 2


def test_photos_and_masks_in_one_folder():
    put_photo("all/a.png")
    put_mask("all/a_mask.png")

    assert run("all --mask all -o out") == 0
    assert [path.name for path in Path("out").iterdir()] == ["a.png"]


def test_pairs_that_cannot_be_told_apart_fail(capsys):
    put_photo("photos/a.png", 1)
    put_photo("photos/b.png", 2)
    put_photo("photos/b.jpg", 3)
    for name in ("a.png", "a_mask.png", "b.png"):
        put_mask(f"masks/{name}")

    assert run("photos --mask masks -o out") == 1
    said = capsys.readouterr()
    assert "several masks could be meant: a.png, a_mask.png" in said.err
    assert "b.jpg gives b.png already" in said.err
    assert "1 of 3 pairs completed" in said.out


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("photos --mask masks -o photos", "name another folder for results"),
        ("photos --mask masks -o masks", "name another folder for results"),
        ("photos --mask masks -o file.png", "file.png is a file"),
        ("photos --mask other -o out", "other is no folder"),
        ("photos --mask empty -o out", "none of the 1 photos"),
    ],
)
def test_folders_that_will_not_do(capsys, line, message):
    put_photo("photos/a.png")
    put_mask("masks/a.png")
    put_photo("file.png")
    Path("empty").mkdir()

    assert run(line) == 2
    assert message in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_method_needs_no_trainer():
    put_photo("photo.png")
    put_mask("mask.png")
    code = (
        "import sys, lab.inpaint\n"
        "line = 'photo.png --mask mask.png --method telea -o out.png'\n"
        "assert lab.inpaint.main(line.split()) == 0\n"
        "assert not {'pytorch_lightning', 'wandb', 'onnxruntime'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment)
    assert Path("out.png").is_file()


def test_help_is_quick_and_needs_no_pytorch():
    code = (
        "import sys, lab.inpaint\n"
        "try: lab.inpaint.main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    with within_processor_seconds(3):
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
