"""Is a fill as sharp as the truth? By the quartiles of the gradient's magnitude.

After Balakrishnan, Zhao, Dalca, Durand and Guttag, "Synthesizing Images of Humans in Unseen Poses"
(CVPR 2018), who compare losses by the quartiles of gradient magnitudes, against those of real
images: mean absolute errors make blurred images, whose gradients are too small.
"""

import torch
from kornia.filters import spatial_gradient
from torch import Tensor

QUARTILES = (0.25, 0.5, 0.75)

LEAST_GRADIENT = 0.5 / 255
"""Added to each quartile: one grey level between the pixels to either side. Without it, a flat sky
would make any difference infinite."""


def gradient_magnitude(image: Tensor) -> Tensor:
    """The gradient's magnitude by Sobel's filter, a pixel, mean over channels: ``(B, 1, H, W)``.

    Args:
        image: ``(B, C, H, W)`` in [0, 1]; the border is repeated outwards.
    """
    gradient = spatial_gradient(image)  # (B, C, 2, H, W)
    return gradient.square().sum(dim=2).sqrt().mean(dim=1, keepdim=True)


def sharpness_ratios(completed: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """Compare each quartile of the gradient's magnitude: how many times sharper than the truth.

    Args:
        completed: gradient magnitudes of completed photos, ``(B, 1, H, W)``.
        truth: those of the true photos.
        region: ``(B, 1, H, W)`` of 0 and 1; where it is empty the ratio is 1.

    Returns:
        ``(B, 3)``, as logarithms to base 2: -1 is half of the truth's gradient, 0 equal.
    """
    pairs = zip(completed, truth, region > 0, strict=True)
    return torch.stack(
        [
            torch.log2(_quartiles(ours[inside]) / _quartiles(true[inside]))
            for ours, true, inside in pairs
        ]
    )


def _quartiles(values: Tensor) -> Tensor:
    # torch.quantile refuses more than 16 million values, and a photo may have more pixels.
    if values.numel() == 0:
        return values.new_ones(len(QUARTILES))
    ordered = values.sort().values
    last = len(ordered) - 1
    # In Python's float64, which Apple's GPUs do not have.
    below = [int(quartile * last) for quartile in QUARTILES]
    above = [min(place + 1, last) for place in below]
    shares = [quartile * last - place for quartile, place in zip(QUARTILES, below, strict=True)]
    share = values.new_tensor(shares)
    return ordered[below] * (1 - share) + ordered[above] * share + LEAST_GRADIENT
