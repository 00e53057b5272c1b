"""What W&B keeps of a run while offline: configuration, losses, metrics, pictures by epoch."""

import time

import pytest

from lab.metrics import METRICS
from tests.tiny import fit_tiny
from tests.tracking.offline_run import config, history, records


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny run of two epochs, with six validation samples, tracked offline."""
    folder = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        fit_tiny(folder, "--data.validation_crops=2", "--fit.epochs=2", "--fit.log_every=1")
    return folder


@pytest.fixture(scope="module")
def file(run):
    (path,) = run.glob("wandb/offline-run-*/*.wandb")
    # W&B's own process writes the file, and may still be at it when the run has ended here.
    end = time.monotonic() + 30
    while not any(record.WhichOneof("record_type") == "exit" for record in records(path)):
        assert time.monotonic() < end, "W&B never wrote the end of the run"
        time.sleep(0.1)
    return path


def test_the_settings_are_kept(file):
    kept = config(file)
    assert kept["data"]["size"] == 32
    assert kept["fit"]["epochs"] == 2
    assert kept["model"]["init_args"]["network"]["init_args"]["width"] == 8


def test_every_metric_is_logged_once_an_epoch(file):
    scored = [step for step in history(file) if "val/hole_psnr" in step]
    assert [step["epochs_trained"] for step in scored] == [1, 2]
    for step in scored:
        assert {f"val/{name}" for name in METRICS} <= step.keys()


def test_every_weighted_loss_is_logged(file):
    losses = {key for step in history(file) for key in step if key.startswith("train/")}
    for term in ("total", "hole_l1", "known_l1", "coarse_hole_l1", "adversarial", "discriminator"):
        assert f"train/{term}" in losses
    assert not any("ms_ssim" in key for key in losses), "a term of weight 0 is not computed"


def test_six_photos_are_shown_after_every_epoch_as_images(run, file):
    shown = [step for step in history(file) if any("visuals/" in key for key in step)]
    assert [step["epochs_trained"] for step in shown] == [1, 2]
    media = file.parent / "files"
    for step in shown:
        photos = {key.rsplit(".", 1)[0] for key in step if key.startswith("visuals/")}
        assert len(photos) == 6
        for photo in photos:
            assert step[f"{photo}._type"] == "images/separated"  # no table: offline loses theirs
            assert step[f"{photo}.captions"] == [
                "photo with its hole",
                "coarse",
                "refined",
                "completed",
                "truth",
            ]
            for name in step[f"{photo}.filenames"]:
                assert (media / name).stat().st_size > 0
    names = [{key for key in step if key.startswith("visuals/")} for step in shown]
    assert names[0] == names[1], "the same photos in every epoch"


def test_the_same_pictures_lie_in_the_run_folder(run):
    photos = list((run / "visuals").iterdir())
    assert len(photos) == 6
    for photo in photos:
        names = {path.name for path in photo.iterdir()}
        epochs = {
            f"epoch-{epoch:03d}-{stage}.png"
            for epoch in (1, 2)
            for stage in ("coarse", "refined", "completed")
        }
        assert names == {"truth.png", "hole.png"} | epochs


def test_the_run_ended_well(file):
    assert [
        record.exit.exit_code
        for record in records(file)
        if record.WhichOneof("record_type") == "exit"
    ] == [0]
