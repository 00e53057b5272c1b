"""Other programs enter by their pictures: matched, checked, scored beside ours, voted on blind."""

import re
import shutil

import cv2
import numpy as np
import pytest
import torch

from data_prep import evaluation_sets
from lab import evaluate, report, select
from lab.data import find_polarity, pair_folders, read_evaluation_set, read_photo_folders
from lab.fills import OpenCVInpainting
from lab.imaging import read_image, read_mask, write_image
from lab.metrics import measure, measure_removal
from lab.networks import InpaintSANet, describe_network
from lab.results import cautions, open_study
from lab.selection.votes import add_vote, completions_of, draw_pairs, vote
from lab.widgets import Ballot
from tests.data.shards import pack
from tests.tiny import fit_tiny

SIZE = 64


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Ten photos under holes of every size."""
    folder = tmp_path_factory.mktemp("pairs")
    shards = pack(folder, "val_256", count=12)
    options = ["--set", "valid", "--total", "10", "--size", str(SIZE)]
    assert evaluation_sets.main([str(shards), str(folder / "set"), *options]) == 0
    return folder / "set"


def unchanged(image, mask):
    return image


def gray_hole(image, mask):
    return torch.where(mask > 0, torch.full_like(image, 0.5), image)


def tinted(image, mask):
    return image + 0.02 * (1 - mask)


def answer(pairs, folder, suffix=".png", change=unchanged, count=10):
    """Telea's fills of a set, as another program would leave them; returns the folder."""
    fill = OpenCVInpainting("telea")
    for index, sample in enumerate(read_evaluation_set(pairs)):
        if index < count:
            image, mask = sample.image[None], sample.mask[None]
            changed = change(fill(image, mask), mask)[0].clamp(0, 1)
            write_image(folder / f"{sample.name}{suffix}", changed)
    return folder


def run(*arguments):
    return evaluate.main([str(word) for word in arguments])


def test_pictures_score_what_the_method_that_made_them_scores(pairs, tmp_path, capsys):
    good = answer(pairs, tmp_path / "good")
    gray = answer(pairs, tmp_path / "gray", ".bmp", gray_hole)
    words = ["--set", pairs, "--runs", tmp_path, "--baseline", "telea"]
    assert run(*words, "--entrant", f"gray={gray}", "--entrant", f"service={good}") == 0
    study = open_study(tmp_path / "evaluation")
    service, other = study.entrants
    assert (service.label, other.label) == ("service", "gray"), "the better one first"
    (telea,) = study.baselines
    for metric in ("hole_psnr", "hole_ssim", "rim_ssim", "whole_l1", "hole_texture"):
        ours, theirs = (run.best_scores[metric].to_numpy() for run in (telea, service))
        np.testing.assert_allclose(theirs, ours, rtol=0.02)  # rounded to 8 bits
    assert study.compare(service, other, "hole_psnr").is_clear
    printed = capsys.readouterr().out
    assert "service left the known pixels of all 10 photos as they were" in printed
    assert cautions(open_study(tmp_path / "evaluation")) == []
    assert re.search(r"service: hole_ssim against gray: \+0\.\d+ \[\+", printed)
    assert run(*words, "--entrant", f"gray={gray}") == 0
    study = open_study(tmp_path / "evaluation")
    assert [one.label for one in study.entrants] == ["gray"]
    (caution,) = cautions(study)
    assert caution == (
        "telea, which needs no training, is clearly better than every other program's pictures."
    )


def test_an_entrant_stands_beside_networks_in_the_page_and_in_blind_votes(
    pairs, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    fit_tiny(tmp_path / "first", "--fit.epochs=1", "--data.validation_crops=1")
    checkpoint = tmp_path / "first" / "checkpoints" / "epoch-001.pt"
    good = answer(pairs, tmp_path / "good")
    words = ["--set", pairs, "--runs", tmp_path, "--baseline", "telea", "--pictured", 3]
    folder = tmp_path / "evaluation"
    for networks, names in (
        (["--checkpoint", checkpoint], {""}),
        (
            ["--checkpoint", f"one={checkpoint}", "--checkpoint", f"two={checkpoint}"],
            {"networks/one", "networks/two"},
        ),
        ([], set()),
    ):
        assert run(*words, *networks, "--entrant", f"service={good}") == 0
        study = open_study(folder)
        if "" not in names:
            assert {f"networks/{one.label}" for one in study.trials} == names
        seen = completions_of(study)
        assert len(seen) == 3
        for completions in seen.values():
            shown = {name.rpartition("/")[0] for name in completions}
            assert shown == {*names, "entrants/service", "baselines/telea"}
        assert report.main([str(folder)]) == 0
        page = (folder / "report" / "index.html").read_text()
        assert re.search(r'"kind": ?"entrant"', page)
        deck = page[page.index('"deck"') :]
        assert "entrants/service/epoch-000" in deck
        ballot = Ballot(folder, "anna", count=2)
        assert ballot.left
        assert ballot.right
    ballot.choose("left")
    capsys.readouterr()
    assert select.main([str(folder), "--votes"]) == 0
    assert "hole_texture" in capsys.readouterr().out
    assert select.main([str(folder)]) == 2
    assert "is an evaluation" in capsys.readouterr().err


def test_a_few_answers_are_compared_on_what_both_have(pairs, tmp_path, capsys):
    few = answer(pairs, tmp_path / "few", count=8)
    write_image(few / "stray.png", torch.zeros(3, 8, 8))
    words = ["--set", pairs, "--runs", tmp_path, "--baseline", "telea"]
    assert run(*words, "--entrant", f"few={few}") == 0
    said = capsys.readouterr()
    assert "few lacks 2 of 10 samples and is compared on the others: 0008, 0009" in said.err
    assert "1 pictures are called like no sample: stray.png" in said.err
    assert "Mean ± standard deviation over 8 photos" in said.out
    assert re.search(r"hole_ssim against telea: .* of 8 photos", said.out)


def test_changed_known_pixels_are_said_and_pasted_only_where_asked(pairs, tmp_path, capsys):
    folder = answer(pairs, tmp_path / "tinted", change=tinted)
    words = ["--set", pairs, "--runs", tmp_path, "--baseline", "telea", "--entrant"]
    assert run(*words, f"tinted={folder}") == 0
    printed = capsys.readouterr().out
    assert "tinted changed known pixels in 10 of 10 photos, by" in printed
    assert "scored as delivered" in printed
    delivered = open_study(tmp_path / "evaluation").entrants[0].best_scores
    assert run(*words, f"tinted={folder}", "--paste-known") == 0
    assert "with the photos' own pixels in their place" in capsys.readouterr().out
    study = open_study(tmp_path / "evaluation")
    pasted = study.entrants[0].best_scores
    assert (pasted["whole_psnr"] > delivered["whole_psnr"]).all()
    assert (pasted["hole_psnr"] == delivered["hole_psnr"]).all()
    for scores in (delivered, pasted):
        assert scores["answer_known_l1"].mean() == pytest.approx(0.02, abs=0.004)
    assert study.entrants[0].record["pasted"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: [path.unlink() for path in folder.iterdir()], "is called like a sample"),
        (
            lambda folder: write_image(folder / "0003.png", torch.zeros(3, 32, 64)),
            "1 of 10 pictures of service have not their photo's size, first 0003.png: "
            "64x32 found, 64x64 wanted",
        ),
        (lambda folder: shutil.copy(folder / "0002.png", folder / "0002.bmp"), "of one sample"),
        (lambda folder: (folder / "0001.png").write_text("no picture"), "cannot read"),
        (shutil.rmtree, "is no folder"),
    ],
)
def test_a_folder_that_will_not_do_is_one_line_before_anything_is_scored(
    pairs, tmp_path, capsys, spoil, message
):
    folder = answer(pairs, tmp_path / "answers")
    spoil(folder)
    words = ["--set", pairs, "--runs", tmp_path / "runs", "--entrant", f"service={folder}"]
    assert run(*words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not list(tmp_path.rglob("photos.csv"))


@pytest.mark.parametrize(
    ("entrant", "message"),
    [
        ("service=nowhere", "is no folder: give the one of service's pictures"),
        ("service=small", "32x32 found, 64x64 wanted"),
        ("service", "write NAME=FOLDER"),
        ("masks=pairs", "none of the 0 photos"),
    ],
)
def test_folders_that_will_not_do_are_said_before_the_masks_are_asked(
    pairs, tmp_path, capsys, monkeypatch, entrant, message
):
    assert run("--set", pairs, "--hand-out", tmp_path / "holes") == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs").mkdir()
    for mask in (tmp_path / "holes" / "masks").iterdir():
        # Half and half say nothing, so that only answers could.
        write_image(
            mask, torch.cat([torch.zeros(3, SIZE, SIZE // 2), torch.ones(3, SIZE, SIZE // 2)], 2)
        )
        write_image(tmp_path / "small" / mask.name, torch.zeros(3, SIZE // 2, SIZE // 2))
    capsys.readouterr()
    photos = "pairs" if entrant.startswith("masks") else "holes/photos"
    words = ["--photos", photos, "--masks", "holes/masks", "--runs", "runs"]
    assert run(*words, "--entrant", entrant.replace("masks=", "service=")) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "\n" not in said.rstrip()


def test_holes_are_handed_out_without_what_lies_under_them_and_come_back(pairs, tmp_path, capsys):
    holes, answers = tmp_path / "holes", tmp_path / "answers"
    assert run("--set", pairs, "--hand-out", holes) == 0
    assert f"--set {pairs} --entrant NAME=ANSWERS" in capsys.readouterr().out
    answers.mkdir()
    for sample in read_evaluation_set(pairs):
        name = f"{sample.name}.png"
        for form, black in (("masks", False), ("masks_black_is_hole", True)):
            assert torch.equal(read_mask(holes / form / name, None, black).mask, sample.mask)
        opacity = cv2.imread(str(holes / "transparent" / name), cv2.IMREAD_UNCHANGED)[..., 3]
        assert np.array_equal(opacity, 255 - 255 * sample.mask[0].numpy())
        for form in ("photos", "transparent"):
            # Whoever leaves the transparency out must not see the truth, either.
            pixels = cv2.imread(str(holes / form / name), cv2.IMREAD_COLOR)
            photo = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1) / 255
            torch.testing.assert_close(
                photo, torch.where(sample.mask > 0, 127 / 255, sample.image), rtol=0, atol=1e-6
            )
        # A program of anybody's, on the files alone.
        marked = cv2.imread(str(holes / "masks" / name), cv2.IMREAD_GRAYSCALE)
        pixels = cv2.imread(str(holes / "photos" / name))
        filled = cv2.inpaint(pixels, marked, 3, cv2.INPAINT_NS)
        assert cv2.imwrite(str(answers / name), filled)
    words = ["--set", pairs, "--runs", tmp_path, "--baseline", "telea"]
    assert run(*words, "--entrant", f"opencv={answers}") == 0
    assert run("--set", pairs, "--hand-out", holes) == 2, "nothing is written over"


def plain_folders(place, draw, black, photos=6):
    """Photos of two sizes and their masks; returns each photo and its hole by name."""
    generator = np.random.default_rng(0)
    made = {}
    for number in range(photos):
        height, width = (48, 80) if number % 2 else (64, 64)
        pixels = generator.random((height // 8, width // 8, 3)).astype(np.float32)
        photo = torch.from_numpy(cv2.resize(pixels, (width, height))).permute(2, 0, 1)
        hole = torch.from_numpy(draw(height, width))[None]
        write_image(place / "photos" / f"{number}.png", photo)
        marked = 1 - hole if black else hole
        write_image(place / "masks" / f"{number}_mask.png", marked.expand(3, -1, -1))
        made[str(number)] = read_image(place / "photos" / f"{number}.png"), hole
    return made


def box(height, width):
    mask = np.zeros((height, width), np.float32)
    mask[height // 4 : height // 2, width // 4 : width // 2] = 1
    return mask


def most(height, width):
    mask = np.ones((height, width), np.float32)
    mask[:, 2 * width // 3 :] = 0
    return mask


@pytest.mark.parametrize(
    ("draw", "black"), [(box, False), (box, True), (most, False), (most, True)]
)
def test_plain_folders_are_scored_whatever_marks_the_hole(tmp_path, capsys, draw, black):
    made = plain_folders(tmp_path, draw, black)
    generator = torch.Generator().manual_seed(0)
    fills = {}
    for name, (photo, hole) in made.items():
        noisy = (photo + 0.2 * torch.randn(photo.shape, generator=generator)).clamp(0, 1)
        write_image(tmp_path / "answers" / f"{name}.png", torch.where(hole > 0, noisy, photo))
        fills[name] = read_image(tmp_path / "answers" / f"{name}.png")
    words = ["--photos", tmp_path / "photos", "--masks", tmp_path / "masks"]
    words += ["--runs", tmp_path, "--baseline", "telea"]
    assert run(*words, "--entrant", f"noisy={tmp_path / 'answers'}") == 0
    colour = "black" if black else "white"
    printed = capsys.readouterr().out
    assert f"Masks: {colour} is the hole and" in printed
    assert f"levels where the masks are {colour}, by 0.0 where they are" in printed
    scores = open_study(tmp_path / "evaluation").entrants[0].best_scores
    for name, (photo, hole) in made.items():
        expected = measure(fills[name][None], photo[None], hole[None])["hole_psnr"]
        assert scores.loc[name, "hole_psnr"] == pytest.approx(float(expected), rel=1e-4)
    stated = "white-is-hole" if black else "black-is-hole"
    assert run(*words, "--entrant", f"noisy={tmp_path / 'answers'}", "--mask-polarity", stated) == 0
    assert f"note: --mask-polarity is {stated}, but what was answered" in capsys.readouterr().err
    # Without answers the masks must say it themselves, and do so only where they can.
    pairs, _ = pair_folders(tmp_path / "photos", tmp_path / "masks")
    if draw is box:
        assert find_polarity(pairs, {}).polarity == f"{colour}-is-hole"
    else:
        with pytest.raises(ValueError, match=r"do not say which colour .* give --mask"):
            find_polarity(pairs, {})


def test_masks_of_both_polarities_are_not_one_set(tmp_path):
    made = plain_folders(tmp_path, box, black=False)
    shutil.rmtree(tmp_path / "masks")
    answers = {}
    for name, (photo, hole) in made.items():
        marked = 1 - hole if name == "0" else hole
        write_image(tmp_path / "masks" / f"{name}.png", marked.expand(3, -1, -1))
        write_image(tmp_path / "answers" / f"{name}.png", photo * (1 - hole))
        answers[name] = [tmp_path / "answers" / f"{name}.png"]
    pairs, _ = pair_folders(tmp_path / "photos", tmp_path / "masks")
    with pytest.raises(ValueError, match=r"both polarities.*\(5 of them\) and black in 0\.png"):
        find_polarity(pairs, answers)


@pytest.mark.parametrize(("size", "said"), [(32, "but the photo is 64x64"), (64, "empty")])
def test_masks_that_will_not_do_are_said_before_anything_is_filled(tmp_path, size, said):
    plain_folders(tmp_path, box, black=False)
    write_image(tmp_path / "masks" / "4_mask.png", torch.zeros(3, size, size))
    with pytest.raises(ValueError, match=said):
        read_photo_folders(tmp_path / "photos", tmp_path / "masks", "white-is-hole")


def test_a_removal_is_measured_by_what_needs_no_truth(tmp_path, capsys):
    made = plain_folders(tmp_path, box, black=False)
    for name, (photo, hole) in made.items():
        flat = torch.where(hole > 0, torch.full_like(photo, 0.5), photo)
        write_image(tmp_path / "flat" / f"{name}.png", flat)
    words = ["--photos", tmp_path / "photos", "--masks", tmp_path / "masks", "--removal"]
    words += ["--runs", tmp_path, "--baseline", "patch-match", "--pictured", 2]
    assert run(*words, "--entrant", f"flat={tmp_path / 'flat'}") == 0
    study = open_study(tmp_path / "evaluation")
    flat = study.entrants[0].best_scores
    assert list(study.goals) == ["hole_texture_mismatch"]
    assert not any(name.endswith(("psnr", "ssim")) for name in flat)
    for name, (_, hole) in made.items():
        image = read_image(tmp_path / "flat" / f"{name}.png")
        for metric, value in measure_removal(image[None], hole[None]).items():
            assert flat.loc[name, metric] == pytest.approx(float(value), rel=1e-4, abs=1e-6)
    lead = study.compare(study.baselines[0], study.entrants[0], "rim_step")
    assert lead.is_clear
    assert lead.mean > 0
    assert "rim_step against patch-match" in capsys.readouterr().out
    assert report.main([str(tmp_path / "evaluation")]) == 0


def test_a_later_evaluation_shows_nothing_of_an_earlier_one(pairs, tmp_path, capsys):
    """Of other sets or networks under the same name, whose samples are called alike."""
    checkpoint = tmp_path / "network.pt"
    torch.save(describe_network(InpaintSANet(width=8), 1, ""), checkpoint)
    other = shutil.copytree(pairs, tmp_path / "other")
    words = ["--runs", tmp_path, "--baseline", "telea", "--pictured", "1"]
    folder = tmp_path / "evaluation"
    assert run(*words, "--checkpoint", checkpoint, "--set", pairs) == 0
    assert {run.label for run in open_study(folder).runs} == {"network.pt", "telea"}
    assert run(*words, "--checkpoint", checkpoint, "--set", pairs, other) == 0
    assert {run.name for run in open_study(folder).runs} == {"set", "other"}
    assert run(*words, "--checkpoint", checkpoint, "--set", pairs, other) == 0, "once more"
    kept = (folder / "set" / "photos.csv").read_bytes()
    named = ["--checkpoint", f"a={checkpoint}", "--checkpoint", f"b={checkpoint}"]
    capsys.readouterr()
    for options in ([*named, "--set", pairs], ["--checkpoint", checkpoint, "--set", pairs]):
        assert run(*words, *options) == 2
        said = capsys.readouterr().err
        assert "other evaluations lie in" in said
        assert "(other, set)" in said
    assert (folder / "set" / "photos.csv").read_bytes() == kept


def test_votes_on_a_removal_by_one_network_are_counted(tmp_path, capsys):
    plain_folders(tmp_path, box, black=False)
    checkpoint = tmp_path / "network.pt"
    torch.save(describe_network(InpaintSANet(width=8), 1, ""), checkpoint)
    words = ["--photos", tmp_path / "photos", "--masks", tmp_path / "masks", "--removal"]
    words += ["--runs", tmp_path, "--baseline", "telea", "--checkpoint", checkpoint]
    assert run(*words) == 0
    folder = tmp_path / "evaluation"
    for pair in draw_pairs(completions_of(open_study(folder)), 3, 0):
        add_vote(folder, vote(pair, "left", "somebody"))
    capsys.readouterr()
    assert select.main([str(folder), "--votes"]) == 0
    said = capsys.readouterr().out
    assert "hole_texture_mismatch" in said
    assert select.main([str(folder)]) == 2
    assert "is an evaluation" in capsys.readouterr().err
