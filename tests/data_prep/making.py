"""Archives and clips made from the photos that ship inside dependencies."""

import functools
import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lab.data.photo_sets import starter_photos
from lab.imaging import decode_photo
from lab.masks.silhouettes import draw_figure

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


@functools.cache
def starter_pixels():
    split = starter_photos()
    return [
        decode_photo(photo.path)
        for photo in (*split.training, *split.validation)
        # Kodak's ship with this package, and are too small to be cut from.
        if photo.path.parent.name != "starter_photos"
    ]


def photo_pixels(number, size=64):
    """A square of a real photo, another one for each number."""
    generator = np.random.default_rng(number)
    photo = starter_pixels()[number % len(starter_pixels())]
    side = 2 * size
    top, left = (int(generator.integers(length - side)) for length in photo.shape[:2])
    square = photo[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)


def jpeg(number, size=64, **options):
    file = io.BytesIO()
    Image.fromarray(photo_pixels(number, size)).save(file, "JPEG", quality=85, **options)
    return file.getvalue()


def member(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def write_tar(path, members, mode="w", form=tarfile.GNU_FORMAT):
    with tarfile.open(path, mode, format=form) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data) if data else None)
    return path


def easyformat(count=6):
    """The members of places365standard_easyformat.tar, in small."""
    yield member("places365_standard", type=tarfile.DIRTYPE)
    yield member("places365_standard/train.txt", b"train/airfield/00000001.jpg\n")
    for number in range(count):
        category = ("airfield", "zen_garden")[2 * number // count]
        yield member(f"places365_standard/train/{category}/{number + 1:08d}.jpg", jpeg(number))
    for number in range(count, count + 3):
        name = f"places365_standard/val/airfield/Places365_val_{number:08d}.jpg"
        yield member(name, jpeg(number))


def data_256(count=6):
    """The members of train_256_places365standard.tar, in small."""
    for number in range(count):
        category = ("a/airfield", "b/balcony/exterior")[2 * number // count]
        yield member(f"data_256/{category}/{number + 1:08d}.jpg", jpeg(number))


def val_256(count=6):
    """The members of val_256.tar, in small."""
    for number in range(count):
        yield member(f"val_256/Places365_val_{number + 1:08d}.jpg", jpeg(number))


def unpack(members, folder):
    for info, data in members:
        if not info.isdir():
            path = folder / info.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def read_json(path):
    return json.loads(Path(path).read_text())


class WalkingClip:
    """A clip whose truth is known: figures cut from other photos walk before a photo.

    Args:
        frames: of the clip.
        walkers: how many walk.
        stands: the first of them stands for this share of the clip and then walks off.
        shift: pixels that the camera moves a frame.
    """

    HEIGHT, WIDTH = 160, 240

    def __init__(self, frames=60, walkers=2, stands=0.0, shift=0.0):
        photo = starter_pixels()[7]
        self.view = cv2.resize(photo, (400, 280), interpolation=cv2.INTER_AREA)
        self.frames, self.stands, self.shift = frames, stands, shift
        generator = np.random.default_rng(0)
        self.figures = []
        for number in range(walkers):
            figure = draw_figure(generator).astype(np.uint8)
            scale = (80 - 20 * (number % 2)) / figure.shape[0]
            figure = cv2.resize(figure, None, fx=scale, fy=scale) > 0
            # Dark, as clothes mostly are, with a photo's texture.
            clothes = photo_pixels(number, 96)[: figure.shape[0], : figure.shape[1]]
            self.figures.append((figure, (clothes * 0.3).astype(np.uint8)))

    def background(self, number):
        left = 20 + round(self.shift * number)
        return self.view[40 : 40 + self.HEIGHT, left : left + self.WIDTH]

    def mask(self, number):
        mask = np.zeros((self.HEIGHT, self.WIDTH), bool)
        for index, (figure, _) in enumerate(self.figures):
            rows, columns = self._place(index, number)
            mask[rows, columns] |= figure
        return mask

    def people(self, number):
        """A frame without noise."""
        frame = self.background(number).copy()
        for index, (figure, clothes) in enumerate(self.figures):
            rows, columns = self._place(index, number)
            frame[rows, columns][figure] = clothes[figure]
        return frame

    def frame(self, number):
        frame = self.people(number)
        noise = np.random.default_rng(number).normal(0, 2, frame.shape)
        return np.clip(frame + noise, 0, 255).astype(np.uint8)

    def write(self, path):
        form = cv2.VideoWriter_fourcc(*"MJPG")
        video = cv2.VideoWriter(
            str(path), cv2.CAP_OPENCV_MJPEG, form, 10.0, (self.WIDTH, self.HEIGHT)
        )
        assert video.isOpened()
        for number in range(self.frames):
            video.write(cv2.cvtColor(self.frame(number), cv2.COLOR_RGB2BGR))
        video.release()
        return path

    def _place(self, index, number):
        """Where a figure is: walking from side to side on a line of its own."""
        figure, _ = self.figures[index]
        height, width = figure.shape
        room = self.WIDTH - width - 4
        walked = number / self.frames
        if index == 0 and self.stands:
            walked = 0.5 + max(0.0, walked - self.stands) / (1 - self.stands) / 2
        along = walked if index % 2 == 0 else 1.0 - walked
        left = 2 + round(along * room)
        top = (70, 8)[index % 2]
        return slice(top, top + height), slice(left, left + width)


class HandHeldClip(WalkingClip):
    """The same, by a camera that a hand turns; and so where everything was is known.

    Args:
        sway: pixels (root mean square) that it turns by to each side and up and down, and a sixth
            of it in degrees about its axis.
        jerks: frames in which it points elsewhere.
        fence: posts that stand so near that they are displaced by this many pixels more.
        gap: between two posts, in pixels.
        options: of a clip.
    """

    TOP, LEFT, FOCAL_LENGTH = 40, 80, 220.0

    def __init__(self, sway, jerks=(), fence=0.0, gap=88, **options):
        super().__init__(**options)
        self.sway, self.jerks, self.fence, self.gap = sway, jerks, fence, gap

    def turned(self, number):
        """By how many pixels it is turned to the side and down."""
        across = self.sway * (np.sin(0.9 * number) + np.sin(0.23 * number + 1))
        down = self.sway * (np.sin(0.7 * number + 2) + np.sin(0.31 * number + 3))
        return across + 36 * (number in self.jerks), down

    def pose(self, number):
        """Where a point that a camera at rest sees lies in a frame."""
        across, down = self.turned(number)
        roll = np.deg2rad(self.sway / 6) * np.sqrt(2) * np.sin(0.8 * number + 4)
        turn, _ = cv2.Rodrigues(np.array([-down, across, 0]) / self.FOCAL_LENGTH + [0, 0, roll])
        focal = np.diag([self.FOCAL_LENGTH, self.FOCAL_LENGTH, 1.0])
        centre = _moved_by((self.WIDTH - 1) / 2, (self.HEIGHT - 1) / 2)
        return centre @ focal @ turn @ np.linalg.inv(focal) @ np.linalg.inv(centre)

    def taken(self, scene, number):
        """What of a scene, as large as the view, a frame shows."""
        return self._cut(scene, self.pose(number), (self.WIDTH, self.HEIGHT))

    def aligned(self, scene, camera):
        """What of a scene the frames show that are aligned as a manifest says of its camera."""
        area = camera["area"]
        shown = self.taken(scene, camera["reference_frame"])
        return shown[
            area["top"] : area["top"] + area["height"], area["left"] : area["left"] + area["width"]
        ]

    def background(self, number):
        return self.view[self.TOP : self.TOP + self.HEIGHT, self.LEFT : self.LEFT + self.WIDTH]

    def mask_scene(self, number):
        return self._placed(np.zeros(self.view.shape[:2], np.uint8), self.mask(number))

    def people(self, number):
        frame = self.taken(self._placed(self.view, super().people(number)), number)
        if self.fence:
            posts = np.zeros(self.view.shape[:2], np.uint8)
            for left in range(50, posts.shape[1], 22 + self.gap):
                posts[:, left : left + 22] = 1
            wood = cv2.resize(photo_pixels(5, 140), posts.shape[::-1])
            share = self.fence * np.array(self.turned(number)) / self.sway
            pose = _moved_by(*share) @ self.pose(number)
            size = (self.WIDTH, self.HEIGHT)
            frame = np.where(
                self._cut(posts, pose, size)[..., None] == 1, self._cut(wood, pose, size), frame
            )
        return frame

    def _placed(self, scene, window):
        scene = scene.copy()
        scene[self.TOP : self.TOP + self.HEIGHT, self.LEFT : self.LEFT + self.WIDTH] = window
        return scene

    def _cut(self, scene, pose, size):
        places = _moved_by(self.LEFT, self.TOP) @ np.linalg.inv(pose)
        kernel = cv2.INTER_NEAREST if scene.ndim == 2 else cv2.INTER_LANCZOS4
        return cv2.warpPerspective(scene, places, size, flags=kernel | cv2.WARP_INVERSE_MAP)


def _moved_by(across, down):
    return np.array([[1, 0, across], [0, 1, down], [0, 0, 1]], float)
