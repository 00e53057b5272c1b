"""OpenCV's classical inpainting."""

import cv2
import pytest
import torch

from lab.fills import OpenCVInpainting
from lab.imaging import from_uint8, to_uint8


@pytest.fixture(params=["telea", "navier-stokes"])
def method(request):
    return request.param


def test_a_ramp_is_continued(method):
    image = torch.linspace(0, 1, 48).expand(1, 3, 40, 48).clone()
    mask = torch.zeros(1, 1, 40, 48)
    mask[..., 15:25, 20:26] = 1
    completed = OpenCVInpainting(method)(torch.where(mask > 0, 0.0, image), mask)
    assert (completed - image).abs().max() < 0.1


def test_equal_to_plain_opencv_away_from_the_borders(method):
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:20, 12:18] = 1
    flag = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}[method]
    plain = from_uint8(cv2.inpaint(to_uint8(image[0]), to_uint8(mask[0]), 3.0, flag))
    completed = OpenCVInpainting(method)(image, mask)
    assert torch.equal(completed[0], torch.where(mask[0] > 0, plain, image[0]))


def test_the_radius_matters(method):
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:20, 10:20] = 1
    near, far = (OpenCVInpainting(method, radius)(image, mask) for radius in (1.0, 10.0))
    assert not torch.equal(near, far)


def test_an_empty_mask_never_reaches_opencv(method, monkeypatch):
    monkeypatch.setattr("cv2.inpaint", None)
    image = torch.full((2, 3, 8, 8), 1 / 3)
    assert torch.equal(OpenCVInpainting(method)(image, torch.zeros(2, 1, 8, 8)), image)


def test_a_mask_over_everything_is_refused(method):
    mask = torch.zeros(2, 1, 8, 8)
    mask[1] = 1
    with pytest.raises(ValueError, match=r"sample \[1\] covers the whole image"):
        OpenCVInpainting(method)(torch.zeros(2, 3, 8, 8), mask)


def test_wrong_parameters_are_refused_at_once():
    with pytest.raises(ValueError, match="Did you mean 'telea'"):
        OpenCVInpainting("talea")
    with pytest.raises(ValueError, match="radius is 0"):
        OpenCVInpainting(radius=0)
