"""GrabCut in a box: against shapes that are known, on real photos, and its rules."""

import cv2
import numpy as np
import pytest
import torch

from lab.imaging import from_uint8, read_image
from lab.mask_sources import GrabCut, NoPersonError, cut_by_box
from tests.data_prep.making import SHARED, photo_pixels


def overlap(mask, truth):
    """Intersection over union of a mask ``(1, 1, H, W)`` and bool ``(H, W)``."""
    found = mask[0, 0].numpy() == 1
    return (found & truth).sum() / (found | truth).sum()


def figure(height, width):
    """Bool ``(height, width)``: head, body and two legs, and the box round them."""
    drawn = np.zeros((height, width), np.uint8)
    unit = height // 20
    x = width // 2
    cv2.circle(drawn, (x, 5 * unit), 2 * unit, 1, -1)
    cv2.rectangle(drawn, (x - 3 * unit, 7 * unit), (x + 3 * unit, 12 * unit), 1, -1)
    for side in (-1, 1):
        left, right = sorted((x + side * unit, x + side * 3 * unit))
        cv2.rectangle(drawn, (left, 12 * unit), (right, 18 * unit), 1, -1)
    edge = unit
    x, y, across, down = cv2.boundingRect(drawn)
    return drawn > 0, (x - edge, y - edge, across + 2 * edge, down + 2 * edge)


def scene(size):
    """A figure in plain clothes before a real photo."""
    person, box = figure(size, size)
    pixels = cv2.resize(photo_pixels(3, 128), (size, size))
    noise = np.random.default_rng(0).integers(0, 30, (size, size, 3))
    pixels[person] = (np.array((200, 20, 160)) + noise)[person]
    return from_uint8(pixels)[None], person, box


@pytest.mark.parametrize(("size", "least"), [(128, 0.95), (400, 0.95), (1200, 0.9)])
def test_a_figure_before_a_photo_is_found(size, least):
    image, person, box = scene(size)
    mask = GrabCut(box)(image)
    assert overlap(mask, person) > least
    x, y, across, down = box
    mask[..., y : y + down, x : x + across] = 0
    assert not mask.any()  # nothing outside the box


def test_the_same_box_gives_the_same_mask_whatever_opencv_drew_before():
    image = from_uint8(photo_pixels(1, 128).copy())[None]
    masks = []
    for seed in (1, 3):  # which, left to themselves, differ in twenty pixels
        cv2.setRNGSeed(seed)
        masks.append(GrabCut((30, 20, 60, 90))(image))
    assert torch.equal(*masks)


def test_what_is_far_from_the_box_does_not_matter():
    image, _, box = scene(128)
    wide = torch.zeros(1, 3, 128, 600)
    wide[..., :128] = image
    wide[..., 250:] = torch.rand(1, 3, 128, 350, generator=torch.Generator().manual_seed(0))
    bare = wide.clone()
    bare[..., 250:] = 0
    assert torch.equal(GrabCut(box)(wide), GrabCut(box)(bare))


PEOPLE = {
    # A box, and points on the person and beside the person, read off the photos by eye.
    "person_01.jpg": ((0, 60, 620, 620), [(350, 319), (85, 460)], [(342, 473), (560, 450)]),
    "person_12.jpg": ((60, 45, 170, 240), [(140, 65), (140, 120), (130, 200)], [(80, 100)]),
    "person_17.jpg": ((74, 5, 110, 250), [(128, 40), (128, 100), (115, 200)], [(90, 60)]),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared photos are not here")
@pytest.mark.parametrize("name", PEOPLE)
def test_people_in_real_photos_are_found(name):
    box, on, beside = PEOPLE[name]
    mask = GrabCut(box)(read_image(SHARED / "people" / name)[None])[0, 0]
    assert [mask[y, x].item() for x, y in on] == [1.0] * len(on)
    assert [mask[y, x].item() for x, y in beside] == [0.0] * len(beside)
    assert 0.05 < mask.mean() < 0.3


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((0, 0, 0, 10), "box is 0,0,0,10, but must be x,y,width,height"),
        ((-1, 0, 10, 10), "box is -1,0,10,10"),
        ((30, 0, 11, 10), "ends at x = 41, y = 10, but the photo is 40x30"),
        ((0, 25, 10, 6), "ends at x = 10, y = 31, but the photo is 40x30"),
        ((50, 50, 5, 5), "but the photo is 40x30"),
        ((0, 0, 40, 30), "leaves no background"),
    ],
)
def test_a_box_that_will_not_do_is_refused(box, message):
    with pytest.raises(ValueError, match=message):
        GrabCut(box)(noise(30, 40))


def noise(height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("box", [(0, 100, 1, 1500), (3, 3, 1200, 1590)])
def test_a_box_in_which_nothing_differs_from_what_is_around_it_is_refused(box):
    # One column would vanish, and a rim of three pixels would, too, in the smaller picture.
    with pytest.raises(NoPersonError, match=",".join(map(str, box))):
        GrabCut(box, iterations=1)(noise(1600, 1210))


def test_a_box_of_one_pixel_that_stands_out_gives_that_pixel():
    image = torch.zeros(1, 3, 20, 20)
    image[..., 7, 5] = 1
    assert torch.equal(GrabCut((5, 7, 1, 1))(image), image[:, :1])


def test_specks_of_the_background_are_left_out():
    image, _, box = scene(400)
    x, y, across, _ = box
    colour = image[0, :, 200, 200]
    image[..., y + 10 : y + 13, x + across - 13 : x + across - 10] = colour[:, None, None]
    image[..., y + 300 : y + 330, x + 5 : x + 15] = colour[:, None, None]
    mask = GrabCut(box)(image)
    assert mask[..., 200, 200] == 1
    assert not mask[..., y + 8 : y + 15, x + across - 15 : x + across - 8].any()
    assert mask[..., y + 315, x + 10] == 1  # too large for a speck: a foot, perhaps


def test_iterations_are_counted():
    with pytest.raises(ValueError, match="iterations is 0, but must be at least 1"):
        GrabCut((0, 0, 1, 1), iterations=0)


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((10, 10, 60, 70), None),
        ((10, 10, 60, 40), "the lower side"),
        ((25, 25, 30, 60), "the left and upper side"),
        ((10, 10, 90, 80), None),
    ],
)
def test_a_box_that_cuts_the_person_is_said(box, said):
    x, y, width, height = box
    mask = torch.zeros(1, 1, 100, 100)
    mask[..., 20:75, 20:50] = 1
    inside = torch.zeros_like(mask)
    inside[..., y : y + height, x : x + width] = 1
    note = cut_by_box(mask * inside, box)
    assert (note is None) if said is None else (said in note)


def test_a_person_who_leaves_the_photo_is_not_cut_by_the_box():
    mask = torch.zeros(1, 1, 100, 100)
    mask[..., 40:, 30:60] = 1
    assert cut_by_box(mask, (20, 30, 50, 70)) is None
