"""How near the plate of a clip from the hand comes to the truth, aligned and as it was filmed.

``python -m tests.benchmarks.plates [CLIP]``: figures walk before a photo, and a hand whose motion
is known films it; or films CLIP, of a camera that stood, whose own plate is then the truth.
"""

import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from data_prep.clips import CameraCheck, Clip
from data_prep.plates import estimate_plate
from data_prep.stabilization import find_stabilizer
from tests.data_prep.making import HandHeldClip

SWAYS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 3.0, 4.0)
_FRAMES = 100
_SURE = 0.5
_RIM = 8


class ShakenClip(HandHeldClip):
    """Frames of 480x360 of a camera that stood, as a hand would have filmed them."""

    HEIGHT, WIDTH, FOCAL_LENGTH = 280, 400, 400.0

    def __init__(self, sway, filmed):
        super().__init__(sway, frames=len(filmed), walkers=0)
        self.filmed = filmed

    def frame(self, number):
        return self.taken(self.filmed[number], number)


def measure(hand, truth, sure, folder):
    """Print a row: the plate's error both ways, and the alignment's, as it is stated and known."""
    frames = np.stack([hand.frame(number) for number in range(hand.frames)])
    rest = (slice(hand.TOP, hand.TOP + hand.HEIGHT), slice(hand.LEFT, hand.LEFT + hand.WIDTH))
    filmed = decibels(estimate_plate(frames, folder), truth[rest], sure[rest])
    row = f"{hand.sway:4.1f} {filmed:9.1f}"
    stabilizer, left_out = find_stabilizer(frames)
    if stabilizer is None:
        print(row, f"  refused: {dict(left_out)}" if left_out else "  stands", flush=True)
        return
    steady = [(number, stabilizer.steady(frame)) for number, frame in enumerate(frames)]
    steady = [(number, frame) for number, frame in steady if not isinstance(frame, str)]
    aligned = np.stack([frame for _, frame in steady])
    plate = estimate_plate(aligned, folder)
    camera = {"reference_frame": stabilizer.reference, "area": vars(stabilizer.area)}
    error = decibels(plate, *(hand.aligned(scene, camera) for scene in (truth, sure)))
    check = CameraCheck(plate.as_pixels())
    stated = [check.look(frame).median for frame in aligned]
    known = [pose_error(hand, stabilizer, number, frames[number]) for number, _ in steady]
    area = stabilizer.area.width * stabilizer.area.height / (hand.WIDTH * hand.HEIGHT)
    errors = " ".join(f"{np.median(each):7.2f} {max(each):7.2f}" for each in (stated, known))
    print(row, f"{error:9.1f} {errors} {100 * area:5.0f} % {len(steady):5d}", flush=True)


def decibels(plate, truth, sure):
    """PSNR where the truth is sure, but for the rim, in which kernels reach out of the picture."""
    inner = (slice(_RIM, -_RIM),) * 2
    error = plate.as_pixels()[inner].astype(float) - truth[inner]
    return 10 * np.log10(255**2 / np.square(error[sure[inner] == 1]).mean())


def pose_error(hand, stabilizer, number, frame):
    """How far a frame's pose is from the true one, in pixels: the mean over a grid."""
    x, y = np.meshgrid(np.linspace(0, hand.WIDTH - 1, 9), np.linspace(0, hand.HEIGHT - 1, 9))
    points = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    true = hand.pose(number) @ np.linalg.inv(hand.pose(stabilizer.reference))
    found, there = (
        cv2.perspectiveTransform(points, pose) for pose in (stabilizer.pose(frame), true)
    )
    return np.linalg.norm(found - there, axis=2).mean()


def main():
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        hands = map(HandHeldClip, SWAYS)
        truth = HandHeldClip(0).view
        sure = np.ones(truth.shape[:2], np.uint8)
        if sys.argv[1:]:
            clip = Clip(Path(sys.argv[1]))
            every = max(1, clip.declared_frames // _FRAMES)
            filmed = np.stack([frame for _, frame in clip.frames(every)])
            plate = estimate_plate(filmed, folder)
            truth, sure = plate.as_pixels(), (plate.coverage > _SURE).astype(np.uint8)
            hands = (ShakenClip(sway, filmed) for sway in SWAYS)
        print("sway  as filmed  aligned  stated  (most)   known  (most)   area frames")
        for hand in hands:
            measure(hand, truth, sure, folder)


if __name__ == "__main__":
    main()
