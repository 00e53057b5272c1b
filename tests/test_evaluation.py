"""Scoring: the same photos and holes as a run's validation, and people really removed."""

import shutil

import numpy as np
import pytest
import torch

from data_prep import clean_plate
from lab import evaluate
from lab.checks import UserError
from lab.command_line import INTERRUPTED
from lab.data import PhotoDataModule, read_evaluation_set
from lab.evaluation import Evaluation, Tasks, judge, judging
from lab.fills import OpenCVInpainting
from lab.guides import find_edges
from lab.imaging import dilate
from lab.mask_sources import NoPersonError
from lab.metrics import METRICS, measure
from lab.parsing import SettingsError
from lab.results import open_run
from tests.data_prep.making import WalkingClip
from tests.tiny import fit_tiny, read_photos, tiny_experiment


@pytest.fixture(scope="module")
def triplets(tmp_path_factory):
    """Figures that walk before a photo: undilated masks, and what was really behind."""
    folder = tmp_path_factory.mktemp("triplets")
    clip = WalkingClip(frames=40, walkers=1).write(folder / "clip.avi")
    options = ["--crop", "64", "--dilate", "0"]
    assert clean_plate.main([str(clip), str(folder / "set"), *options]) == 0
    return folder / "set"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        fit_tiny(folder, "--fit.epochs=1", "--data.validation_crops=1")
    return folder


class Truth:
    """Fills with what was really there, wherever it may fill."""

    def __init__(self, known):
        self.samples = {sample.image.numpy().tobytes(): sample.truth for sample in known}

    def __call__(self, image, mask, guides=None):
        truth = torch.stack([self.samples[one.numpy().tobytes()] for one in image])
        return torch.where(mask > 0, truth, image)


def scores(strategy, tasks):
    return [one for judged in judge(strategy, tasks) for one in judged.scores]


def test_the_methods_to_compare_with_are_chosen_and_no_others_stay(
    run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    arguments = ["--checkpoint", str(run / "checkpoints" / "epoch-001.pt"), "--runs", str(tmp_path)]
    options = ["--data.size=32", "--data.validation_photos=1"]
    earlier = tmp_path / "evaluation" / "baselines" / "telea"
    earlier.mkdir(parents=True)
    (earlier / "photos.csv").write_text("of other photos")
    assert evaluate.main([*arguments, "--baseline=patch-match", *options]) == 0
    printed = capsys.readouterr().out
    assert "hole_psnr against patch-match" in printed
    assert "telea" not in printed
    assert evaluate.main([*arguments, "--baseline=patchmatch", *options]) == 2
    assert "Did you mean 'patch-match'" in capsys.readouterr().err


def test_a_checkpoint_gets_the_scores_of_its_own_run(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    arguments = ["--checkpoint", str(run / "checkpoints" / "epoch-001.pt"), "--runs", str(tmp_path)]
    options = ["--data.size=32", "--data.validation_photos=3"]
    assert evaluate.main([*arguments, *options]) == 0
    before, again = read_photos(run), read_photos(tmp_path / "evaluation")
    common = before.index.intersection(again.index)
    assert len(common) == 3 * len(METRICS)  # every metric of a completed photo
    np.testing.assert_allclose(again.loc[common], before.loc[common], rtol=1e-4, atol=1e-5)
    printed = capsys.readouterr().out
    assert "hole_psnr against telea" in printed
    photo = next((tmp_path / "evaluation" / "visuals").iterdir())
    names = {path.name for path in photo.iterdir()}
    assert {"truth.png", "hole.png", "epoch-001-completed.png", "epoch-001-coarse.png"} <= names


def test_what_a_tight_mask_leaves_of_the_person_counts(triplets):
    """The truth fills every hole perfectly: what is lost is what the mask did not cover."""
    truth = Truth(read_evaluation_set(triplets))
    data = tiny_experiment().data
    reached = {}
    for dilation in (0, 4):
        asked = Evaluation(set=triplets, dilation=dilation)
        reached[dilation] = scores(truth, Tasks(asked, data))
    for tight, wide in zip(reached[0], reached[4], strict=True):
        assert tight.hole_ratio == wide.hole_ratio  # scored on the same pixels
        assert wide.metrics["hole_rmse"] <= tight.metrics["hole_rmse"]


def test_a_hole_that_covers_its_whole_photo_is_refused_by_name(triplets, run, tmp_path, capsys):
    first = next(iter(Tasks(Evaluation(set=triplets), tiny_experiment().data))).sample[0]
    checkpoint = run / "checkpoints" / "epoch-001.pt"
    line = ["--checkpoint", str(checkpoint), "--runs", str(tmp_path), "--set", str(triplets)]
    assert evaluate.main([*line, "--evaluation.scored_dilation=64"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: the mask of sample {first}")
    assert "is full, but a photo is measured only with a hole and known pixels around it" in said
    assert said.count("\n") == 1
    assert not list(tmp_path.rglob("photos.csv"))


def test_triplets_are_scored_against_the_background_round_the_person(triplets):
    strategy = OpenCVInpainting("telea")
    tasks = Tasks(Evaluation(set=triplets, dilation=2, scored_dilation=5), tiny_experiment().data)
    found = scores(strategy, tasks)
    samples = read_evaluation_set(triplets)
    for one, sample in zip(found, samples, strict=True):
        mask = sample.mask[None]
        completed = strategy(sample.image[None], dilate(mask, 2))
        expected = measure(completed, sample.truth[None], dilate(mask, 5))
        assert (one.sample, one.photo) == (sample.name, "clip.avi")
        assert one.metrics["hole_psnr"] == pytest.approx(float(expected["hole_psnr"]))


def test_a_score_that_is_no_number_is_refused_by_its_sample(triplets, monkeypatch):
    broken = judging.measure

    def measured(*given):
        found = broken(*given)
        return found | {"hole_ssim": found["hole_ssim"] * torch.nan}

    monkeypatch.setattr(judging, "measure", measured)
    with pytest.raises(UserError, match=r"hole_ssim of \S+ is not finite"):
        scores(OpenCVInpainting("telea"), Tasks(Evaluation(set=triplets), PhotoDataModule(size=32)))


def test_guides_are_of_the_mask_that_is_filled_and_of_what_is_to_be_there(triplets):
    photos = PhotoDataModule(size=32, guides=["edges", "sketch", "noise"])
    noises = {}
    for dilation in (0, 3):
        for task in Tasks(Evaluation(set=triplets, dilation=dilation), photos):
            assert torch.equal(task.guides["edges"], find_edges(task.image, task.mask))
            assert not (task.guides["sketch"] * (1 - task.mask)).any()
            noises[dilation] = task.guides["noise"]
            # A person sketches the background, not who is taken out.
            behind = torch.where(task.mask > 0, task.truth, task.image)
            near = dilate(find_edges(behind, torch.zeros_like(task.mask)), 4)
            assert (task.guides["sketch"] * near).sum() >= 0.9 * task.guides["sketch"].sum()
    assert torch.equal(noises[0], noises[3])
    assert len({one.numpy().tobytes() for one in noises[0]}) == len(noises[0])


def attacked_tasks(photos, share, where=None):
    """What is filled, by sample, with a share of the holes attacked."""
    tasks = list(Tasks(Evaluation(set=where, boundary_attack=share), photos))
    for task in tasks:
        assert torch.equal(task.mask * (1 - task.scored), torch.zeros_like(task.mask))
    found = {}
    for task in tasks:
        rows = zip(task.sample, task.image, task.mask, task.scored, strict=True)
        found |= {name: tensors for name, *tensors in rows}
    return found, tasks


@pytest.mark.parametrize("on_a_set", [False, True])
def test_borders_are_attacked_sample_by_sample_and_the_more_alike(triplets, on_a_set):
    photos = PhotoDataModule(size=48, validation_crops=12, guides=["edges", "noise"])
    where = triplets if on_a_set else None
    (plain, drawn), (some, _), (more, edged) = (
        attacked_tasks(photos, share, where) for share in (0.0, 0.3, 1.0)
    )
    hit = [name for name in plain if not torch.equal(some[name][1], plain[name][1])]
    assert all(not torch.equal(more[name][1], plain[name][1]) for name in plain)
    if not on_a_set:
        assert 0.15 * len(plain) < len(hit) < 0.45 * len(plain)
    for name, (image, mask, scored) in plain.items():
        assert torch.equal(more[name][0], image)
        assert (more[name][1] >= mask).all()
        assert torch.equal(more[name][2], torch.maximum(scored, more[name][1]))
        if name in hit:
            assert torch.equal(some[name][1], more[name][1])
    # Guides go by the hole that is filled; the noise is the sample's.
    for before, after in zip(drawn, edged, strict=True):
        assert torch.equal(after.guides["edges"], find_edges(after.image, after.mask))
        assert torch.equal(after.guides["noise"], before.guides["noise"])


def test_a_share_of_attacks_is_a_probability():
    with pytest.raises(ValueError, match=r"evaluation\.boundary_attack is 30, but a probability"):
        Evaluation(boundary_attack=30)


class BoxItself:
    """In GrabCut's place: marks the whole box it was given, or sees nobody in narrow ones."""

    def __init__(self, box):
        self.box = box

    def __call__(self, image):
        left, top, width, height = self.box
        if width < 8:
            raise NoPersonError("nobody")
        mask = torch.zeros_like(image[:, :1])
        mask[:, :, top : top + height, left : left + width] = 1
        return mask


def test_grabcut_gets_a_box_round_the_marked_person(triplets, monkeypatch):
    monkeypatch.setattr("lab.evaluation.tasks.MASK_SOURCES", {"grabcut": BoxItself})
    tasks = Tasks(Evaluation(set=triplets, person="grabcut"), tiny_experiment().data)
    found = {}
    for task in tasks:
        found.update(zip(task.sample, task.mask, strict=True))
    for sample in read_evaluation_set(triplets):
        box = found[sample.name]
        if sample.name in tasks.not_found:
            assert not box.any()  # nothing is filled, and that is said
            continue
        covered = (box * sample.mask).sum() / sample.mask.sum()
        # All but a person's pixels at the photo's border, where some background must stay.
        assert covered > 0.9
        assert box.sum() <= 2.5 * _extent(sample.mask)


def _extent(mask):
    rows, columns = mask[0].any(1).nonzero(), mask[0].any(0).nonzero()
    return (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--evaluation.dilation=3"], "need triplets"),
        (["--evaluation.threshold=1.5"], r"must lie in \(0, 1\)"),
        (["--evaluation.scored_dilation=-1"], "must not be negative"),
        (["--evaluation.dilatoin=1"], "nearest is --evaluation.dilation"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        tiny_experiment(*options)


def test_too_few_validation_photos_are_said_before_anything_is_scored():
    with pytest.raises(ValueError, match="fid"):
        Tasks(Evaluation(also=["fid"]), PhotoDataModule(size=32, validation_crops=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--checkpoint FILE is missing"),
        (["--checkpoint", "no-such.pt"], "no-such.pt"),
        (["--checkpoint", "RUN", "--set", "no-such-folder"], "no-such-folder"),
        (["--checkpoint", "RUN", "--evaluation.person=u2net"], "triplets"),
    ],
)
def test_the_command_says_what_is_wrong(run, tmp_path, capsys, arguments, message):
    path = str(run / "checkpoints" / "epoch-001.pt")
    given = [path if word == "RUN" else word for word in arguments]
    try:
        status = evaluate.main([*given, "--runs", str(tmp_path)])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("photos.csv"))


def test_a_second_evaluation_replaces_the_first_whole(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    fit_tiny(tmp_path / "other", "--fit.epochs=2", "--fit.seed=1", "--data.validation_crops=1")
    options = ["--runs", str(tmp_path / "runs"), "--data.size=32", "--data.validation_photos=3"]
    for network in (run / "checkpoints/epoch-001.pt", tmp_path / "other/checkpoints/epoch-002.pt"):
        assert evaluate.main(["--checkpoint", str(network), *options]) == 0
    left = open_run(tmp_path / "runs" / "evaluation")
    assert list(left.epochs.index) == [2]
    expected = open_run(tmp_path / "other").scores_at(2)["hole_ssim"]
    assert left.best_scores["hole_ssim"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-5)
    assert left.checkpoint == tmp_path / "other" / "checkpoints" / "epoch-002.pt"
    assert set(left.pictures["epoch"].dropna()) == {2}


def test_scores_are_of_the_network_that_is_named_though_a_second_evaluation_was_cut_off(
    run, tmp_path, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    options = ["--runs", str(tmp_path / "runs"), "--data.size=32", "--data.validation_photos=1"]
    network = run / "checkpoints" / "epoch-001.pt"
    assert evaluate.main(["--checkpoint", str(network), *options]) == 0
    other = tmp_path / "other.pt"
    shutil.copy(network, other)

    def cut_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lab.runs.evaluating.judge", cut_off)
    assert evaluate.main(["--checkpoint", str(other), *options]) == INTERRUPTED
    left = open_run(tmp_path / "runs" / "evaluation")
    assert left.checkpoint == network
    assert len(left.best_scores)


@pytest.mark.parametrize("kept", ["photos.csv", "study.db"])
def test_an_evaluation_takes_no_place_of_a_training_or_a_study(run, tmp_path, capsys, kept):
    place = tmp_path / "mine"
    if kept == "photos.csv":
        shutil.copytree(run, place)
    else:
        (place / "baselines" / "telea").mkdir(parents=True)
        (place / kept).write_bytes(b"a database")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    network = str(run / "checkpoints" / "epoch-001.pt")
    options = ["--data.size=32", "--runs", str(tmp_path), "--name", "mine"]
    assert evaluate.main(["--checkpoint", network, *options]) == 2
    assert "lies in" in capsys.readouterr().err
    assert all(path.read_bytes() == data for path, data in before.items())
    assert (place / "baselines" / "telea").exists() == (kept == "study.db")
