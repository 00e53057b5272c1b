"""``import lab``: five lines of a notebook, as they are written there."""

import subprocess
import sys

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

import lab
from lab.checks import UserError
from lab.completion import complete_picture
from lab.imaging import UnreadablePhotoError, read_image
from lab.strategies import DEFAULT_METHOD
from lab.training import AdversarialCompletion
from lab.variants import VARIANTS
from lab.widgets import Comparison
from tests.tiny import PROJECT, fit_tiny

SMALL = {"settings": {"judges.whole.width": 8}, "width": 8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos of a person's own, and one with a mask."""
    folder = tmp_path_factory.mktemp("mine")
    draws = np.random.default_rng(0)
    for index in range(8):
        pixels = draws.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((100, 80)).save(folder / f"photo{index}.jpg", quality=95)
    mask = np.zeros((80, 100), np.uint8)
    mask[20:60, 40:60] = 255
    (folder / "masks").mkdir()
    Image.fromarray(mask).save(folder / "masks" / "photo0.png")
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        folder = tmp_path_factory.mktemp("run") / "first"
        fit_tiny(folder, "--fit.epochs=1", "--model.strategy=lab.strategies.Feathered")
    return folder / "checkpoints" / "epoch-001.pt"


def trainer(folder, **options):
    settings = {
        "default_root_dir": folder,
        "accelerator": "cpu",
        "max_epochs": 1,
        "limit_train_batches": 2,
        "limit_val_batches": 1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(**{**settings, **options})


def test_importing_it_is_at_once():
    code = "import time; t = time.perf_counter(); import lab; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 0.2
    assert set(dir(lab)) >= {"variant", "photos", "open_study", "open_run", "complete", "compare"}
    with pytest.raises(AttributeError, match="lab has no 'varaint'"):
        lab.varaint  # noqa: B018


def test_a_variant_fits_photos_of_64_pixels_under_any_trainer(folder, tmp_path):
    module = lab.variant("both_gates", **SMALL)
    best = ModelCheckpoint(tmp_path, monitor="val/hole_ssim", mode="max")
    stop = EarlyStopping("val/hole_psnr", mode="max")
    trained = trainer(tmp_path, callbacks=[best, stop])
    trained.fit(module, lab.photos(folder, size=64, batch_size=2))
    assert module.network.gate == "both"
    assert module.network.width == 8
    assert module.judges["whole"].smallest_side == 32
    assert set(trained.callback_metrics) >= {"val/hole_ssim", "train/hole_l1", "epochs_trained"}
    again = AdversarialCompletion.load_from_checkpoint(best.best_model_path)
    assert again.network.gate == "both"
    state = again.state_dict()
    assert state.keys() == module.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in module.state_dict().items())
    trainer(tmp_path, callbacks=[best]).fit(again, lab.photos(folder, size=64, batch_size=2))


def test_a_trainer_may_count_steps_instead_of_epochs(folder, tmp_path):
    """Lightning counts each optimizer's; the learning rate ends where one over epochs does."""
    rates = []
    for limits in ({"max_epochs": 2}, {"max_epochs": None, "max_steps": 8}):
        module = lab.variant(**SMALL, schedule="cosine")
        trained = trainer(tmp_path, enable_checkpointing=False, **limits)
        trained.fit(module, lab.photos(folder, size=64, batch_size=2))
        assert trained.global_step == 8
        rates.append([optimizer.param_groups[0]["lr"] for optimizer in trained.optimizers])
    assert rates[0] == rates[1]
    assert rates[0][0] == pytest.approx(0.01 * module.optimization.generator_learning_rate)
    endless = trainer(tmp_path, max_epochs=-1)
    with pytest.raises(ValueError, match="say max_epochs or max_steps"):
        endless.fit(lab.variant(**SMALL), lab.photos(folder, size=64, batch_size=2))


def test_loaders_alone_need_the_photos_size(folder, tmp_path):
    data = lab.photos(folder, size=64)
    module = lab.variant(**SMALL)
    with pytest.raises(ValueError, match=r"call module\.prepare\(SIZE\) first"):
        trainer(tmp_path).fit(module, data.train_dataloader(), data.val_dataloader())
    module.prepare(64)
    trainer(tmp_path).fit(module, data.train_dataloader(), data.val_dataloader())


def test_variants_combine_and_settings_go_on_top(tmp_path):
    module = lab.variant("both_gates", "structural_loss", ms_ssim=0.5, warmup_steps=3, **SMALL)
    assert module.network.gate == "both"
    assert module.objective.weights.ms_ssim == 0.5
    assert module.optimization.warmup_steps == 3
    torch.manual_seed(3)
    first = lab.variant(**SMALL).state_dict()
    torch.manual_seed(3)
    second = lab.variant(**SMALL).state_dict()
    assert all(torch.equal(second[name], value) for name, value in first.items())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: lab.variant("both_gate"), "Did you mean 'both_gates'"),
        (lambda: lab.variant(widht=8), "Did you mean 'width'"),
        (lambda: lab.variant(width="wide"), "width"),
        (lambda: lab.variant(width=9), "must be even"),
        (lambda: lab.variant("segmented_person"), "lab.evaluate --variant=segmented_person"),
        (lambda: lab.photos(variant="both_gates"), r"lab\.variant\('both_gates'\)"),
        (lambda: lab.photos("no/such/folder"), "no/such/folder is no folder of photos"),
        (lambda: lab.photos(sise=64), "nearest is --data.size"),
        (lambda: lab.complete("a.jpg", "m.png", method="teela"), "Did you mean 'telea'"),
        (lambda: lab.complete("a.jpg", "m.png", variant="tiled"), "put on a trained network"),
        (lambda: lab.compare([], "a.jpg", "m.png"), "nothing to compare"),
        (lambda: lab.compare(["b.pt"], "a.jpg", "m.png"), "neither a checkpoint nor a method"),
    ],
)
def test_mistakes_are_named_with_the_nearest_right_word(call, said):
    with pytest.raises(UserError, match=said):
        call()


def test_photos_of_a_variant_are_drawn_its_way():
    assert type(lab.photos(variant="boxes_only", size=64).masks).__name__ == "Boxes"
    assert lab.photos().size == 256


def test_every_documented_variant_is_listed():
    table = lab.list_variants()
    assert list(table.index) == list(VARIANTS)
    assert table.loc["both_gates", "number"] == "V3.1.2"


@pytest.mark.parametrize("kind", ["paths", "PIL", "uint8", "float", "bool"])
def test_a_photo_is_completed_however_it_is_given(folder, kind):
    photo, mask = folder / "photo0.jpg", folder / "masks" / "photo0.png"
    expected = lab.complete(photo, mask)
    given = {
        "paths": (str(photo), str(mask)),
        "PIL": (Image.open(photo), Image.open(mask)),
        "uint8": (np.asarray(Image.open(photo)), np.asarray(Image.open(mask)) // 255),
        "float": (np.asarray(Image.open(photo)) / 255.0, np.asarray(Image.open(mask)) / 255.0),
        "bool": (np.asarray(Image.open(photo)), np.asarray(Image.open(mask)) > 0),
    }[kind]
    result = lab.complete(*given)
    assert np.array_equal(result.image, expected.image)
    known = expected.mask[0].numpy() == 0
    assert np.array_equal(np.asarray(result.image)[known], np.asarray(Image.open(photo))[known])
    assert not np.array_equal(np.asarray(result.image), np.asarray(Image.open(photo)))
    assert f"pixels restored by {DEFAULT_METHOD}" in repr(result)
    assert result._repr_png_().startswith(b"\x89PNG")


def test_a_network_completes_by_the_strategy_that_it_was_trained_with(folder, checkpoint, tmp_path):
    photo, mask = folder / "photo0.jpg", folder / "masks" / "photo0.png"
    trained = lab.complete(photo, mask, checkpoint=checkpoint)
    tiled = lab.complete(photo, mask, checkpoint=checkpoint, variant="tiled_as_documented")
    assert not np.array_equal(trained.image, tiled.image)
    saved = trained.save(tmp_path / "out.png")
    assert np.array_equal(Image.open(saved), trained.image)
    with pytest.raises(UserError, match="changes more than the strategy"):
        lab.complete(photo, mask, checkpoint=checkpoint, variant="both_gates")


def test_a_loss_is_saved_where_it_is_allowed(folder, tmp_path):
    result = lab.complete(folder / "photo0.jpg", folder / "masks" / "photo0.png", method="telea")
    with pytest.raises(ValueError, match=r"allow the loss with .*lossy=True"):
        result.save(tmp_path / "out.jpg")
    saved = result.save(tmp_path / "out.jpg", lossy=True)
    assert Image.open(saved).format == "JPEG"


def test_a_person_is_taken_out_of_a_box(folder):
    pixels = np.full((80, 100, 3), 200, np.uint8)
    pixels[20:70, 40:60] = (20, 40, 160)
    result = lab.complete(pixels, person="grabcut", box=(30, 10, 40, 65), dilate=2)
    assert np.asarray(result.image)[45, 50, 2] > 180
    assert not result.notes


@pytest.mark.parametrize(
    ("photo", "mask", "error", "said"),
    [
        (np.zeros((8, 8, 5), np.uint8), None, ValueError, r"the photo has shape \(8, 8, 5\)"),
        (np.full((8, 8, 3), 3.0), None, ValueError, r"values in \[3, 3\]"),
        (np.zeros((8, 8, 3), np.int64), None, TypeError, "array of int64"),
        (torch.zeros(3, 8, 8), None, TypeError, "the photo is Tensor"),
        ("nowhere.png", None, UnreadablePhotoError, "no such file"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool), ValueError, "the mask"),
        (np.zeros((8, 8, 3), np.uint8), np.ones((4, 8), bool), ValueError, "the mask"),
    ],
)
def test_a_picture_that_will_not_do_is_named(photo, mask, error, said):
    with pytest.raises(error, match=said):
        lab.complete(photo, np.eye(8, dtype=bool) if mask is None else mask)


def test_results_are_compared_side_by_side_and_scored_by_a_truth(folder, checkpoint):
    photo, mask = folder / "photo0.jpg", folder / "masks" / "photo0.png"
    compared = lab.compare([checkpoint, "telea"], photo, mask)
    assert list(compared.results) == ["epoch-001.pt", "telea"]
    assert not len(compared.scores)
    assert list(compared.without_truth.index) == ["epoch-001.pt", "telea"]
    assert (compared.without_truth["texture_mismatch"] > 0).all()
    compared = lab.compare([checkpoint, "telea"], photo, mask, truth=photo)
    assert list(compared.scores.index) == ["epoch-001.pt", "telea"]
    assert compared.scores.loc["telea", "hole_psnr"] > 5
    compared.right.value = "truth"
    assert compared.wipe.right_name == "truth"
    with pytest.raises(ValueError, match="equally large"):
        lab.compare(["telea"], photo, mask, truth=np.zeros((8, 8, 3)))
    with pytest.raises(ValueError, match="one name"):
        lab.compare(["telea", "telea"], photo, mask)


def test_without_a_truth_a_seam_is_seen_in_levels(tmp_path):
    pixels = np.full((96, 96, 3), 120, np.uint8)
    hole = np.zeros((96, 96), np.uint8)
    hole[30:70, 40:60] = 255
    pixels[hole > 0] = 132

    made = [
        complete_picture(pixels, hole, lambda image, mask, guides: image, "as it is"),
        lab.complete(pixels, hole, method="telea"),
    ]
    steps = Comparison(made).without_truth["rim_step"]
    assert steps["as it is"] == pytest.approx(12, abs=0.1)
    assert steps["telea"] == pytest.approx(0, abs=0.1)


def test_anything_of_these_is_shown(folder, capsys):
    result = lab.complete(folder / "photo0.jpg", folder / "masks" / "photo0.png")
    lab.show(result, folder / "photo1.jpg", read_image(folder / "photo1.jpg"), result.image)
    assert f"restored by {DEFAULT_METHOD}" in capsys.readouterr().out
