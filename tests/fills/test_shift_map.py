"""OpenCV's shift map, and what it cannot do by itself."""

import ctypes
from contextlib import contextmanager

import cv2
import pytest
import torch
import torch.nn.functional as F

from lab.data.photo_sets import starter_photos
from lab.fills import OpenCVInpainting, ShiftMap
from lab.imaging import read_image
from lab.metrics import measure
from tests.fills.textures import HOLE, TEXTURES
from tests.strategies.networks import box, noise


@pytest.fixture(params=TEXTURES)
def texture(request):
    return TEXTURES[request.param]()


def test_what_repeats_is_continued(texture):
    found, plain = (
        float(measure(method(texture, HOLE), texture, HOLE)["hole_psnr"])
        for method in (ShiftMap(), OpenCVInpainting("telea"))
    )
    assert found > plain + 5


def test_the_same_whatever_the_threads_and_the_random_state():
    image, mask = noise(70, 80), box(70, 80, (20, 50), (20, 60))
    strategy = ShiftMap(blend=False)
    completed = strategy(image, mask)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        cv2.setRNGSeed(7)
        assert torch.equal(strategy(image, mask), completed)
    finally:
        cv2.setNumThreads(threads)


@contextmanager
def left_in_memory(number, every):
    """Freed blocks of the size of OpenCV's list of shifts, with a whole number in them.

    Of ``every`` second block, those between are kept, so that the allocator cannot join them: it
    then puts some at hand whenever it looks for one, beside the one that is handed out.
    """
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    blocks = [library.malloc(488) for _ in range(512)]
    for block in blocks:
        ctypes.memmove(block, number.to_bytes(4, "little") * 122, 488)
    for block in blocks[::every]:
        library.free(block)
    library.free(library.malloc(4096))  # it sorts them
    yield
    for block in set(blocks) - set(blocks[::every]):
        library.free(block)


@pytest.mark.parametrize("every", [1, 2])
def test_the_same_whatever_lay_in_memory_before(every):
    # It is read past the end of a list, and matters to small photos.
    strategy, mask = ShiftMap(blend=False), box(32, 32, (6, 24), (8, 24))
    for photo in starter_photos().training[:6]:
        image = read_image(photo.path)[None, :, :256, :256]
        image = F.interpolate(image, size=(32, 32), mode="bilinear", antialias=True).clamp(0, 1)
        completed = strategy(image, mask)
        for number in (1, 3, 9):
            with left_in_memory(number, every):
                assert torch.equal(strategy(image, mask), completed), photo.path.name


def test_known_colours_are_never_rounded():
    image, mask = torch.full((1, 3, 40, 40), 1 / 3), box(40, 40, (10, 20), (10, 20))
    completed = ShiftMap(blend=False)(image, mask)
    assert torch.equal(completed[mask.expand_as(image) == 0], image[mask.expand_as(image) == 0])
    # 8-bit Lab, in the hole.
    torch.testing.assert_close(completed, image, rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("rows", "columns", "height", "width"),
    [
        ((0, 20), (0, 30), 64, 64),
        ((0, 64), (0, 63), 64, 64),  # one column is known
        ((2, 62), (2, 62), 64, 64),
        ((5, 6), (5, 6), 11, 11),
        ((1, 5), (0, 3), 6, 3),
        ((0, 1), (0, 1), 1, 2),
    ],
)
def test_where_no_shift_reaches_the_colours_around_are_spread(rows, columns, height, width):
    """By itself, OpenCV leaves such pixels at 0 in Lab, a dark blue."""
    image, mask = 0.5 + noise(height, width) / 2, box(height, width, rows, columns)
    completed = ShiftMap()(torch.where(mask > 0, 0.0, image), mask)
    assert completed[mask.expand_as(image) > 0].min() > 0.35


def test_parts_of_a_hole_far_from_each_other_are_completed_each_for_itself():
    image = noise(60, 400)
    first, second = box(60, 400, (20, 40), (30, 50)), box(60, 400, (20, 40), (350, 370))
    both = ShiftMap()(image, first + second)
    for mask in (first, second):
        torch.testing.assert_close(ShiftMap()(image, mask) * mask, both * mask)


def test_wrong_options_are_refused_at_once():
    with pytest.raises(ValueError, match="context_share is -1"):
        ShiftMap(context_share=-1)
    with pytest.raises(ValueError, match=r"sample \[0\] covers the whole image"):
        ShiftMap()(noise(8, 9), torch.ones(1, 1, 8, 9))
