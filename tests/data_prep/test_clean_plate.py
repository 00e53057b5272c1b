"""Triplets of frame, mask and background, against a clip whose truth is known."""

import hashlib
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep import triplets
from data_prep.clean_plate import main
from data_prep.clips import CameraCheck
from data_prep.differences import light_drift
from lab.imaging import decode_photo, read_mask
from tests.data_prep.making import SHARED, WalkingClip, photo_pixels, read_json

CAMPUS = SHARED / "clip" / "campus.avi"


def triplet(folder, record):
    frame, background = (
        decode_photo(folder / record[kind]["file"]).astype(float)
        for kind in ("frame", "background")
    )
    mask = read_mask(folder / record["mask"]["file"]).mask[0].numpy() == 1
    return frame, mask, background


@pytest.fixture(scope="module")
def walking():
    return WalkingClip()


@pytest.fixture(scope="module")
def clip(walking, tmp_path_factory):
    return walking.write(tmp_path_factory.mktemp("clip") / "walking.avi")


@pytest.fixture(scope="module")
def whole(clip, tmp_path_factory):
    dest = tmp_path_factory.mktemp("whole") / "triplets"
    assert main([str(clip), str(dest), "--every", "0.3"]) == 0
    return dest


def test_masks_cover_the_people_and_little_else(whole, walking):
    records = read_json(whole / "manifest.json")["triplets"]
    assert len(records) == 20
    covered = []
    for record in records:
        truth = walking.mask(record["frame_number"])
        _, mask, _ = triplet(whole, record)
        covered.append((mask & truth).sum() / truth.sum())
        # No more than the dilation and the gaps between legs that are closed.
        assert not (mask & (cv2.dilate(truth.astype(np.uint8), np.ones((25, 25))) == 0)).any()
        assert record["hole_ratio"] == pytest.approx(mask.mean(), abs=1e-6)
    # Here and there an arm has the colour of the roof behind it.
    assert np.mean(covered) > 0.995
    assert min(covered) > 0.97


def test_backgrounds_are_what_was_hidden(whole, walking):
    for record in read_json(whole / "manifest.json")["triplets"]:
        frame, mask, background = triplet(whole, record)
        truth = walking.background(record["frame_number"]).astype(float)
        assert np.array_equal(frame[~mask], background[~mask])
        # MJPG's own error on this photo is 4 levels.
        assert np.abs(background - truth)[mask].mean() < 6
        assert np.abs(frame - truth)[walking.mask(record["frame_number"])].mean() > 40


def test_the_manifest_has_the_hashes_of_all_files(whole, clip):
    manifest = read_json(whole / "manifest.json")
    entries = [manifest["plate"], manifest["coverage"]]
    entries += [record[kind] for record in manifest["triplets"] for kind in ("frame", "mask")]
    entries += [record["background"] for record in manifest["triplets"]]
    for entry in entries:
        data = (whole / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    files = {path.relative_to(whole).as_posix() for path in whole.rglob("*.png")}
    assert files == {entry["file"] for entry in entries}
    assert manifest["clip"]["sha256"] == hashlib.sha256(clip.read_bytes()).hexdigest()


def test_the_coverage_map_is_dark_where_people_passed(whole, walking):
    coverage = decode_photo(whole / "coverage.png")[..., 0] / 255
    passed = np.mean([walking.mask(number) for number in range(walking.frames)], axis=0)
    assert coverage[passed == 0].mean() > 0.99
    assert np.corrcoef(coverage.ravel(), passed.ravel())[0, 1] < -0.8
    assert read_json(whole / "manifest.json")["coverage"]["share_never_changed"] > 0.2


@pytest.mark.parametrize("crop", [64, 128])
def test_crops_show_each_person_with_context(clip, tmp_path, crop):
    dest = tmp_path / "crops"
    sheet = tmp_path / "sheet.png"
    assert main([str(clip), str(dest), "--crop", str(crop), "--sheet", str(sheet)]) == 0
    records = read_json(dest / "manifest.json")["triplets"]
    assert len(records) >= 20
    for record in records:
        frame, mask, background = triplet(dest, record)
        assert frame.shape == background.shape == (crop, crop, 3)
        assert np.array_equal(frame[~mask], background[~mask])
        assert 0.02 < mask.mean() <= 0.6
        person = record["person"]
        box = mask[
            person["top"] : person["top"] + person["height"],
            person["left"] : person["left"] + person["width"],
        ]
        assert box.mean() > 0.5
        assert record["crop"]["width"] >= crop
    # Where the person is large the crop shows twice its height, shrunk.
    assert max(record["crop"]["width"] for record in records) >= 120
    assert decode_photo(sheet).shape[1] > 6 * crop


def test_who_stands_for_most_of_the_clip_is_taken_out(tmp_path):
    """In the plain median he is the background, and who he hides is a ghost."""
    stood = WalkingClip(walkers=2, stands=0.65)
    clip, dest = stood.write(tmp_path / "stood.avi"), tmp_path / "triplets"
    assert main([str(clip), str(dest), "--every", "0.1"]) == 0

    truth = stood.background(0).astype(float)
    standing = stood.mask(0) & stood.mask(30)
    plain = np.median([stood.frame(number) for number in range(stood.frames)], axis=0)
    assert np.abs(plain - truth)[standing].mean() > 40
    plate = decode_photo(dest / "plate.png")
    assert np.abs(plate - truth)[standing].mean() < 10
    manifest = read_json(dest / "manifest.json")
    assert manifest["coverage"]["share_repaired"] > 0.01
    errors = []
    for record in manifest["triplets"]:
        _, mask, background = triplet(dest, record)
        errors.append(np.abs(background - truth)[mask].mean())
    assert max(errors) < 10


def test_the_same_clip_gives_the_same_files(clip, whole, tmp_path):
    assert main([str(clip), str(tmp_path / "again"), "--every", "0.3"]) == 0
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (
        whole / "manifest.json"
    ).read_bytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: WalkingClip(shift=1.0).write(path), "camera of .* moves"),
        (lambda path: WalkingClip(frames=24, walkers=0).write(path), "nobody moves"),
        (lambda path: WalkingClip(frames=5).write(path), "too few"),
        (lambda path: path.write_text("no video"), "no clip that can be read"),
        (lambda path: path, "there is no clip"),
    ],
)
def test_clips_that_cannot_serve(tmp_path, capfd, make, message):
    make(tmp_path / "clip.avi")

    assert main([str(tmp_path / "clip.avi"), str(tmp_path / "dest")]) == 2
    # OpenCV has its own say above it.
    assert re.match(f"error: .*{message}", capfd.readouterr().err.splitlines()[-1])


def test_a_finished_folder_is_not_written_over(clip, whole, capsys):
    before = (whole / "manifest.json").stat().st_mtime_ns
    assert main([str(clip), str(whole)]) == 2
    assert "is finished already" in capsys.readouterr().err
    assert (whole / "manifest.json").stat().st_mtime_ns == before


def test_a_folder_with_something_else_is_left_alone(clip, tmp_path, capsys):
    (tmp_path / "frames").mkdir()
    assert main([str(clip), str(tmp_path)]) == 2
    assert "holds something else (frames)" in capsys.readouterr().err


def test_the_camera_check_measures_displacement():
    photo = cv2.resize(photo_pixels(3, 160), (320, 240))
    check = CameraCheck(photo)
    assert check.look(photo).median == pytest.approx(0, abs=0.1)
    assert check.look(np.roll(photo, 3, axis=1)).median == pytest.approx(3, abs=0.3)
    assert not check.look(np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8)).stands
    brighter = np.clip(photo * 1.2 + 5, 0, 255).astype(np.uint8)
    assert check.look(brighter).stands
    nothing = CameraCheck(np.full_like(photo, 90)).look(photo)
    assert nothing.median is None
    assert nothing.stands


def test_light_that_changes_is_followed():
    plate = photo_pixels(2, 200).astype(np.float32)
    clouds = np.linspace(-8, 8, 200)[None, :, None]
    frame = 1.15 * plate - 12 + clouds
    person = frame.copy()
    person[60:140, 80:110] = 20
    drift = light_drift(person.astype(np.float32), plate)
    assert np.abs(plate + drift - frame).mean() < 2
    assert np.abs(plate + drift - frame)[60:140, 80:110].mean() < 3


@pytest.mark.slow
@pytest.mark.skipif(not CAMPUS.is_file(), reason="needs ../shared/data/clip/campus.avi")
def test_the_campus_clip_gives_hundreds_of_crops(tmp_path):
    assert main([str(CAMPUS), str(tmp_path / "crops"), "--crop", "128"]) == 0
    manifest = read_json(Path(tmp_path, "crops", "manifest.json"))
    assert len(manifest["triplets"]) >= 300
    assert manifest["coverage"]["share_not_trusted"] < 0.01


def test_two_calls_do_not_fill_one_folder(clip, tmp_path, monkeypatch, capsys):
    """The second would clear away what the first has written so far."""
    again = []

    def write_meanwhile(*arguments):
        if not again:
            again.append(main([str(clip), str(tmp_path / "out"), "--every", "0.3"]))
        return write_png(*arguments)

    write_png = triplets.write_png
    monkeypatch.setattr(triplets, "write_png", write_meanwhile)
    assert main([str(clip), str(tmp_path / "out"), "--every", "0.3"]) == 0
    assert again == [2]
    assert "another process is writing" in capsys.readouterr().err
    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert all((tmp_path / "out" / one["frame"]["file"]).exists() for one in manifest["triplets"])
