"""GMSD and VSI: how alike the edges and colours of two photos are to an eye, without a network.

GMSD is the deviation of the gradients' similarity over the photo: Wufeng Xue, Lei Zhang, Xuanqin
Mou and Alan C. Bovik, "Gradient Magnitude Similarity Deviation" (TIP 2014). VSI weighs the
similarity of saliency, gradients and colours by the saliency: Lin Zhang, Ying Shen and Hongyu Li,
"VSI: A Visual Saliency-Induced Index for Perceptual Image Quality Assessment" (TIP 2014), with
SDSP's saliency (Zhang, Gu and Li, ICIP 2013). Both compare place by place, as SSIM does, and yet
agree with blind votes on fills, as SSIM does not (docs/findings.md).

Constants are the papers', for values from 0 to 255.
"""

from math import cos, pi

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_lab, rgb_to_y
from torch import Tensor

_GMSD_FLOOR = 170.0

_SIDE = 256
"""Side in pixels at which saliency is found, and that larger photos are averaged down to."""

_CENTRE, _BANDWIDTH = 0.021, 1.34  # of the log-Gabor filter
_NEAR_MIDDLE, _WARM = 145.0, 0.001
_SALIENCY_FLOOR, _GRADIENT_FLOOR, _COLOUR_FLOOR = 1.27, 386.0, 130.0
_GRADIENT_POWER, _COLOUR_POWER = 0.4, 0.02
_LMN = ((0.06, 0.63, 0.27), (0.30, 0.04, -0.35), (0.34, -0.60, 0.17))


def gmsd(completed: Tensor, truth: Tensor) -> Tensor:
    """Gradient magnitude similarity deviation, ``(B,)``: 0 = equal, larger is worse.

    Args:
        completed: ``(B, 3, H, W)`` in [0, 1].
        truth: like ``completed``.
    """
    ours, true = (
        _gradient(F.avg_pool2d(255.0 * rgb_to_y(image), 2), (1.0, 1.0, 1.0))
        for image in (completed, truth)
    )
    similarity = _similarity(ours, true, _GMSD_FLOOR)
    return similarity.flatten(1).std(1, correction=0)


def vsi(completed: Tensor, truth: Tensor) -> Tensor:
    """Visual saliency-induced index, ``(B,)``: 1 = equal, smaller is worse.

    Args:
        completed: ``(B, 3, H, W)`` in [0, 1].
        truth: like ``completed``.
    """
    reduction = max(1, round(min(truth.shape[-2:]) / _SIDE))
    saliencies, opponents = [], []
    for image in (completed, truth):
        matrix = image.new_tensor(_LMN)
        channels = 255.0 * torch.einsum("ij,bjhw->bihw", matrix, image)
        saliencies.append(F.avg_pool2d(saliency(image), reduction))
        opponents.append(F.avg_pool2d(channels, reduction))
    gradients = [_gradient(channels[:, :1], (3.0, 10.0, 3.0)) for channels in opponents]
    colours = [
        _similarity(opponents[0][:, index], opponents[1][:, index], _COLOUR_FLOOR)
        for index in (1, 2)
    ]
    colour = (colours[0] * colours[1])[:, None]
    # Of a negative number the power is complex; its real part counts.
    colour = colour.abs() ** _COLOUR_POWER * torch.where(colour < 0, cos(pi * _COLOUR_POWER), 1.0)
    alike = (
        _similarity(saliencies[0], saliencies[1], _SALIENCY_FLOOR)
        * _similarity(gradients[0], gradients[1], _GRADIENT_FLOOR) ** _GRADIENT_POWER
        * colour
    )
    weights = torch.maximum(saliencies[0], saliencies[1])
    least = torch.finfo(weights.dtype).eps
    sums = [(part.flatten(1).sum(1) + least) for part in (alike * weights, weights)]
    return sums[0] / sums[1]


def saliency(image: Tensor) -> Tensor:
    """What draws the eye, ``(B, 1, H, W)`` from 0 to 1: band-pass, the middle, warm colours (SDSP).

    Args:
        image: ``(B, 3, H, W)`` in [0, 1].
    """
    lab = rgb_to_lab(F.interpolate(image, (_SIDE, _SIDE), mode="bilinear"))
    steps = torch.arange(_SIDE, dtype=lab.dtype, device=lab.device) - _SIDE // 2
    # In the order of the transform, and of its half that says everything of a real image.
    radius = (_squared(steps).sqrt() / _SIDE).roll((-(_SIDE // 2),) * 2, (0, 1))
    radius = radius[:, : _SIDE // 2 + 1]
    passed = torch.exp(-(radius.clamp_min(1e-9) / _CENTRE).log().square() / (2 * _BANDWIDTH**2))
    passed = torch.where((radius > 0) & (radius <= 0.5), passed, 0.0)
    frequency = torch.fft.irfft2(torch.fft.rfft2(lab) * passed, s=(_SIDE, _SIDE))
    frequency = frequency.square().sum(1, keepdim=True).sqrt()
    # The authors count pixels from 1, and 128 is the middle one.
    middle = torch.exp(-_squared(steps + 1.0) / _NEAR_MIDDLE**2)
    warmth = _stretched(lab)[:, 1:].square().sum(1, keepdim=True)
    warm = 1.0 - torch.exp(-warmth / _WARM**2)
    found = F.interpolate(frequency * middle * warm, image.shape[-2:], mode="bilinear")
    return _stretched(found)


def _squared(steps: Tensor) -> Tensor:
    """The square of the distance from the middle, ``(N, N)``, by the steps ``(N,)`` of one side."""
    return steps.square()[:, None] + steps.square()


def _stretched(planes: Tensor) -> Tensor:
    """Each plane from 0 to 1; one that is flat is 0."""
    low, high = planes.amin((2, 3), keepdim=True), planes.amax((2, 3), keepdim=True)
    return (planes - low) / (high - low + torch.finfo(planes.dtype).eps)


def _gradient(plane: Tensor, across: tuple[float, float, float]) -> Tensor:
    """The gradient's magnitude of ``(B, 1, H, W)``; beyond the border is 0, as in both papers."""
    smooth = plane.new_tensor(across) / sum(across)
    kernel = smooth[:, None] * plane.new_tensor([1.0, 0.0, -1.0])
    kernels = torch.stack([kernel, kernel.T])[:, None]
    return F.conv2d(plane, kernels, padding=1).square().sum(1, keepdim=True).sqrt()


def _similarity(one: Tensor, other: Tensor, floor: float) -> Tensor:
    return (2.0 * one * other + floor) / (one.square() + other.square() + floor)
