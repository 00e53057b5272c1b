"""Morphology on tensors is OpenCV's, with its default kernel and borders."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from lab.imaging import dilate, distance_to_known, erode, rim


@pytest.fixture(params=[(40, 40), (31, 53), (5, 64), (1, 9)])
def mask(request):
    height, width = request.param
    generator = np.random.default_rng(0)
    rough = generator.random((3, 1, height, width)) < 0.2
    rough[1] = False
    rough[1, :, : height // 2 + 1, : width // 3] = True  # touches two borders of the image
    rough[2] = generator.random((height, width)) < 0.9
    return torch.from_numpy(rough).float()


@pytest.mark.parametrize("iterations", [0, 1, 3, 10])
@pytest.mark.parametrize(("ours", "opencv"), [(dilate, cv2.dilate), (erode, cv2.erode)])
def test_equal_to_opencv(mask, iterations, ours, opencv):
    square = np.ones((3, 3), np.uint8)
    theirs = [opencv(sample[0].numpy(), square, iterations=iterations) for sample in mask]
    assert torch.equal(ours(mask, iterations), torch.from_numpy(np.stack(theirs))[:, None])


def test_opencv_default_kernel_is_the_square_meant_above():
    image = (np.random.default_rng(1).random((20, 20)) < 0.1).astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    assert np.array_equal(cv2.dilate(image, None), cv2.dilate(image, square))


@pytest.mark.parametrize("width", [1, 4])
def test_rim_is_within_reach_of_both_sides(mask, width):
    band = rim(mask, width)
    near_hole, near_known = dilate(mask, width), dilate(1 - mask, width)
    assert torch.equal(band, near_hole * near_known)


def test_rim_of_a_square_is_a_frame():
    mask = torch.zeros(1, 1, 30, 30)
    mask[..., 10:20, 10:20] = 1
    band = rim(mask, 2)
    assert band.sum() == 14**2 - 6**2
    assert band[0, 0, 8, 8] == 1
    assert band[0, 0, 12, 12] == 0


def test_rim_is_empty_only_without_a_border():
    full = torch.ones(1, 1, 9, 9)
    assert not rim(full, 3).any()
    assert not rim(1 - full, 3).any()
    full[..., 0, 0] = 0
    assert rim(full, 3).any()


def test_the_depth_of_a_hole_is_the_distance_to_the_nearest_known_pixel(mask):
    theirs = [ndimage.distance_transform_edt(sample[0].numpy()) for sample in mask]
    torch.testing.assert_close(
        distance_to_known(mask), torch.from_numpy(np.stack(theirs))[:, None].float()
    )


def test_depth_is_measured_within_the_image_and_is_infinite_where_nothing_is_known():
    corner = torch.ones(1, 1, 3, 4)
    corner[..., 0, 0] = 0
    # Nothing beyond the border is known: only the corner is.
    wanted = [[(row**2 + column**2) ** 0.5 for column in range(4)] for row in range(3)]
    nothing = torch.ones_like(corner)
    depth = distance_to_known(torch.cat([corner, nothing, 1 - nothing]))
    torch.testing.assert_close(depth[0, 0], torch.tensor(wanted))
    assert depth[1].isposinf().all()
    assert not depth[2].any()


@pytest.mark.parametrize("step", [dilate, erode, rim])
def test_wrong_numbers_and_masks_are_refused(step):
    mask = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match="is -1, but must be at least"):
        step(mask, -1)
    with pytest.raises(ValueError, match="must be exactly 0"):
        step(mask + 0.5, 1)
