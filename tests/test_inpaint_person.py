"""The command that finds the person, removes them and keeps what it promises of any mask."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from lab.imaging import dilate, read_image, read_mask, read_source
from lab.inpaint import main, parser
from lab.mask_sources import MASK_SOURCES, PersonSegmentation

HEIGHT, WIDTH = 60, 80
BOX = "--box 26,8,26,46"


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def person() -> np.ndarray:
    person = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(person, (39, 31), (8, 19), 0, 0, 360, 1, -1)
    return person.astype(bool)


def put_photo(name: str = "photo.png", alpha: bool = False, **options: object) -> Path:
    """Somebody in red before a greenish wall."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 40, (HEIGHT, WIDTH, 3))
    colours = np.where(person()[..., None], (180, 30, 40), (60, 150, 90)) + noise
    if alpha:
        colours = np.dstack((colours, np.full((HEIGHT, WIDTH), 200)))
    Image.fromarray(colours.astype(np.uint8)).save(name, **options)
    return Path(name)


def run(line: str) -> int:
    return main(line.split())


def used_mask(name: str = "mask.png") -> np.ndarray:
    mask = read_mask(name)
    assert mask.note is None  # plain black and white
    return mask.mask[0].numpy() == 1


def check_known_pixels(before: str, after: str, hole: np.ndarray) -> None:
    first, second = read_source(before), read_source(after)
    assert np.array_equal(first.pixels[~hole], second.pixels[~hole])
    assert not np.array_equal(first.pixels[hole], second.pixels[hole])


def test_a_person_in_a_box_is_removed(capsys):
    put_photo()
    assert run(f"photo.png --person grabcut {BOX} -o out.png --save-mask mask.png") == 0
    hole = used_mask()
    grown = cv2.dilate(person().astype(np.uint8), None, iterations=10) > 0
    assert (hole == grown).mean() > 0.98
    assert not (person() & ~hole).any()
    check_known_pixels("photo.png", "out.png", hole)
    reddish = read_image("out.png")[0] > 0.6
    assert not reddish.any()
    assert f"{100 * hole.mean():.3g} % of {WIDTH}x{HEIGHT}" in capsys.readouterr().out


def test_each_step_is_timed(capsys):
    put_photo()
    assert run(f"photo.png --person grabcut {BOX} -o out.png --method telea --times") == 0
    said = capsys.readouterr().out
    assert "1 photo, the loading of networks not counted:" in said
    steps = re.findall(r"(?m)^ ([a-z ]+?) +\d+ +\d+ +\d+ +(\d+)%", said)
    assert [step for step, _ in steps] == [
        *("reading", "finding the person", "filling", "writing"),
        "all",
    ]
    assert steps[-1][1] == "100"


def test_dilation_is_chosen_and_none_with_a_mask():
    put_photo()
    lines = {
        "default": f"--person grabcut {BOX}",
        "ten": f"--person grabcut {BOX} --dilate 10",
        "tight": f"--person grabcut {BOX} --dilate 0",
        "file": "--mask tight.png",
        "grown": "--mask tight.png --dilate 3",
    }
    for name, options in lines.items():
        assert run(f"photo.png {options} -o {name}-out.png --save-mask {name}.png") == 0
    masks = {name: used_mask(f"{name}.png") for name in lines}
    tight = torch.from_numpy(masks["tight"]).float()[None, None]
    for name, pixels in (("default", 10), ("ten", 10), ("file", 0), ("grown", 3)):
        assert np.array_equal(masks[name], dilate(tight, pixels)[0, 0].numpy() == 1), name


def test_alpha_exif_and_preview_are_as_with_a_mask():
    exif = Image.Exif()
    exif[315] = "Jane Doe"
    put_photo(alpha=True, exif=exif)
    line = f"photo.png --person grabcut {BOX} -o out.png --save-mask m/mask.png --preview p.png"
    assert run(line) == 0
    check_known_pixels("photo.png", "out.png", used_mask("m/mask.png"))
    alpha = read_source("out.png").alpha
    assert alpha is not None
    assert (alpha == 200).all()
    assert Image.open("out.png").getexif()[315] == "Jane Doe"
    assert read_image("p.png").shape[2] > 2 * WIDTH


@pytest.fixture
def red_is_salient(monkeypatch):
    """In the place of U²-Net, whose weights are not here: salient is what is redder than green."""

    def source(**options):
        return PersonSegmentation(
            lambda image: (image[:, :1] - image[:, 1:2]).clamp(min=0.0) / 0.6, **options
        )

    monkeypatch.setattr("lab.mask_sources.MASK_SOURCES", {**MASK_SOURCES, "u2net": source})


@pytest.mark.usefixtures("red_is_salient")
def test_a_folder_gets_a_mask_a_photo(capsys):
    put_photo("photos/a.png")
    put_photo("photos/b.tif")
    Image.new("RGB", (WIDTH, HEIGHT), (60, 150, 90)).save("photos/nobody.png")

    line = "photos --person u2net -o out --save-mask masks --preview shown"
    assert run(line) == 1
    for name, result in (("a", "a.png"), ("b", "b.tif")):
        check_known_pixels(f"photos/{result}", f"out/{result}", used_mask(f"masks/{name}_mask.png"))
    assert sorted(path.name for path in Path("shown").iterdir()) == [
        "a_preview.png",
        "b_preview.png",
    ]
    said = capsys.readouterr()
    assert "failed: photos/nobody.png: no person was found" in said.err
    assert "2 of 3 photos completed" in said.out
    # What was saved is what --mask takes.
    assert run("photos --mask masks -o again") == 0
    assert np.array_equal(read_source("again/a.png").pixels, read_source("out/a.png").pixels)


@pytest.mark.usefixtures("red_is_salient")
def test_a_lower_threshold_takes_more_away():
    put_photo()
    shares = []
    for threshold in ("0.1", "0.9"):
        line = f"photo.png --person u2net --threshold {threshold} --dilate 0 -o {threshold}.png"
        assert run(f"{line} --save-mask mask.png --overwrite") == 0
        shares.append(used_mask().mean())
    assert shares[0] > shares[1] > 0


def test_missing_weights_say_what_to_do_and_nothing_is_written(capsys, monkeypatch, tmp_path):
    # A proxy that refuses at once: nothing leaves the machine.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    put_photo()
    assert run("photo.png --person u2net-small -o out.png --save-mask mask.png") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.match(r"error: the weights u2netp\.pth are not here and cannot be downloaded", error)
    assert str(tmp_path / "cache" / "u2netp.pth") in error
    assert sorted(path.name for path in Path().glob("*.png")) == ["photo.png"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"--person grabcut {BOX} -o out.png --save-mask photo.png", "photo.png is the photo itse"),
        (f"--person grabcut {BOX} -o out.png --save-mask out.png", "both result and mask"),
        (f"--person grabcut {BOX} -o out.png --save-mask mask.jpg", "mask mask.jpg: end its name"),
        (f"--person grabcut {BOX} -o out.png --save-mask there.png", "there.png exists.*--overwri"),
        (f"--person grabcut {BOX} -o there.png", "there.png exists.*--overwrite"),
        ("--person grabcut --box 26,8,60,46 -o out.png", "x = 86, y = 54, but the photo is 80x60"),
        ("--person grabcut --box 0,0,80,60 -o out.png", "leaves no background"),
        ("--person grabcut --box 0,0,9,0 -o out.png", "box is 0,0,9,0, but must be"),
        (f"--person grabcut {BOX} --dilate 90 -o out.png", "by 90 pixels, covers the whole photo"),
        ("--mask there.png --dilate 90 -o out.png", "by 90 pixels, covers the whole photo"),
        ("--mask there.png -o out.png --save-mask there.png", "there.png is the mask itself"),
    ],
)
def test_mistakes_are_answered_in_one_line(capsys, line, message):
    put_photo()
    Image.fromarray(person()).save("there.png")
    before = {path: path.read_bytes() for path in Path().rglob("*.*")}

    assert run(f"photo.png {line}") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.match(rf"error: .*{message}", error)
    assert {path: path.read_bytes() for path in Path().rglob("*.*")} == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("photo.png --person u2net --mask mask.png -o out.png", "not allowed with"),
        ("photo.png --person u2nett -o out.png", "'u2net-small'"),
        ("photo.png --persn u2net -o out.png", "--person"),
        ("photo.png --person grabcut -o out.png", "--person grabcut and --box X,Y,W,H go together"),
        (f"photo.png --person u2net {BOX} -o out.png", "grabcut and --box X,Y,W,H go together"),
        (f"photo.png --mask mask.png {BOX} -o out.png", "grabcut and --box X,Y,W,H go together"),
        ("photo.png --person grabcut --box 1,2,3 -o out.png", "'1,2,3' must be four whole numbers"),
        ("photo.png --person grabcut --box 1,2,3,x -o out.png", "must be four whole numbers"),
        ("photo.png --person grabcut --box=-1,2,3,4 -o out.png", "must be four whole numbers"),
        ("photo.png --person u2net --threshold 1 -o out.png", "--threshold is 1, but must lie"),
        ("photo.png --person u2net --threshold nan -o out.png", "--threshold is nan, but must"),
        ("photo.png --mask mask.png --threshold 0.2 -o out.png", "--threshold goes with --person"),
        (f"photo.png --person grabcut {BOX} --threshold 0.2 -o o.png", "--threshold goes with"),
        ("photo.png --person u2net --invert-mask -o out.png", "--invert-mask goes with --mask"),
        ("photo.png --person u2net --dilate -1 -o out.png", "'-1' must be a whole number of pix"),
        ("photo.png --mask mask.png --dilate 1.5 -o out.png", "'1.5' must be a whole number"),
        (f"folder --person grabcut {BOX} -o out", "folder is a folder, but a --box belongs to one"),
        ("photo.png -o out.png", "--mask MASK is missing, or --person"),
    ],
)
def test_options_that_do_not_fit_each_other_are_refused(capsys, line, message):
    Path("folder").mkdir()
    with pytest.raises(SystemExit) as stopped:
        run(line)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_an_empty_folder_is_refused(capsys):
    Path("photos").mkdir()
    assert run("photos --person u2net -o out") == 2
    assert "no photos in photos" in capsys.readouterr().err


def test_the_command_offers_every_mask_source():
    (offered,) = [action.choices for action in parser()._actions if action.dest == "person"]
    assert set(offered) == set(MASK_SOURCES)
