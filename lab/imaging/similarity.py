"""Structural similarity at one scale and at several, as maps and restricted to a region.

- SSIM: Wang, Bovik, Sheikh, Simoncelli 2004, "Image Quality Assessment: From Error Visibility to
  Structural Similarity", with the Gaussian window and the constants of that paper.
- MS-SSIM: Wang, Simoncelli, Bovik 2003, "Multi-Scale Structural Similarity for Image Quality
  Assessment", equation 7.

Everything is differentiable, and computed in float32 or better even under autocast: variances are
small differences of large numbers.
"""

import math

import torch
import torch.nn.functional as F
from kornia.filters import filter2d_separable, get_gaussian_kernel1d
from torch import Tensor

WINDOW, SIGMA = 11, 1.5

LUMINANCE_CONSTANT, CONTRAST_CONSTANT = 0.01**2, 0.03**2
"""``(K L)**2`` of the paper, for values in [0, 1]."""

SCALE_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The five betas of Wang et al. 2003, from the finest scale to the coarsest."""

LEAST_SIMILARITY = 1e-4
"""The floor under a scale's mean before its fractional power, which has no value below 0 and an
infinite slope at 0. Only images that look nothing alike come near it."""


def ssim_maps(
    prediction: Tensor, truth: Tensor, window: int = WINDOW, sigma: float = SIGMA
) -> tuple[Tensor, Tensor]:
    """SSIM of each pixel and channel, and its contrast-structure part alone.

    A Gaussian window, population covariance, a data range of 1, and images mirrored at their
    borders (the border pixel counts twice). This is the full map of scikit-image's
    ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=1)``; its scalar leaves out ``window // 2`` pixels at each border.

    Args:
        prediction: ``(B, C, H, W)``, about [0, 1]; values outside are allowed, since a network
            that is being trained makes them.
        truth: like ``prediction``.
        window: the window's side in pixels, odd.
        sigma: the window's standard deviation in pixels.

    Returns:
        Two tensors ``(B, C, H, W)`` in [-1, 1], float32 or better: the SSIM map and the
        contrast-structure map, of which SSIM is the product with the luminance term.

    Raises:
        ValueError: other shapes than these, an even window, or an image of fewer than
            ``window // 2`` pixels in height or width.
    """
    reach = window // 2
    _check_pair(prediction, truth)
    if window % 2 == 0:
        raise ValueError(f"window is {window}, but must be odd, to have a middle pixel")
    if min(prediction.shape[2:]) < reach:
        raise ValueError(
            f"the images of shape {tuple(prediction.shape)} are too small for a window of "
            f"{window}: height and width must be at least {reach}"
        )
    dtype = torch.promote_types(torch.promote_types(prediction.dtype, truth.dtype), torch.float32)
    with torch.autocast(prediction.device.type, enabled=False):
        # Moments about 0.5 rather than 0 lose fewer digits to cancellation in bright, flat areas.
        first = _mirror_borders(prediction.to(dtype) - 0.5, reach)
        second = _mirror_borders(truth.to(dtype) - 0.5, reach)
        products = torch.cat((first, second, first**2, second**2, first * second), dim=1)
        kernel = get_gaussian_kernel1d(window, sigma, device=products.device, dtype=dtype)
        moments = filter2d_separable(products, kernel, kernel, padding="valid")
        mean_1, mean_2, square_1, square_2, product = moments.chunk(5, dim=1)
        # Rounding can leave a variance below 0, or a covariance above what the variances allow.
        variances = (square_1 - mean_1**2).clamp_min(0) + (square_2 - mean_2**2).clamp_min(0)
        covariance = product - mean_1 * mean_2
        covariance = torch.minimum(torch.maximum(covariance, -variances / 2), variances / 2)
        mean_1, mean_2 = mean_1 + 0.5, mean_2 + 0.5
        luminance = (2 * mean_1 * mean_2 + LUMINANCE_CONSTANT) / (
            mean_1**2 + mean_2**2 + LUMINANCE_CONSTANT
        )
        contrast_structure = (2 * covariance + CONTRAST_CONSTANT) / (variances + CONTRAST_CONSTANT)
        return luminance * contrast_structure, contrast_structure


def ms_ssim(prediction: Tensor, truth: Tensor, region: Tensor | None = None) -> Tensor:
    """Multi-scale SSIM of each image, over all of it or over a region.

    The product over the scales of the mean contrast-structure term, and at the coarsest scale of
    the mean SSIM, each to the power of the scale's beta. Each scale halves the one before by 2x2
    means. What the papers leave open is settled so:

    - scales: as many as keep the coarsest at least as large as the window of 11 pixels: five from
      161 pixels on the short side, four from 81, three from 41, two from 21, one below; their betas
      are the first ones, divided by their sum;
    - borders: mirrored, so that every pixel counts, where the original drops the pixels whose
      window leaves the image;
    - an odd side: its last row or column is halved alone, not dropped;
    - colour: the mean over the three channels at each scale, as in torchmetrics;
    - a mean below ``LEAST_SIMILARITY`` (images that contradict each other) counts as that much, and
      passes no gradient.

    Args:
        prediction: ``(B, C, H, W)``, about [0, 1].
        truth: like ``prediction``.
        region: ``(B, 1, H, W)``, the weight of each pixel in every mean, such as a mask;
            ``None`` is the whole image. A sample with an empty region scores 1.

    Returns:
        ``(B,)`` in (0, 1], float32 or better; 1 for equal images.

    Raises:
        ValueError: shapes that do not fit, or an image of fewer than 5 pixels a side.
    """
    return ms_ssim_of_pyramid(similarity_pyramid(prediction, truth), region)


def similarity_pyramid(prediction: Tensor, truth: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Compute the two maps of ``ssim_maps`` at each scale of ``ms_ssim``, the finest first.

    For a caller that wants several regions, or SSIM beside MS-SSIM, from the same maps.
    """
    _check_pair(prediction, truth)
    scales = [ssim_maps(prediction, truth)]
    for _ in range(1, _scale_count(*prediction.shape[2:])):
        prediction, truth = _halve(prediction), _halve(truth)
        scales.append(ssim_maps(prediction, truth))
    return scales


def ms_ssim_of_pyramid(
    pyramid: list[tuple[Tensor, Tensor]], region: Tensor | None = None
) -> Tensor:
    """``ms_ssim`` from maps that ``similarity_pyramid`` made; ``(B,)``."""
    finest, _ = pyramid[0]
    weights = torch.ones_like(finest[:, :1]) if region is None else region.to(finest.dtype)
    if weights.shape != finest[:, :1].shape:
        raise ValueError(
            f"region has shape {tuple(weights.shape)}, but must be "
            f"{tuple(finest[:, :1].shape)} to fit the images"
        )
    exponents = SCALE_EXPONENTS[: len(pyramid)]
    result = finest.new_ones(len(finest))
    for scale, ((ssim_map, contrast_map), exponent) in enumerate(
        zip(pyramid, exponents, strict=True)
    ):
        coarsest = scale == len(pyramid) - 1
        mean = region_mean(ssim_map if coarsest else contrast_map, weights)
        mean = torch.where(weights.flatten(1).sum(1) > 0, mean, 1.0)
        result = result * mean.clamp_min(LEAST_SIMILARITY) ** (exponent / sum(exponents))
        if not coarsest:
            weights = _halve(weights)
    return result


def region_mean(values: Tensor, region: Tensor) -> Tensor:
    """Average ``values (B, C, H, W)`` over a region and the channels, ``(B,)``.

    Args:
        values: a map, such as one of ``ssim_maps``.
        region: ``(B, 1, H, W)``, the weight of each pixel, at least 0. The mean over an empty
            region is 0.
    """
    total = (values * region).flatten(1).sum(1)
    weight = region.flatten(1).sum(1) * values.shape[1]
    return total / weight.clamp_min(torch.finfo(weight.dtype).tiny)


def _scale_count(height: int, width: int) -> int:
    side = min(height, width)
    count = 1
    while count < len(SCALE_EXPONENTS) and math.ceil(side / 2**count) >= WINDOW:
        count += 1
    return count


def _halve(image: Tensor) -> Tensor:
    # Rounded up, so that a region in the last row or column of an odd side is not lost.
    return F.avg_pool2d(image, 2, ceil_mode=True)


def _mirror_borders(image: Tensor, reach: int) -> Tensor:
    # torch's "reflect" padding leaves the border pixel out; scipy's and scikit-image's repeats it.
    if reach == 0:
        return image
    left, right = image[..., :reach].flip(-1), image[..., -reach:].flip(-1)
    image = torch.cat((left, image, right), dim=-1)
    top, bottom = image[..., :reach, :].flip(-2), image[..., -reach:, :].flip(-2)
    return torch.cat((top, image, bottom), dim=-2)


def _check_pair(prediction: Tensor, truth: Tensor) -> None:
    if prediction.ndim != 4 or prediction.shape != truth.shape:
        raise ValueError(
            f"prediction has shape {tuple(prediction.shape)} and truth {tuple(truth.shape)}, "
            "but both must be the same (B, C, H, W)"
        )
