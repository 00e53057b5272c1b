"""Clips from the hand, against a clip whose every pose and pixel is known."""

import re

import cv2
import numpy as np
import pytest

from data_prep.clean_plate import main
from data_prep.stabilization import LOST, SWUNG, UNCOVERED, find_stabilizer
from lab.data.evaluation_sets import read_evaluation_set
from lab.imaging import decode_photo, read_mask
from tests.data_prep.making import HandHeldClip, WalkingClip, photo_pixels, read_json


def frames(clip):
    return np.stack([clip.frame(number) for number in range(clip.frames)])


def sharpness(picture, where):
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    slopes = cv2.Sobel(gray, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(gray, cv2.CV_32F, 0, 1) ** 2
    return np.sqrt(slopes[where].mean())


def triplets(folder):
    for record in read_json(folder / "manifest.json")["triplets"]:
        frame, background = (
            decode_photo(folder / record[kind]["file"]) for kind in ("frame", "background")
        )
        yield record, frame, read_mask(folder / record["mask"]["file"]).mask[0] == 1, background


@pytest.fixture(scope="module")
def hand():
    # In five of the frames somebody pushes the camera.
    return HandHeldClip(sway=3, jerks=(0, 12, 18, 24, 51))


@pytest.fixture(scope="module")
def clip(hand, tmp_path_factory):
    return hand.write(tmp_path_factory.mktemp("clip") / "hand.avi")


@pytest.fixture(scope="module")
def whole(clip, tmp_path_factory):
    dest = tmp_path_factory.mktemp("hand") / "triplets"
    assert main([str(clip), str(dest), "--every", "0.3"]) == 0
    return dest


def test_triplets_are_what_a_camera_at_rest_would_have_given(whole, hand):
    camera = read_json(whole / "manifest.json")["camera"]
    truth = hand.aligned(hand.view, camera).astype(float)
    plate = decode_photo(whole / "plate.png")
    covered, alike = [], []
    for record, frame, mask, background in triplets(whole):
        people = hand.aligned(hand.mask_scene(record["frame_number"]), camera) == 1
        mask = mask.numpy()
        assert frame.shape == background.shape == truth.shape
        assert np.array_equal(frame[~mask], background[~mask])
        # MJPG's own error on this photo is 4 levels.
        assert np.abs(background - truth)[mask].mean() < 7
        assert not (mask & (cv2.dilate(people.astype(np.uint8), np.ones((27, 27))) == 0)).any()
        covered.append((mask & people).sum() / people.sum())
        alike.append(sharpness(frame, ~mask) / sharpness(plate, ~mask))
    assert np.mean(covered) > 0.99
    assert min(covered) > 0.95
    # Video is noisier than the plate; resampling blurs neither.
    assert 1.0 < np.mean(alike) < 1.1
    everywhere = np.ones(plate.shape[:2], bool)
    assert sharpness(plate, everywhere) > 0.97 * sharpness(truth.astype(np.uint8), everywhere)


def test_the_manifest_says_how_well_frames_were_aligned(whole, hand):
    manifest = read_json(whole / "manifest.json")
    camera = manifest["camera"]
    assert camera["compensated"]
    assert 0 < camera["displacement"]["median"] < 0.15
    assert camera["displacement"]["median"] < camera["displacement"]["largest"] < 0.5
    errors = {record["displacement"] for record in manifest["triplets"]}
    assert max(errors) == camera["displacement"]["largest"]
    corners = np.array([[[0, 0]], [[239, 0]], [[239, 159]], [[0, 159]]], float)
    reference = np.linalg.inv(hand.pose(camera["reference_frame"]))
    swings = [
        np.linalg.norm(
            cv2.perspectiveTransform(corners, hand.pose(number) @ reference) - corners, axis=2
        ).max()
        for number in range(hand.frames)
        if number not in hand.jerks
    ]
    assert camera["swing"]["median"] == pytest.approx(np.median(swings), abs=0.5)
    assert camera["swing"]["largest"] == pytest.approx(max(swings), abs=1)
    assert sum(camera["left_out_of_plate"].values()) == len(hand.jerks)
    assert sum(manifest["left_out"].values()) == sum(number % 3 == 0 for number in hand.jerks)
    assert all("camera swung" in why or "not found" in why for why in manifest["left_out"])


def test_no_pixel_lies_outside_a_frame(whole, hand):
    camera = read_json(whole / "manifest.json")["camera"]
    seen = np.ones((hand.HEIGHT, hand.WIDTH), np.float32)
    # All that Lanczos' kernel reads.
    seen[:3], seen[-4:], seen[:, :3], seen[:, -4:] = 0, 0, 0, 0
    area = camera["area"]
    for number in set(range(hand.frames)) - set(hand.jerks):
        pose = hand.pose(number) @ np.linalg.inv(hand.pose(camera["reference_frame"]))
        shown = cv2.warpPerspective(
            seen, pose, (hand.WIDTH, hand.HEIGHT), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
        )
        part = shown[area["top"] :, area["left"] :][: area["height"], : area["width"]]
        assert part.shape == (area["height"], area["width"])
        # A pixel of the border at most, where the pose was estimated by so much beside.
        assert cv2.erode(1 - part, np.ones((3, 3))).sum() == 0
    assert area["width"] * area["height"] > 0.7 * hand.WIDTH * hand.HEIGHT


def test_the_same_clip_gives_the_same_files_on_any_number_of_threads(clip, whole, tmp_path):
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1 if threads > 1 else 4)
    cv2.setRNGSeed(1234)
    try:
        assert main([str(clip), str(tmp_path / "again"), "--every", "0.3"]) == 0
    finally:
        cv2.setNumThreads(threads)
    again = (tmp_path / "again" / "manifest.json").read_bytes()
    assert again == (whole / "manifest.json").read_bytes()


def test_aligned_triplets_are_read_as_an_evaluation_set(whole, clip, tmp_path):
    assert main([str(clip), str(tmp_path / "crops"), "--crop", "200"]) == 0
    area = read_json(whole / "manifest.json")["camera"]["area"]
    assert read_evaluation_set(whole).size == (area["height"], area["width"])
    crops = read_evaluation_set(tmp_path / "crops")
    assert crops.size == (min(200, area["height"]),) * 2
    assert crops[0].image.shape[-2:] == crops.size


@pytest.mark.parametrize(
    ("sway", "compensated"), [(0.0, False), (0.1, False), (0.5, True), (3.0, True)]
)
def test_below_half_a_pixel_nothing_is_resampled(sway, compensated):
    stabilizer, left_out = find_stabilizer(frames(HandHeldClip(sway=sway)))
    assert (stabilizer is not None) == compensated
    assert not left_out


def test_a_camera_that_was_pushed_once_is_left_as_it_is(tmp_path):
    """As are its files: the frames in question are left out, and the plate does not show them."""
    pushed = HandHeldClip(sway=0.0, jerks=range(40, 48))
    assert find_stabilizer(frames(pushed))[0] is None
    pushed.write(tmp_path / "pushed.avi")
    assert main([str(tmp_path / "pushed.avi"), str(tmp_path / "dest"), "--every", "0.5"]) == 0
    manifest = read_json(tmp_path / "dest" / "manifest.json")
    assert manifest["camera"]["compensated"] is False
    assert manifest["left_out"] == {
        "frames in which the camera moved or the light changed at once": 2
    }


def test_who_walks_before_a_fifth_of_the_picture_does_not_pull_it_along():
    hand = HandHeldClip(sway=2, walkers=0)
    walker = cv2.resize(photo_pixels(3, 100), (48, 160))
    samples = frames(hand)
    for number, sample in enumerate(samples):
        sample[:, 3 * number : 3 * number + 48] = walker
    stabilizer, left_out = find_stabilizer(samples)
    assert not left_out
    camera = {"reference_frame": stabilizer.reference, "area": vars(stabilizer.area)}
    truth = hand.aligned(hand.view, camera).astype(float)
    errors = []
    for number, sample in enumerate(samples):
        error = np.abs(stabilizer.steady(sample) - truth).mean(axis=2)
        left = max(0, 3 * number - stabilizer.area.left - 15)
        error[:, left : left + 78] = np.nan
        errors.append(np.nanmean(error))
    a_pixel_beside = np.abs(np.roll(truth, 1, axis=1) - truth).mean()
    # Noise alone is 1.6.
    assert np.median(errors) < 0.3 * a_pixel_beside
    assert max(errors) < 0.7 * a_pixel_beside


def test_a_frame_that_cannot_be_aligned_says_why():
    hand = HandHeldClip(sway=1)
    samples = frames(hand)
    stabilizer, _ = find_stabilizer(samples)
    area = stabilizer.area
    assert stabilizer.steady(samples[3]).shape == (area.height, area.width, 3)
    for across, why in ((10, UNCOVERED), (18, SWUNG)):
        assert stabilizer.steady(np.roll(samples[stabilizer.reference], across, axis=1)) == why
    assert stabilizer.steady(np.random.default_rng(0).permuted(samples[0], axis=0)) == LOST


def test_a_picture_without_corners_is_as_it_was():
    flat = np.full((12, 90, 120, 3), 90, np.uint8)
    assert find_stabilizer(flat) == (None, {})


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (WalkingClip(shift=1.0), rf"moves: in \d+ of 60 frames .* \(not aligned: .*\d+ {SWUNG}"),
        (HandHeldClip(sway=8), rf"moves: in \d+ of 60 frames .* \(not aligned: .*\d+ {SWUNG}"),
        (HandHeldClip(sway=2, fence=2, gap=68), r"moves from its place: .*, \d\d % of the picture"),
    ],
)
def test_cameras_that_pan_or_walk_are_refused(tmp_path, capsys, made, message):
    made.write(tmp_path / "clip.avi")

    assert main([str(tmp_path / "clip.avi"), str(tmp_path / "dest")]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.match(f"error: the camera of .*clip.avi {message}", said)
    assert "A clean plate needs a camera that" in said


def test_what_stands_so_near_that_it_is_displaced_is_not_taken_for_truth(tmp_path):
    fence = HandHeldClip(sway=3, fence=2, gap=108)
    fence.write(tmp_path / "fence.avi")
    dest = tmp_path / "dest"

    assert main([str(tmp_path / "fence.avi"), str(dest), "--crop", "48", "--every", "0.2"]) == 0

    manifest = read_json(dest / "manifest.json")
    camera = manifest["camera"]
    assert 0.1 < camera["share_beside"] < 0.2
    empty = HandHeldClip(sway=3, fence=2, gap=108, walkers=0)
    truth = empty.people(camera["reference_frame"])[
        camera["area"]["top"] :, camera["area"]["left"] :
    ].astype(float)
    errors = []
    for record, _, mask, background in triplets(dest):
        crop = record["crop"]
        shown = truth[crop["top"] :, crop["left"] :][: crop["height"], : crop["width"]]
        shown = cv2.resize(shown, background.shape[1::-1], interpolation=cv2.INTER_AREA)
        errors.append(np.abs(background - shown)[mask.numpy()].mean())
    assert manifest["left_out"]["views behind which the plate is not to be trusted"] > 10
    assert len(errors) > 10
    assert max(errors) < 12
    assert np.mean(errors) < 4
